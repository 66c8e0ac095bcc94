"""Writes DHNet as an ONNX graph, operator by operator.

By hand rather than traced, so that the graph holds only operators that every execution provider
knows, no shape arithmetic, and what can be folded is folded into the weights:
* PixelUnshuffle(f) + 3×3 convolution = one 3f×3f convolution with stride f;
* the layer norm's scale and shift go into the 1×1 convolution behind it;
* the DDRE's experts stay five depth-wise convolutions, weighted and summed before their pointwise:
  one convolution with a run-time kernel is no faster in WASM and works for a batch of one only;
* β, γ, the divisions by 255 and the multiplication by 255 go into the neighbouring convolutions.
Weights are stored as float16 behind a Cast, which the runtime folds when it loads the model.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from .ddre import DDRE
from .model import DHNet
from .vblock import FeedForward, LayerNorm2d, VBlock

OPSET = 17
IR_VERSION = 9


class Graph:
    """Nodes and initializers under construction. Methods take and return value names."""

    def __init__(self, half: bool, fours: bool) -> None:
        self.half = half
        self.fours = fours
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.known: dict[bytes, str] = {}
        self.count = 0

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def weight(self, value: Tensor | np.ndarray) -> str:
        """A trained float tensor: stored as float16 (with a Cast) if `half`."""
        array = value.detach().double().numpy() if isinstance(value, Tensor) else value
        kind = np.float16 if self.half else np.float32
        stored = self.name("w")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array, kind), stored))
        return self.op("Cast", stored, to=TensorProto.FLOAT) if self.half else stored

    def constant(self, array: np.ndarray) -> str:
        """A small exact constant; equal ones are stored once."""
        key = array.dtype.str.encode() + repr(array.shape).encode() + array.tobytes()
        if key not in self.known:
            self.known[key] = self.name("c")
            self.initializers.append(numpy_helper.from_array(array, self.known[key]))
        return self.known[key]

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def shape(self, *dims: int) -> str:
        return self.constant(np.array(dims, np.int64))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes) -> str | list[str]:
        out = [self.name(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), out, **attributes))
        return out[0] if outputs == 1 else out

    def conv(self, x: str, weight: Tensor, bias: Tensor | None, groups: int = 1, stride: int = 1, pad: int = 0) -> str:
        k = weight.shape[-1]
        inputs = [x, self.weight(weight)] + ([] if bias is None else [self.weight(bias)])
        return self.op("Conv", *inputs, group=groups, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4)


def _pairs_apart(channels: int) -> list[int]:
    """Order in which pairs (2i, 2i+1) become (i, i+C)."""
    return [2 * i for i in range(channels)] + [2 * i + 1 for i in range(channels)]


def normalised(g: Graph, x: str, channels: int) -> str:
    """Layer norm over channels without its scale and shift."""
    centred = g.op("Sub", x, g.op("ReduceMean", x, axes=[1], keepdims=1))
    energy = g.op("Mul", g.op("ReduceSumSquare", centred, axes=[1], keepdims=1), g.scalar(1 / channels))
    return g.op("Div", centred, g.op("Sqrt", g.op("Add", energy, g.scalar(1e-6))))


def expanded(g: Graph, x: str, norm: LayerNorm2d, conv: nn.Conv2d, order: list[int] | slice) -> str:
    """conv(LN(x)) for a 1×1 convolution, its outputs in `order`."""
    weight = conv.weight.double() * norm.weight.double().reshape(1, -1, 1, 1)
    bias = conv.bias.double() + conv.weight.double()[:, :, 0, 0] @ norm.bias.double()
    return g.conv(normalised(g, x, len(norm.weight)), weight[order], bias[order])


def volterra(g: Graph, block: VBlock, x: str) -> str:
    """Eqs (2) and (3): [N, C, H, W] → F_v [N, C, H, W]."""
    c, rank = block.beta.shape[1], block.volterra.rank
    local = block.local
    if not rank:
        order = _pairs_apart(c)
        f = expanded(g, x, block.norm, block.expand, order)
        f = g.conv(f, local.weight[order], local.bias[order], groups=2 * c, pad=1)
        return g.op("Mul", *g.op("Split", f, g.shape(c, c), outputs=2, axis=1))
    f = expanded(g, x, block.norm, block.expand, slice(None))
    f = g.conv(f, local.weight, local.bias, groups=2 * c, pad=1)
    return products(g, f, block.volterra.filters, c, rank)


def products(g: Graph, f: str, filters: nn.Conv2d, c: int, rank: int) -> str:
    """Eq. (3): all 1+2Q kernels in one convolution, its outputs taken apart by strided slices.

    onnxruntime-web 1.30's WebGPU Conv goes wrong with groups of 5, 6, 7 or 9 outputs: its vectors of four
    then straddle two groups and read the first one's inputs. So a group is filled up with zero kernels to
    a multiple of four, whose outputs nobody reads; `fours` asks for it, as it costs a CPU some per cent.
    """
    count = 1 + 2 * rank
    step = -(-count // 4) * 4 if g.fours and count > 4 else count
    weight, bias = (
        nn.functional.pad(value.reshape(c, count, -1), (0, 0, 0, step - count)).reshape(c * step, *value.shape[1:])
        for value in (filters.weight, filters.bias)
    )
    responses = g.conv(f, weight, bias, groups=c, pad=1)
    parts = [g.op("Slice", responses, g.shape(i), g.shape(step * c), g.shape(1), g.shape(step)) for i in range(count)]
    total = parts[0]
    for q in range(rank):
        total = g.op("Add", total, g.op("Mul", parts[1 + 2 * q], parts[2 + 2 * q]))
    return total


def vblock(g: Graph, block: VBlock, x: str) -> str:
    y = volterra(g, block, x)
    attention = g.conv(g.op("GlobalAveragePool", y), block.attention.weight, block.attention.bias)
    x = g.op("Add", x, scaled(g, g.op("Mul", y, attention), block.project, block.beta))
    return x if block.ffn is None else feed_forward(g, block.ffn, x)


def scaled(g: Graph, x: str, conv: nn.Conv2d, scale: Tensor) -> str:
    """scale ⊙ conv(x) for a 1×1 convolution."""
    s = scale.double().flatten()
    return g.conv(x, conv.weight.double() * s.reshape(-1, 1, 1, 1), None if conv.bias is None else conv.bias * s)


def feed_forward(g: Graph, block: FeedForward, x: str) -> str:
    c = len(block.norm.weight)
    y = expanded(g, x, block.norm, block.expand, slice(None))
    y = g.op("Mul", *g.op("Split", y, g.shape(c, c), outputs=2, axis=1))
    return g.op("Add", x, scaled(g, y, block.project, block.gamma))


def ddre(g: Graph, block: DDRE, x: str) -> str:
    """Eqs (10)–(12)."""
    n, r = len(block.sizes), block.routers
    z = g.conv(x, block.fuse.weight, block.fuse.bias)
    logits = g.conv(z if block.pixel else g.op("GlobalAveragePool", z), block.router.weight, block.router.bias)
    if r == 1:
        a = g.op("Softmax", logits, axis=1)
    else:
        parts = g.op("Split", logits, g.shape(*[n] * r), outputs=r, axis=1)
        a = g.op("Concat", *[g.op("Softmax", p, axis=1) for p in parts], axis=1)
    y = maps(g, block, z, a)
    if block.shared:
        return g.op("Add", x, scaled(g, y, block.pointwise, block.gamma))
    gamma = block.gamma.double().flatten()
    bias = (block.expert_bias.double() * gamma).t()[:, :, None, None]
    return g.op("Add", g.op("Add", x, scaled(g, y, block.pointwise, block.gamma)), g.conv(a, bias, None))


def maps(g: Graph, block: DDRE, z: str, a: str) -> str:
    """Every expert's depth-wise maps times its weight: joined, or summed if the pointwise is shared."""
    c, r, n = block.channels, block.routers, len(block.sizes)
    out = []
    for j, conv in enumerate(block.depthwise):
        y = g.conv(z, conv.weight, conv.bias, groups=c, pad=block.sizes[j] // 2)
        spread = np.zeros((c * r, r * n, 1, 1))  # map c·r+i takes the weight of router i, expert j
        for i in range(r):
            spread[i::r, i * n + j] = 1
        out.append(g.op("Mul", y, g.op("Conv", a, g.weight(spread), kernel_shape=[1, 1])))
    if not block.shared:
        return g.op("Concat", *out, axis=1)
    total = out[0]
    for y in out[1:]:
        total = g.op("Add", total, y)
    return total


def layer(g: Graph, block: nn.Module, x: str) -> str:
    return vblock(g, block, x) if isinstance(block, VBlock) else ddre(g, block, x)


def folded_intro(model: DHNet) -> Tensor:
    """PixelUnshuffle(f) and the 3×3 convolution after it as one kernel [w, 3, 3f, 3f] with stride f."""
    f, weight = model.config.unshuffle, model.intro.weight.double()
    w = weight.shape[0]
    return weight.reshape(w, 3, f, f, 3, 3).permute(0, 1, 4, 2, 5, 3).reshape(w, 3, 3 * f, 3 * f)


def network(g: Graph, model: DHNet, image: str, white: float) -> str:
    """Picture [N, 3, H, W] in 0…`white` → restored picture in the same range, not clipped."""
    f = model.config.unshuffle
    x = g.conv(image, folded_intro(model) / white, model.intro.bias, stride=f, pad=f)
    skips = []
    for encoder, down in zip(model.encoders, model.downs, strict=True):
        for block in encoder:
            x = layer(g, block, x)
        skips.append(x)
        x = g.conv(x, down.weight, down.bias, stride=2)
    for block in model.middle:
        x = layer(g, block, x)
    for up, decoder, skip in zip(model.ups, model.decoders, reversed(skips), strict=True):
        x = g.op("DepthToSpace", g.conv(x, up.weight, None), blocksize=2, mode="CRD")
        x = g.op("Add", x, skip)
        for block in decoder:
            x = layer(g, block, x)
    x = g.conv(x, model.ending.weight * white, model.ending.bias * white, pad=1)
    x = g.op("DepthToSpace", x, blocksize=f, mode="CRD") if f > 1 else x
    return g.op("Add", image, x)


def build(model: DHNet, bytes_in: bool, half: bool) -> onnx.ModelProto:
    """The whole model with NHWC input `image` and output `restored`: uint8, or float32 in [0, 1]."""
    g = Graph(half, fours=not bytes_in)  # WebGPU runs the float32 variant
    if bytes_in:
        image = g.op("Cast", g.op("Transpose", "image", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
        y = g.op("Clip", network(g, model, image, 255.0), g.scalar(0), g.scalar(255))
        y = g.op("Cast", g.op("Round", y), to=TensorProto.UINT8)
    else:
        image = g.op("Transpose", "image", perm=[0, 3, 1, 2])
        y = g.op("Clip", network(g, model, image, 1.0), g.scalar(0), g.scalar(1))
    g.nodes.append(helper.make_node("Transpose", [y], ["restored"], perm=[0, 2, 3, 1]))
    kind = TensorProto.UINT8 if bytes_in else TensorProto.FLOAT
    shape = ["N", "H", "W", 3]
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "restored")]
    graph = helper.make_graph(g.nodes, "dhnet", ends[:1], ends[1:], g.initializers)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(proto, full_check=True)
    return proto
