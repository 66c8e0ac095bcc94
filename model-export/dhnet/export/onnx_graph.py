"""An ONNX graph under construction: nodes, and weights inside the file or beside it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from torch import Tensor

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


class External:
    """Weights that several graphs read from one file beside them; equal ones lie there once."""

    def __init__(self, file: str) -> None:
        self.file, self.data = file, bytearray()
        self.known: dict[bytes, int] = {}

    def take(self, tensor: onnx.TensorProto) -> None:
        """Move the values of `tensor` into the file."""
        values = tensor.raw_data
        key = hashlib.sha256(values).digest()
        if key not in self.known:
            self.data += bytes(-len(self.data) % 64)  # aligned, so that a runtime can map them
            self.known[key] = len(self.data)
            self.data += values
        set_external_data(tensor, self.file, self.known[key], len(values))
        tensor.ClearField("raw_data")


class Graph:
    """Nodes and initializers under construction. Methods take and return value names.

    half: weights are stored as float16, with a Cast where the graph computes in float32.
    fours: see `graph_body.products`. kind: what the graph computes in, FLOAT or HALF. mixed: see `graph_body.mixture`.
    """

    def __init__(self, half: bool, fours: bool, kind: int = FLOAT, mixed: bool = False, opset: int = 17) -> None:
        self.half = half or kind == HALF
        self.opset = opset
        self.fours = fours
        self.mixed = mixed
        self.kind = kind
        self.outside: External | None = None
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.known: dict[bytes, str] = {}
        self.count = 0

    @contextmanager
    def single(self) -> Iterator[None]:
        """What is added meanwhile computes and stores in float32: sums and exponentials that float16 cannot hold."""
        before = self.half, self.kind
        self.half, self.kind = False, FLOAT
        yield
        self.half, self.kind = before

    @contextmanager
    def beside(self, external: External | None) -> Iterator[None]:
        """Weights that are added meanwhile go to `external`."""
        self.outside = external
        yield
        self.outside = None

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def weight(self, value: Tensor | np.ndarray) -> str:
        """A trained float tensor: stored as float16 (with a Cast, unless the graph computes so) if `half`."""
        array = value.detach().double().numpy() if isinstance(value, Tensor) else value
        kind = np.float16 if self.half else np.float32
        stored = self.name("w")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array, kind), stored))
        if self.outside:
            self.outside.take(self.initializers[-1])
        return self.op("Cast", stored, to=FLOAT) if self.half and self.kind == FLOAT else stored

    def constant(self, array: np.ndarray) -> str:
        """A small exact constant; equal ones are stored once."""
        key = array.dtype.str.encode() + repr(array.shape).encode() + array.tobytes()
        if key not in self.known:
            self.known[key] = self.name("c")
            self.initializers.append(numpy_helper.from_array(array, self.known[key]))
        return self.known[key]

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float16 if self.kind == HALF else np.float32))

    def shape(self, *dims: int) -> str:
        return self.constant(np.array(dims, np.int64))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes) -> str | list[str]:
        out = [self.name(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), out, **attributes))
        return out[0] if outputs == 1 else out

    def cast(self, x: str) -> str:
        """`x` in what the graph computes in."""
        return self.op("Cast", x, to=self.kind)

    def reduced(self, kind: str, x: str, axis: int) -> str:
        """A Reduce operator along one axis, which stays with length 1."""
        axes = [axis]
        if self.opset < 18:
            return self.op(kind, x, axes=axes, keepdims=1)
        return self.op(kind, x, self.shape(*axes), keepdims=1)

    def split(self, x: str, sizes: list[int]) -> list[str]:
        """The channels of `x` in parts."""
        if len(sizes) == 1:
            return [x]
        return self.op("Split", x, self.shape(*sizes), outputs=len(sizes), axis=1)

    def conv(self, x: str, weight: Tensor, bias: Tensor | None, groups: int = 1, stride: int = 1, pad: int = 0) -> str:
        k = weight.shape[-1]
        inputs = [x, self.weight(weight)] + ([] if bias is None else [self.weight(bias)])
        return self.op("Conv", *inputs, group=groups, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4)
