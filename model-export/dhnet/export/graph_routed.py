"""Writes the DHNet-B that routes between its own residual and that of a frozen MAXIM."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..network.model import DHNet
from . import graph_maxim
from .graph_body import last_map, unfolded
from .onnx_graph import HALF, External, Graph
from .stored_weights import Stored


class Answers(NamedTuple):
    """Where the weights of a prior that gives answers lie: the safetensors file, and its name beside the ONNX files."""

    path: Path
    file: str


def routed_sum(g: Graph, model: DHNet, image: str, answers: Answers, external: External | None) -> str:
    """Picture [N, 3, H, W] in 0…1, float32 → picture + own residual ⊙ (1 - gate) + prior's ⊙ gate + correction.

    The sum and the gate are float32 whatever the graph computes in.
    """
    given = g.cast(image) if g.kind == HALF else image
    frozen = model.prior.network
    answer = graph_maxim.Stages(g, frozen, Stored(g, frozen, *answers), given).all()[-1]
    with g.single():
        answer = g.op("Clip", g.cast(answer), g.scalar(0), g.scalar(1))
        change = g.op("Sub", answer, image)
    with g.beside(external):
        maps = [g.conv(g.cast(change), unfolding(scale), None, stride=scale) for scale in model.scales]
        x = last_map(g, model, given, 1.0, maps, maps[::-1])
        heads = (model.ending, model.gate, model.correction)
        own, gate, correction = (unfolded(g, model, g.conv(x, h.weight, h.bias, pad=1)) for h in heads)
    with g.single():
        own, gate, correction = g.cast(own), g.op("Sigmoid", g.cast(gate)), g.cast(correction)
        routed = g.op("Add", own, g.op("Mul", gate, g.op("Sub", change, own)))
        return g.op("Add", image, g.op("Add", routed, correction))


def unfolding(factor: int) -> Tensor:
    """PixelUnshuffle(factor) of three channels as a convolution's kernel [3·factor², 3, factor, factor]."""
    return torch.eye(3 * factor**2).reshape(-1, 3, factor, factor)
