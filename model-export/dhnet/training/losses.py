"""The training loss, eq. (22): Charbonnier + δ·edge + λ·frequency. Pictures [N, 3, H, W], 1.0 = white."""

from functools import cache

import torch
from torch import Tensor

EPSILON = 1e-3


def charbonnier(difference: Tensor) -> Tensor:
    """Returns the mean of √(d² + ε²) of every picture, ε = 10⁻³. [N, 3, H, W] → [N]."""
    return torch.sqrt(difference**2 + EPSILON**2).mean((1, 2, 3))


@cache
def _low_pass(size: int, device: torch.device) -> Tensor:
    """Blur, drop every second sample, put zeros in their place (gain 2) and blur again, as a matrix [size, size]."""
    blur = torch.zeros(size, size, dtype=torch.float64)
    rows = torch.arange(size)
    for offset, tap in zip(range(-2, 3), (0.05, 0.25, 0.4, 0.25, 0.05), strict=True):
        blur.index_put_((rows, (rows + offset).clamp(0, size - 1)), torch.tensor(tap).double(), accumulate=True)
    return (2 * blur[:, ::2] @ blur[::2]).float().to(device)


def laplacian(x: Tensor) -> Tensor:
    """Δ(x) of MPRNet: x minus its blurred, decimated, zero-inserted (gain 4) and blurred copy. float32 [N, C, H, W].

    The copy is linear in x and separable, so that one fixed matrix for each axis makes it.
    """
    rows, columns = (_low_pass(n, x.device) for n in x.shape[2:])
    return x - rows @ x @ columns.t()


def frequency(difference: Tensor) -> Tensor:
    """Returns ‖FFT(d)‖₁ per real and imaginary part and picture, over √(H·W)/10. [N, 3, H, W] → [N].

    FSNet's transform is not normalised, so its term (λ = 0.1) outweighs the Charbonnier term by
    √(H·W)/10 and grows with the patch. Scaled to unit transforms times 10, λ = 0.1 means equal
    weight for white errors whatever the patch.
    """
    spectrum = torch.view_as_real(torch.fft.rfft2(difference, norm="ortho"))
    return 10 * spectrum.abs().mean((1, 2, 3, 4))


def per_picture(x: Tensor, y: Tensor, edge: float, freq: float) -> Tensor:
    """Returns eq. (22) of each picture, [N]. Δ is linear, so that it is taken once, of x − y."""
    difference = x.float() - y.float()
    return charbonnier(difference) + edge * charbonnier(laplacian(difference)) + freq * frequency(difference)


def total(x: Tensor, y: Tensor, blur: Tensor, edge: float, freq: float, relative: float) -> Tensor:
    """Returns the mean of eq. (22); with `relative` > 0 each picture's loss is divided by (its input's loss +
    `relative`).

    PSNR is a logarithm: the factor by which an error shrinks counts. Without the division, hopelessly blurred patches
    would outweigh patches that can be restored.
    """
    loss = per_picture(x, y, edge, freq)
    if relative:
        loss = loss / (per_picture(blur, y, edge, freq) + relative)
    return loss.mean()
