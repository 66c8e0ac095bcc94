"""TLC, local pooling at test time: means over a window instead of global means (Chu et al., arXiv 2112.04491).

A network that is trained on patches sees means over patches; the mean over a whole photograph is another statistic. TLC
takes a window of 1.5 training patches around every pixel instead: 384 pixels for patches of 256, and 384 / 2^(l-1) at
level l. A picture up to that size is pooled globally with TLC as well.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 384  # pixels at full resolution, for training patches of 256


def exporting() -> bool:
    """Returns True while a graph is being recorded for another runtime."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


def local_mean(x: Tensor, window: int | None) -> Tensor:
    """Returns the means over `window` × `window` pixels around every pixel: [N, C, H, W] → the same shape.

    The window moves by one pixel and stays inside the map; the outermost means are repeated to the
    border. The global mean, [N, C, 1, 1], is returned where the window covers the map, where it is
    None, and in an exported graph, whose size may be open.
    """
    h, w = x.shape[2:]
    if window is None or exporting() or max(h, w) <= window:
        # The gradient of `mean` has another memory format than x, and converting it would cost every step of training.
        return F.avg_pool2d(x, (h, w)) if x.requires_grad else x.mean((2, 3), keepdim=True)
    means = _moving_mean(_moving_mean(x.float(), min(window, h), 2), min(window, w), 3)
    dy, dx = h - means.shape[2], w - means.shape[3]
    means = F.pad(means, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2), mode="replicate")
    return means.to(x.dtype)


def _moving_mean(x: Tensor, size: int, dim: int) -> Tensor:
    """Returns the means of `size` neighbours along one axis, which becomes size - 1 shorter.

    The axes are summed one after the other, because a running sum over the whole map would lose digits in float32.
    """
    sums = x.cumsum(dim)
    first = sums.narrow(dim, size - 1, 1)
    rest = sums.narrow(dim, size, x.shape[dim] - size) - sums.narrow(dim, 0, x.shape[dim] - size)
    return torch.cat([first, rest], dim) / size


class LocalMean(nn.Module):
    """`local_mean` as a layer, which pools globally while training or while `window` is None.

    scale: pixels of the picture to one pixel of this map along an axis; the window shrinks by it.
    """

    def __init__(self, scale: int = 1, window: int | None = None) -> None:
        super().__init__()
        self.scale, self.window = scale, window

    def forward(self, x: Tensor) -> Tensor:
        use = self.window is not None and not self.training
        return local_mean(x, max(1, self.window // self.scale) if use else None)


def set_window(model: nn.Module, window: int | None) -> None:
    """Sets the window of every LocalMean in a model, in pixels at full resolution; None turns TLC off."""
    for module in model.modules():
        if isinstance(module, LocalMean):
            module.window = window
