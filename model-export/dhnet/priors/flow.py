"""UFPNet's normalizing flow between codes and blur kernels, per pixel (RealNVP; Liang et al., FKP, CVPR 2021).

Parameters and buffers are named as in the published checkpoints, the unused ones included. The linear
layers run as 1×1 convolutions over maps: a code is a pixel's channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.local_pooling import exporting

CHUNK = 65536  # pixels inverted at a time: a 720p picture's maps of 361 channels take 1.3 GB each


def _mlp(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Linear layers and activations on the channels of every pixel. [N, T, H, W] → the same."""
    for layer in layers:
        x = F.conv2d(x, layer.weight[:, :, None, None], layer.bias) if isinstance(layer, nn.Linear) else layer(x)
    return x


def _column(values: Tensor) -> Tensor:
    """[T] → [1, T, 1, 1]."""
    return values[None, :, None, None]


class Coupling(nn.Module):
    """Affine coupling: the masked half stays and decides scale and shift of the other half. [N, T, H, W]."""

    def __init__(self, taps: int, hidden: int, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.s_net = self._net(taps, hidden, nn.Tanh)
        self.t_net = self._net(taps, hidden, nn.ReLU)

    @staticmethod
    def _net(taps: int, hidden: int, act: type[nn.Module]) -> nn.Sequential:
        return nn.Sequential(nn.Linear(taps, hidden), act(), nn.Linear(hidden, hidden), act(), nn.Linear(hidden, taps))

    def forward(self, x: Tensor) -> Tensor:
        kept = x * _column(self.mask)
        moved = (x - _mlp(self.t_net, kept)) * torch.exp(-_mlp(self.s_net, kept))
        return kept + _column(1 - self.mask) * moved

    def inverse(self, u: Tensor) -> Tensor:
        kept = u * _column(self.mask)
        moved = u * torch.exp(_mlp(self.s_net, kept)) + _mlp(self.t_net, kept)
        return kept + _column(1 - self.mask) * moved


class Normalisation(nn.Module):
    """The flow's batch norm with its running statistics, in both directions. [N, T, H, W]."""

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.log_gamma = nn.Parameter(torch.zeros(taps))
        self.beta = nn.Parameter(torch.zeros(taps))
        self.register_buffer("running_mean", torch.zeros(taps))
        self.register_buffer("running_var", torch.ones(taps))

    def forward(self, x: Tensor) -> Tensor:
        gain = torch.exp(self.log_gamma) / torch.sqrt(self.running_var + 1e-5)
        return (x - _column(self.running_mean)) * _column(gain) + _column(self.beta)

    def inverse(self, y: Tensor) -> Tensor:
        gain = torch.exp(-self.log_gamma) * torch.sqrt(self.running_var + 1e-5)
        return (y - _column(self.beta)) * _column(gain) + _column(self.running_mean)


class KernelPrior(nn.Module):
    """Codes ↔ kernels of size × size taps, both as the channels of maps [N, size², H, W].

    Only trained flows are of use here: the statistics of the normalisations are never updated.
    """

    def __init__(self, size: int = 19, blocks: int = 5, hidden: int = 25) -> None:
        super().__init__()
        taps = size * size
        self.register_buffer("kernel_size", torch.full((1,), float(size)))
        self.register_buffer("alpha", torch.full((1,), 1e-6))
        self.register_buffer("normalization", torch.ones(1))
        self.register_buffer("base_dist_mean", torch.zeros(taps))
        self.register_buffer("base_dist_var", torch.ones(taps))
        odd = torch.arange(taps) % 2
        masks = [(odd if i % 2 == 0 else 1 - odd).float() for i in range(blocks)]
        self.net = nn.Sequential(
            *[layer for mask in masks for layer in (Coupling(taps, hidden, mask), Normalisation(taps))]
        )

    def forward(self, logits: Tensor) -> Tensor:
        """Kernels as logits → codes."""
        return self.net(logits)

    def inverse(self, code: Tensor) -> Tensor:
        """Codes → kernels as logits."""
        for layer in reversed(self.net):
            code = layer.inverse(code)
        return code

    def kernels(self, code: Tensor) -> Tensor:
        """Codes → kernels, from 0 to 1 but for alpha: the inverse, then a sigmoid stretched by alpha."""
        if exporting() or code.is_meta:  # a graph would fix the number of chunks
            return self._stretched(self.inverse(code))
        rows = max(1, CHUNK // (code.shape[0] * code.shape[3]))
        with torch.autocast(code.device.type, enabled=False):  # errors grow with the exponentials
            return torch.cat([self._stretched(self.inverse(part)) for part in code.split(rows, 2)], 2)

    def _stretched(self, logits: Tensor) -> Tensor:
        return (torch.sigmoid(logits) - self.alpha) / (1 - 2 * self.alpha) * self.normalization
