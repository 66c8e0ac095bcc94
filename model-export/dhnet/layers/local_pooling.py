"""TLC, test-time local pooling: global means become means over a window (Chu et al., arXiv 2112.04491).

A network trained on patches sees means over patches; the mean over a whole photograph is another
statistic. TLC takes a window of 1.5 training patches around every pixel instead: 384 pixels for
patches of 256, and 384 / 2^(l-1) at level l. Up to that size a picture is pooled globally either way.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 384  # pixels at full resolution, for training patches of 256


def exporting() -> bool:
    """True while a graph is being recorded for another runtime."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


def local_mean(x: Tensor, window: int | None) -> Tensor:
    """Mean over `window` × `window` pixels around every pixel: [N, C, H, W] → the same.

    The window moves by one pixel and stays inside the map; the outermost means are repeated to the
    border. Where the window covers the map, where it is None, and in an exported graph (whose size
    may be open): the global mean, [N, C, 1, 1].
    """
    h, w = x.shape[2:]
    if window is None or exporting() or max(h, w) <= window:
        return x.mean((2, 3), keepdim=True)
    means = _moving_mean(_moving_mean(x.float(), min(window, h), 2), min(window, w), 3)
    dy, dx = h - means.shape[2], w - means.shape[3]
    means = F.pad(means, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2), mode="replicate")
    return means.to(x.dtype)


def _moving_mean(x: Tensor, size: int, dim: int) -> Tensor:
    """Means of `size` neighbours along one axis, which becomes size - 1 shorter.

    One axis at a time: a running sum over the whole map would lose digits in float32.
    """
    sums = x.cumsum(dim)
    first = sums.narrow(dim, size - 1, 1)
    rest = sums.narrow(dim, size, x.shape[dim] - size) - sums.narrow(dim, 0, x.shape[dim] - size)
    return torch.cat([first, rest], dim) / size


class LocalMean(nn.Module):
    """`local_mean` as a layer: global while training or while `window` is None. [N, C, H, W] → that or [N, C, 1, 1].

    scale: pixels of the picture to one pixel of this map along an axis; the window shrinks by it.
    """

    def __init__(self, scale: int = 1, window: int | None = None) -> None:
        super().__init__()
        self.scale, self.window = scale, window

    def forward(self, x: Tensor) -> Tensor:
        use = self.window is not None and not self.training
        return local_mean(x, max(1, self.window // self.scale) if use else None)


def set_window(model: nn.Module, window: int | None) -> None:
    """Set the window of every LocalMean in a model, in pixels at full resolution; None turns TLC off."""
    for module in model.modules():
        if isinstance(module, LocalMean):
            module.window = window
