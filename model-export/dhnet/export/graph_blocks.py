"""Pieces of ONNX graphs that DHNet and its priors share: layer norm, scaled residual, NAFBlock's second half."""

from torch import Tensor, nn

from ..layers.blocks import LayerNorm2d
from .onnx_graph import FLOAT, HALF, Graph


def normalised(g: Graph, x: str, channels: int) -> str:
    """Layer norm over channels without its scale and shift."""
    if g.kind == HALF:
        wide = g.op("Cast", x, to=FLOAT)
        with g.single():
            y = normalised(g, wide, channels)
        return g.cast(y)
    centred = g.op("Sub", x, g.reduced("ReduceMean", x, 1))
    energy = g.op("Mul", g.reduced("ReduceSumSquare", centred, 1), g.scalar(1 / channels))
    return g.op("Div", centred, g.op("Sqrt", g.op("Add", energy, g.scalar(1e-6))))


def expanded(g: Graph, x: str, norm: LayerNorm2d, conv: nn.Conv2d, order: list[int] | slice) -> str:
    """conv(LN(x)) for a 1×1 convolution, its outputs in `order`."""
    weight = conv.weight.double() * norm.weight.double().reshape(1, -1, 1, 1)
    bias = conv.bias.double() + conv.weight.double()[:, :, 0, 0] @ norm.bias.double()
    return g.conv(normalised(g, x, len(norm.weight)), weight[order], bias[order])


def scaled(g: Graph, x: str, weight: Tensor, bias: Tensor | None, scale: Tensor) -> str:
    """scale ⊙ conv(x) for a 1×1 convolution."""
    s = scale.double().flatten()
    return g.conv(x, weight.double() * s.reshape(-1, 1, 1, 1), None if bias is None else bias * s)


def gated(g: Graph, x: str, norm: LayerNorm2d, expand: nn.Conv2d, project: nn.Conv2d, gamma: Tensor) -> str:
    """x + γ ⊙ PW(SG(PW(LN(x)))), SG multiplying the halves of the channels."""
    c = len(norm.weight)
    y = g.op("Mul", *g.split(expanded(g, x, norm, expand, slice(None)), [c, c]))
    return g.op("Add", x, scaled(g, y, project.weight, project.bias, gamma))
