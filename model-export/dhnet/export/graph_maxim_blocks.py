"""Pieces of MAXIM's ONNX graph: maps cut into windows, and the network's blocks.

Maps are [N, H·W, C] where nothing or windows mix pixels, and [N, C, H, W] around 3×3 convolutions. Only the nodes that
cut windows depend on the picture's size; their shapes are computed once, at the graph's beginning.
"""

from torch import nn

from ..priors.maxim_blocks import (
    AttentionBlock,
    Bottleneck,
    ChannelAttention,
    CrossGatingBlock,
    EncoderBlock,
    GmlpLayer,
    Positions,
    SplitHeadMultiAxisGating,
    SplitHeadMultiAxisGmlpLayer,
)
from .onnx_graph import FLOAT, HALF, Graph
from .stored_weights import Stored, Weight


class Level:
    """One level's maps: shapes for Reshape, computed from the picture's, and the ways to cut windows.

    image: [N, 3, H, W]. scale: pixels of it to one of the map, along an axis. size: of the windows.
    """

    def __init__(self, g: Graph, image: str, scale: int, size: int) -> None:
        self.g = g
        shape = g.op("Shape", image)
        n = g.op("Slice", shape, g.shape(0), g.shape(1))
        h, w = (g.op("Div", g.op("Slice", shape, g.shape(i), g.shape(i + 1)), g.shape(scale)) for i in (2, 3))
        rows, columns = (g.op("Div", length, g.shape(size)) for length in (h, w))

        def of(*dims: str | int) -> str:
            return g.op("Concat", *[d if isinstance(d, str) else g.shape(d) for d in dims], axis=0)

        self.map = of(n, h, w, -1)
        self.plane = of(1, 1, h, w)
        self.pixels = of(n, g.op("Mul", h, w), -1)
        self.doubled = of(n, h, w, 2, 2, -1)
        self.cells = {"Block": of(n, rows, size, columns, size, -1), "Grid": of(n, size, rows, size, columns, -1)}
        self.windows = of(n, g.op("Mul", rows, columns), size * size, -1)
        self.pieces = of(n, rows, columns, size, size, -1)

    def cut(self, x: str, kind: str) -> str:
        """[N, H·W, C] → [N, windows, size², C]."""
        y = self.g.op("Reshape", x, self.cells[kind])
        y = self.g.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5] if kind == "Block" else [0, 2, 4, 1, 3, 5])
        return self.g.op("Reshape", y, self.windows)

    def join(self, x: str, kind: str) -> str:
        """The inverse of `cut`."""
        y = self.g.op("Reshape", x, self.pieces)
        y = self.g.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5] if kind == "Block" else [0, 3, 1, 4, 2, 5])
        return self.g.op("Reshape", y, self.pixels)

    def planar(self, x: str) -> str:
        """[N, H·W, C] → [N, C, H, W]."""
        return self.g.op("Transpose", self.g.op("Reshape", x, self.map), perm=[0, 3, 1, 2])

    def flat(self, x: str) -> str:
        """The inverse of `planar`."""
        return self.g.op("Reshape", self.g.op("Transpose", x, perm=[0, 2, 3, 1]), self.pixels)


class Blocks:
    """Writes the network's blocks, with weights from a file."""

    def __init__(self, g: Graph, stored: Stored) -> None:
        self.g, self.stored = g, stored

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        """Layer norm over channels, in float32 whatever the graph computes in."""
        g, (scale, shift) = self.g, self.stored.of(layer)
        wide = g.op("Cast", x, to=FLOAT) if g.kind == HALF else x
        y = g.op("LayerNormalization", wide, scale.name, shift.name, axis=-1, epsilon=layer.eps)
        return g.cast(y) if g.kind == HALF else y

    def dense(self, x: str, weight: Weight, bias: Weight | None = None) -> str:
        """x […, in] → […, out]; weight [out, in]."""
        y = self.g.op("MatMul", x, weight.permute(1, 0).used())
        return y if bias is None else self.g.op("Add", y, bias.used())

    def linear(self, x: str, layer: nn.Module) -> str:
        """A dense layer or a 1×1 convolution of […, in]."""
        weight, bias = self.stored.of(layer)
        return self.dense(x, weight.flat(), bias)

    def conv(self, x: str, weight: Weight, bias: Weight, stride: int = 1, pad: int = 0) -> str:
        k = weight.shape[-1]
        options = {"kernel_shape": [k, k], "strides": [stride] * 2, "pads": [pad] * 4}
        return self.g.op("Conv", x, weight.used(), bias.used(), **options)

    def gelu(self, x: str) -> str:
        return self.g.op("Gelu", x, approximate="tanh")

    def halves(self, x: str, layer: nn.Linear) -> list[str]:
        """GELU of a dense layer, as its two halves: two products are cheaper than taking one's columns apart."""
        weight, bias = self.stored.of(layer)
        parts = zip(weight.parts(0, 2), bias.parts(0, 2), strict=True)
        return [self.gelu(self.dense(x, w, b)) for w, b in parts]

    def positions(self, x: str, layer: Positions, more: float = 0.0) -> str:
        """A dense layer over the pixels of windows [N, windows, size², C], plus `more`."""
        weight, bias = self.stored.of(layer)
        bias = bias.reshape(*bias.shape, 1)
        y = self.g.op("MatMul", weight.used(), x)
        return self.g.op("Add", y, (bias.plus(more) if more else bias).used())

    def gmlp(self, x: str, layer: GmlpLayer, level: Level, kind: str) -> str:
        x = level.cut(x, kind)
        a, b = self.halves(self.norm(x, layer.LayerNorm), layer.in_project)
        unit = getattr(layer, layer.unit)
        mixed = self.positions(self.norm(b, unit.intermediate_layernorm), unit.Dense_0, more=1)
        y = self.linear(self.g.op("Mul", a, mixed), layer.out_project)
        return level.join(self.g.op("Add", x, y), kind)

    def multi_axis(self, x: str, layer: SplitHeadMultiAxisGmlpLayer, level: Level) -> str:
        """MAB."""
        u, v = self.halves(self.norm(x, layer.LayerNorm_in), layer.in_project)
        u, v = self.gmlp(u, layer.GridGmlpLayer, level, "Grid"), self.gmlp(v, layer.BlockGmlpLayer, level, "Block")
        return self.g.op("Add", x, self.linear(self.g.op("Concat", u, v, axis=-1), layer.out_project))

    def attention(self, x: str, layer: ChannelAttention) -> str:
        """The weights of the channels of a planar map, [N, 1, C]."""
        y = self.g.op("GlobalAveragePool", x)
        y = self.g.op("Relu", self.conv(y, *self.stored.of(layer.Conv_0)))
        y = self.g.op("Sigmoid", self.conv(y, *self.stored.of(layer.Conv_1)))
        return self.g.op("Reshape", y, self.g.shape(0, 1, -1))

    def attended(self, x: str, layer: AttentionBlock, level: Level) -> str:
        """RCAB."""
        y = level.planar(self.norm(x, layer.LayerNorm))
        y = self.g.op("LeakyRelu", self.conv(y, *self.stored.of(layer.conv1), pad=1), alpha=0.2)
        y = self.conv(y, *self.stored.of(layer.conv2), pad=1)
        weights = self.attention(y, layer.channel_attention)
        return self.g.op("Add", x, self.g.op("Mul", level.flat(y), weights))

    def bottleneck(self, x: str, layer: Bottleneck, level: Level) -> str:
        """A bottleneck from the map of its first 1×1 convolution."""
        long = x
        for i in range(2):
            x = self.multi_axis(x, getattr(layer, f"SplitHeadMultiAxisGmlpLayer_{i}"), level)
            block = getattr(layer, f"channel_attention_block_1_{i}")
            y = self.gelu(self.linear(self.norm(x, block.LayerNorm), block.channel_mixing.Dense_0))
            y = self.linear(y, block.channel_mixing.Dense_1)
            weights = self.attention(level.planar(y), block.channel_attention)
            x = self.g.op("Add", x, self.g.op("Mul", y, weights))
        return self.g.op("Add", x, long)

    def encoded(self, x: str, layer: EncoderBlock, level: Level) -> str:
        """An encoder block from the map of its first 1×1 convolution, without cross gating."""
        long = x
        for i in range(2):
            x = self.multi_axis(x, getattr(layer, f"SplitHeadMultiAxisGmlpLayer_{i}"), level)
            x = self.attended(x, getattr(layer, f"channel_attention_block_1{i}"), level)
        return self.g.op("Add", x, long)

    def gates(self, x: str, layer: SplitHeadMultiAxisGating, level: Level) -> str:
        u, v = self.halves(self.norm(x, layer.LayerNorm_in), layer.in_project)
        u = level.join(self.positions(level.cut(u, "Grid"), layer.Dense_0), "Grid")
        v = level.join(self.positions(level.cut(v, "Block"), layer.Dense_1), "Block")
        return self.linear(self.g.op("Concat", u, v, axis=-1), layer.out_project)

    def cross_gated(self, kept_x: str, kept_y: str, layer: CrossGatingBlock, level: Level) -> tuple[str, str]:
        """CGB from its shortcuts, the maps of Conv_0 and Conv_1."""
        g = self.g
        x = self.gelu(self.linear(self.norm(kept_x, layer.LayerNorm_x), layer.in_project_x))
        y = self.gelu(self.linear(self.norm(kept_y, layer.LayerNorm_y), layer.in_project_y))
        gate_x = self.gates(x, layer.SplitHeadMultiAxisGating_x, level)
        gate_y = self.gates(y, layer.SplitHeadMultiAxisGating_y, level)
        y = g.op("Add", self.linear(g.op("Mul", y, gate_x), layer.out_project_y), kept_y)
        x = g.op("Add", self.linear(g.op("Mul", x, gate_y), layer.out_project_x), g.op("Add", y, kept_x))
        return x, y

    def enlarged(self, x: str, weight: Weight, bias: Weight, level: Level, above: Level) -> str:
        """2×2 transposed convolution with stride 2. x of `level`, weight [in, out, 2, 2] → map of the level `above`."""
        y = self.g.op("MatMul", x, weight.permute(0, 2, 3, 1).flat().used())
        y = self.g.op("Transpose", self.g.op("Reshape", y, level.doubled), perm=[0, 1, 3, 2, 4, 5])
        return self.g.op("Add", self.g.op("Reshape", y, above.pixels), bias.used())
