"""The blocks of MAXIM (see `maxim.py`): dense layers over channels and over the pixels of windows, and convolutions.

Modules carry the names of Flax's scopes in the published network. Maps are [N, H, W, C]. Layer norms have eps 1e-6 and
GELU is the tanh form.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 3


class MaxPair(NamedTuple):
    """Both outputs of a cross-gating block."""

    x: Tensor
    y: Tensor


def gelu(x: Tensor) -> Tensor:
    """The tanh form of GELU."""
    return F.gelu(x, approximate="tanh")


class LayerNorm(nn.LayerNorm):
    """Layer norm over channels, eps 1e-6."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)


class Conv(nn.Conv2d):
    """A convolution on [N, H, W, C]."""

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return F.linear(x, self.weight.flatten(1), self.bias)
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Up(nn.ConvTranspose2d):
    """2×2 transposed convolution with stride 2 on [N, H, W, C]."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, _ = x.shape
        y = torch.matmul(x, self.weight.permute(0, 2, 3, 1).flatten(1)).reshape(n, h, w, 2, 2, -1)
        return y.transpose(2, 3).reshape(n, 2 * h, 2 * w, -1) + self.bias


def block(x: Tensor, size: int) -> Tensor:
    """[N, H, W, C] → [windows, size², C]: windows of size×size neighbouring pixels."""
    n, h, w, c = x.shape
    return x.reshape(n, h // size, size, w // size, size, c).transpose(2, 3).reshape(-1, size * size, c)


def unblock(x: Tensor, shape: torch.Size, size: int) -> Tensor:
    """The inverse of `block`; `shape`: of the map."""
    n, h, w, _ = shape
    return x.reshape(n, h // size, w // size, size, size, -1).transpose(2, 3).reshape(n, h, w, -1)


def grid(x: Tensor, size: int) -> Tensor:
    """[N, H, W, C] → [windows, size², C]: the pixels at one place of each cell of a size×size grid."""
    n, h, w, c = x.shape
    y = x.reshape(n, size, h // size, size, w // size, c).permute(0, 2, 4, 1, 3, 5)
    return y.reshape(-1, size * size, c)


def ungrid(x: Tensor, shape: torch.Size, size: int) -> Tensor:
    """The inverse of `grid`; `shape`: of the map."""
    n, h, w, _ = shape
    y = x.reshape(n, h // size, w // size, size, size, -1).permute(0, 3, 1, 4, 2, 5)
    return y.reshape(n, h, w, -1)


class Positions(nn.Linear):
    """A dense layer over the size² pixels of windows. [windows, size², C] → the same."""

    def __init__(self, size: int) -> None:
        super().__init__(size * size, size * size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.matmul(self.weight, x) + self.bias[:, None]


class GatingUnit(nn.Module):
    """a ⊙ (positions(LN(b)) + 1) of the halves a, b. [windows, size², 2C] → [windows, size², C]."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.intermediate_layernorm = LayerNorm(channels)
        self.Dense_0 = Positions(size)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return a * (self.Dense_0(self.intermediate_layernorm(b)) + 1)


class GmlpLayer(nn.Module):
    """A gated MLP over windows, with its input added. [N, H, W, C] → the same. kind: "Grid" or "Block"."""

    def __init__(self, channels: int, size: int, kind: str) -> None:
        super().__init__()
        self.size, self.unit = size, f"{kind}GatingUnit"
        self.cut, self.join = (grid, ungrid) if kind == "Grid" else (block, unblock)
        self.LayerNorm = LayerNorm(channels)
        self.in_project = nn.Linear(channels, 2 * channels)
        self.add_module(self.unit, GatingUnit(channels, size))
        self.out_project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = gelu(self.in_project(self.LayerNorm(x)))
        y = getattr(self, self.unit)(self.cut(y, self.size))
        return x + self.out_project(self.join(y, x.shape, self.size))


class SplitHeadMultiAxisGmlpLayer(nn.Module):
    """MAB: half of the channels mixed over the grid, half over blocks. [N, H, W, C] → the same."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.LayerNorm_in = LayerNorm(channels)
        self.in_project = nn.Linear(channels, 2 * channels)
        self.GridGmlpLayer = GmlpLayer(channels, size, "Grid")
        self.BlockGmlpLayer = GmlpLayer(channels, size, "Block")
        self.out_project = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        u, v = gelu(self.in_project(self.LayerNorm_in(x))).chunk(2, -1)
        return x + self.out_project(torch.cat([self.GridGmlpLayer(u), self.BlockGmlpLayer(v)], -1))


class ChannelAttention(nn.Module):
    """x ⊙ sigmoid(PW(ReLU(PW(mean of x)))). [N, H, W, C] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = Conv(channels, channels // 4, 1)
        self.Conv_1 = Conv(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.Conv_1(self.Conv_0(x.mean((1, 2), keepdim=True)).relu()).sigmoid()


class AttentionBlock(nn.Module):
    """RCAB: x + attention(conv(leaky ReLU(conv(LN(x))))). [N, H, W, C] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.LayerNorm = LayerNorm(channels)
        self.conv1 = Conv(channels, channels, 3, padding=1)
        self.conv2 = Conv(channels, channels, 3, padding=1)
        self.channel_attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.channel_attention(self.conv2(F.leaky_relu(self.conv1(self.LayerNorm(x)), 0.2)))


class ChannelMixing(nn.Module):
    """dense, GELU, dense, channel attention: the inner part of RDCAB. [N, H, W, C] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Dense_0 = nn.Linear(channels, channels)
        self.Dense_1 = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.Dense_1(gelu(self.Dense_0(x)))


class DenseAttentionBlock(nn.Module):
    """RDCAB: x + attention(dense(GELU(dense(LN(x))))). [N, H, W, C] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.LayerNorm = LayerNorm(channels)
        self.channel_mixing = ChannelMixing(channels)
        self.channel_attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.channel_attention(self.channel_mixing(self.LayerNorm(x)))


class SplitHeadMultiAxisGating(nn.Module):
    """Gating weights: half of the channels from the grid, half from blocks. [N, H, W, C] → the same."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.LayerNorm_in = LayerNorm(channels)
        self.in_project = nn.Linear(channels, 2 * channels)
        self.Dense_0 = Positions(size)
        self.Dense_1 = Positions(size)
        self.out_project = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        u, v = gelu(self.in_project(self.LayerNorm_in(x))).chunk(2, -1)
        u = ungrid(self.Dense_0(grid(u, self.size)), x.shape, self.size)
        v = unblock(self.Dense_1(block(v, self.size)), x.shape, self.size)
        return self.out_project(torch.cat([u, v], -1))


class CrossGatingBlock(nn.Module):
    """CGB: two maps gate each other. x [N, H, W, inputs] and y → both [N, H, W, C]; see `forward`.

    below: channels of y where y is a map of half the size, which is enlarged first; 0: y has x's size and C channels.
    """

    def __init__(self, inputs: int, channels: int, size: int, below: int = 0) -> None:
        super().__init__()
        self.ConvTranspose_0 = Up(below, channels) if below else None
        self.Conv_0 = Conv(inputs, channels, 1)
        self.Conv_1 = Conv(channels, channels, 1)
        for side in "xy":
            self.add_module(f"LayerNorm_{side}", LayerNorm(channels))
            self.add_module(f"in_project_{side}", nn.Linear(channels, channels))
            self.add_module(f"SplitHeadMultiAxisGating_{side}", SplitHeadMultiAxisGating(channels, size))
            self.add_module(f"out_project_{side}", nn.Linear(channels, channels))

    def forward(self, x: Tensor, y: Tensor) -> MaxPair:
        """x' = dense(x ⊙ gates of y) + y' + x's shortcut; y' = dense(y ⊙ gates of x) + y's shortcut."""
        kept_x = self.Conv_0(x)
        kept_y = self.Conv_1(self.ConvTranspose_0(y) if self.ConvTranspose_0 is not None else y)
        x = gelu(self.in_project_x(self.LayerNorm_x(kept_x)))
        y = gelu(self.in_project_y(self.LayerNorm_y(kept_y)))
        gate_x, gate_y = self.SplitHeadMultiAxisGating_x(x), self.SplitHeadMultiAxisGating_y(y)
        y = self.out_project_y(y * gate_x) + kept_y
        return MaxPair(self.out_project_x(x * gate_y) + y + kept_x, y)


class EncoderBlock(nn.Module):
    """Joined maps → 1×1, twice MAB then RCAB, + the 1×1's map; with `gated` then CGB with earlier stages' maps.

    halved: whether it has `Conv_1`, which gives the map of half the size.
    """

    def __init__(self, inputs: int, channels: int, size: int, gated: bool, halved: bool) -> None:
        super().__init__()
        self.Conv_0 = Conv(inputs, channels, 1)
        for i in range(2):
            self.add_module(f"SplitHeadMultiAxisGmlpLayer_{i}", SplitHeadMultiAxisGmlpLayer(channels, size))
            self.add_module(f"channel_attention_block_1{i}", AttentionBlock(channels))
        self.cross_gating_block = CrossGatingBlock(channels, channels, size) if gated else None
        self.Conv_1 = Conv(channels, channels, 4, stride=2, padding=1) if halved else None

    def forward(self, x: Tensor, earlier: Tensor | None = None) -> Tensor:
        """x [N, H, W, inputs], earlier [N, H, W, C] → [N, H, W, C]."""
        long = x = self.Conv_0(x)
        for i in range(2):
            x = getattr(self, f"SplitHeadMultiAxisGmlpLayer_{i}")(x)
            x = getattr(self, f"channel_attention_block_1{i}")(x)
        x = x + long
        return x if self.cross_gating_block is None else self.cross_gating_block(x, earlier).x


class DecoderBlock(nn.Module):
    """The map below, enlarged and joined with the skips, through an encoder block. → [N, H, W, C]."""

    def __init__(self, below: int, channels: int, size: int) -> None:
        super().__init__()
        self.ConvTranspose_0 = Up(below, channels)
        self.UNetEncoderBlock_0 = EncoderBlock((1 + LEVELS) * channels, channels, size, gated=False, halved=False)

    def forward(self, x: Tensor, skips: Tensor) -> Tensor:
        return self.UNetEncoderBlock_0(torch.cat([self.ConvTranspose_0(x), skips], -1))


class Bottleneck(nn.Module):
    """1×1, twice MAB then RDCAB, + the 1×1's map. [N, H, W, C] → the same."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.input_proj = Conv(channels, channels, 1)
        for i in range(2):
            self.add_module(f"SplitHeadMultiAxisGmlpLayer_{i}", SplitHeadMultiAxisGmlpLayer(channels, size))
            self.add_module(f"channel_attention_block_1_{i}", DenseAttentionBlock(channels))

    def forward(self, x: Tensor) -> Tensor:
        long = x = self.input_proj(x)
        for i in range(2):
            x = getattr(self, f"SplitHeadMultiAxisGmlpLayer_{i}")(x)
            x = getattr(self, f"channel_attention_block_1_{i}")(x)
        return x + long
