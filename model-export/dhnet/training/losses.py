"""The training loss, eq. (22): Charbonnier + δ·edge + λ·frequency. Pictures [N, 3, H, W], 1.0 = white."""

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-3


def charbonnier(difference: Tensor) -> Tensor:
    """mean √(d² + ε²) per picture, ε = 10⁻³. [N, 3, H, W] → [N]."""
    return torch.sqrt(difference**2 + EPSILON**2).mean((1, 2, 3))


def _gauss(x: Tensor) -> Tensor:
    taps = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05], dtype=x.dtype, device=x.device)
    weight = taps.repeat(x.shape[1], 1)
    x = F.pad(x, (2, 2, 2, 2), mode="replicate")
    x = F.conv2d(x, weight[:, None, None, :], groups=x.shape[1])
    return F.conv2d(x, weight[:, None, :, None], groups=x.shape[1])


def laplacian(x: Tensor) -> Tensor:
    """Δ(x) of MPRNet: x minus its blurred, decimated, zero-inserted (gain 4) and blurred copy."""
    low = _gauss(x)
    sparse = torch.zeros_like(low)
    sparse[:, :, ::2, ::2] = low[:, :, ::2, ::2] * 4
    return x - _gauss(sparse)


def frequency(difference: Tensor) -> Tensor:
    """‖FFT(d)‖₁ per real and imaginary part and picture, over √(H·W)/10. [N, 3, H, W] → [N].

    FSNet's transform is not normalised, so its term (λ = 0.1) outweighs the Charbonnier term by
    √(H·W)/10 and grows with the patch. Scaled to unit transforms times 10, λ = 0.1 means equal
    weight for white errors whatever the patch.
    """
    spectrum = torch.view_as_real(torch.fft.rfft2(difference, norm="ortho"))
    return 10 * spectrum.abs().mean((1, 2, 3, 4))


def per_picture(x: Tensor, y: Tensor, edge: float, freq: float) -> Tensor:
    """Eq. (22) of each picture, [N]. Δ is linear, so it is taken once, of x − y."""
    difference = x.float() - y.float()
    return charbonnier(difference) + edge * charbonnier(laplacian(difference)) + freq * frequency(difference)


def total(x: Tensor, y: Tensor, blur: Tensor, edge: float, freq: float, relative: float) -> Tensor:
    """The mean of eq. (22); with `relative` > 0 each picture's loss is divided by (its input's loss + `relative`).

    PSNR is a logarithm: what counts is by which factor an error shrinks. Undivided, hopelessly blurred
    patches drown those that can be restored.
    """
    loss = per_picture(x, y, edge, freq)
    if relative:
        loss = loss / (per_picture(blur, y, edge, freq) + relative)
    return loss.mean()
