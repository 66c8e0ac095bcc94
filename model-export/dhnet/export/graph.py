"""Whole models as ONNX graphs: what goes in and out, and the network between.

Written by hand rather than traced, so that a graph holds only operators that every execution provider knows and what
can be folded is folded into the weights. Weights are stored as float16 behind a Cast, which the runtime folds when it
loads the model. A graph that computes in float16 keeps the layer norms (sums of squares) and the last addition (to the
picture) in float32.
"""

import onnx
from onnx import TensorProto, helper
from torch import nn

from ..priors import Maxim, NAFNet
from . import graph_maxim, graph_priors
from .graph_body import residual
from .graph_routed import Answers, routed_sum
from .onnx_graph import FLOAT, HALF, External, Graph
from .stored_weights import Stored

OPSET = 17
OPSET_WITH_ANSWERS = 20  # MAXIM's graph has Gelu
IR_VERSION = 9


def network(
    g: Graph, model: nn.Module, image: str, white: float, external: External | None, answers: Answers | None
) -> str:
    """Picture [N, 3, H, W] in 0…`white`, float32 → restored picture in the same range, float32, not clipped."""
    if answers:
        with g.single():
            down, up = g.scalar(1 / white), g.scalar(white)
        y = routed_sum(g, model, g.op("Mul", image, down) if white != 1 else image, answers, external)
        return g.op("Mul", y, up) if white != 1 else y
    given = g.cast(image) if g.kind == HALF else image
    x = (graph_priors.residual if isinstance(model, NAFNet) else residual)(g, model, given, white, external)
    return g.op("Add", image, g.op("Cast", x, to=FLOAT) if g.kind == HALF else x)


def build(
    model: nn.Module,
    bytes_in: bool,
    half: bool,
    kind: int = FLOAT,
    size: tuple[int | None, int | None, int | None] = (None, None, None),
    external: External | None = None,
    mixed: bool = False,
    answers: Answers | None = None,
) -> onnx.ModelProto:
    """The whole model with NHWC input `image` and output `restored`: uint8, or float32 in [0, 1].

    half: weights stored as float16. kind: FLOAT or HALF, what the graph computes in. size: (batch, height, width), None
    where any will do. external: takes the frozen prior's weights, or the body's where the prior gives answers; who
    writes its file checks the model. mixed: the experts' kernels are mixed at run time, for a batch of one. answers:
    the weights of a prior that gives answers.
    """
    opset = OPSET_WITH_ANSWERS if answers else OPSET
    g = Graph(half, fours=not bytes_in, kind=kind, mixed=mixed, opset=opset)  # WebGPU runs the float32 variant
    if bytes_in:
        image = g.op("Cast", g.op("Transpose", "image", perm=[0, 3, 1, 2]), to=FLOAT)
    else:
        image = g.op("Transpose", "image", perm=[0, 3, 1, 2])
    white = 255.0 if bytes_in else 1.0
    y = network(g, model, image, white, external, answers)
    with g.single():
        y = g.op("Clip", y, g.scalar(0), g.scalar(white))
    if bytes_in:
        y = g.op("Cast", g.op("Round", y), to=TensorProto.UINT8)
    proto = finished(g, y, TensorProto.UINT8 if bytes_in else FLOAT, size)
    if external is None and answers is None:
        onnx.checker.check_model(proto, full_check=True)
    return proto


def prior_alone(model: Maxim, answers: Answers) -> onnx.ModelProto:
    """The answer of a frozen MAXIM by itself: float32 NHWC in and out, of any size, not clipped."""
    g = Graph(half=True, fours=False, opset=OPSET_WITH_ANSWERS)
    image = g.op("Transpose", "image", perm=[0, 3, 1, 2])
    restored = graph_maxim.Stages(g, model, Stored(g, model, *answers), image).all()[-1]
    return finished(g, restored, FLOAT, (None, None, None))


def finished(g: Graph, y: str, dtype: int, size: tuple[int | None, int | None, int | None]) -> onnx.ModelProto:
    """The model whose output is `y`, [N, 3, H, W]; `image` and `restored` are NHWC and of type `dtype`."""
    g.nodes.append(helper.make_node("Transpose", [y], ["restored"], perm=[0, 2, 3, 1]))
    shape = [*(fixed or name for fixed, name in zip(size, "NHW", strict=True)), 3]
    ends = [helper.make_tensor_value_info(name, dtype, shape) for name in ("image", "restored")]
    graph = helper.make_graph(g.nodes, "dhnet", ends[:1], ends[1:], g.initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", g.opset)], ir_version=IR_VERSION)
