"""Weights that an ONNX graph reads from a safetensors file beside it, and products of them that the runtime folds.

The file is ONNX external data as it is: initializers point into it by offset. A `Weight` is a constant of the graph
under construction. Its operators add nodes that depend on constants alone, so the runtime computes them once, when it
loads the model; weights that nothing stands between are multiplied that way without a second copy in any file.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from onnx import TensorProto
from onnx.external_data_helper import set_external_data
from torch import nn

from ..errors import UserError
from .onnx_graph import FLOAT, Graph

TYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}


@dataclass(frozen=True)
class Weight:
    """A constant of a graph, computed in float32: its node's output and its shape."""

    g: Graph
    name: str
    shape: tuple[int, ...]

    def _new(self, kind: str, shape: tuple[int, ...], *more: str, **attributes) -> "Weight":
        return Weight(self.g, self.g.op(kind, self.name, *more, **attributes), shape)

    def __matmul__(self, other: "Weight") -> "Weight":
        """[…, n, k] times [k, m], or [n, k] times [k]."""
        return self._new("MatMul", (*self.shape[:-1], *other.shape[1:]), other.name)

    def __add__(self, other: "Weight") -> "Weight":
        return self._new("Add", self.shape, other.name)

    def plus(self, number: float) -> "Weight":
        """`number` added to every value."""
        with self.g.single():
            return self._new("Add", self.shape, self.g.scalar(number))

    def reshape(self, *shape: int) -> "Weight":
        """The values in another shape; no -1."""
        return self if shape == self.shape else self._new("Reshape", shape, self.g.shape(*shape))

    def permute(self, *order: int) -> "Weight":
        return self._new("Transpose", tuple(self.shape[i] for i in order), perm=order)

    def part(self, axis: int, start: int, stop: int) -> "Weight":
        """Entries `start` … `stop` - 1 along an axis."""
        bounds = (self.g.shape(start), self.g.shape(stop), self.g.shape(axis))
        return self._new("Slice", (*self.shape[:axis], stop - start, *self.shape[axis + 1 :]), *bounds)

    def parts(self, axis: int, count: int) -> list["Weight"]:
        """Equal parts along an axis."""
        step = self.shape[axis] // count
        return [self.part(axis, i * step, (i + 1) * step) for i in range(count)]

    def flat(self) -> "Weight":
        """[out, …] → [out, the rest]."""
        return self.reshape(self.shape[0], prod(self.shape[1:]))

    def before(self, pointwise: "Weight") -> "Weight":
        """This convolution's kernel [c, in, h, w] followed by a 1×1 one, [out, c], as one kernel [out, in, h, w]."""
        return (pointwise @ self.flat()).reshape(pointwise.shape[0], *self.shape[1:])

    def used(self) -> str:
        """The constant in what the graph computes in."""
        return self.name if self.g.kind == FLOAT else self.g.cast(self.name)


def joined(parts: list[Weight]) -> Weight:
    """Parts joined along their first axis."""
    first, *rest = parts
    return first._new("Concat", (sum(p.shape[0] for p in parts), *first.shape[1:]), *(p.name for p in rest), axis=0)


class Stored:
    """The weights of `model` in a safetensors file, as constants of a graph."""

    def __init__(self, g: Graph, model: nn.Module, path: Path, file: str) -> None:
        """path: the file as it is now; file: its name beside the ONNX file."""
        self.g, self.file = g, file
        self.names = {id(module): name for name, module in model.named_modules()}
        self.entries = entries(path)
        self.known: dict[str, Weight] = {}

    def of(self, module: nn.Module) -> tuple[Weight, Weight]:
        """Weight and bias of a module, laid out as PyTorch has them."""
        name = self.names[id(module)]
        return self._read(f"{name}.weight"), self._read(f"{name}.bias")

    def _read(self, key: str) -> Weight:
        if key not in self.known:
            kind, shape, offset, length = self.entries[key]
            tensor = onnx.TensorProto(name=key, data_type=kind, dims=shape)
            tensor.raw_data = b""
            set_external_data(tensor, self.file, offset, length)
            tensor.ClearField("raw_data")
            self.g.initializers.append(tensor)
            wide = key if kind == FLOAT else self.g.op("Cast", key, to=FLOAT)
            self.known[key] = Weight(self.g, wide, tuple(shape))
        return self.known[key]


def entries(path: Path) -> dict[str, tuple[int, list[int], int, int]]:
    """Type, shape, offset from the file's beginning and bytes of every tensor in a safetensors file."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
    except (OSError, struct.error, ValueError) as error:
        raise UserError(f"{path}: not a safetensors file: {error}") from None
    header.pop("__metadata__", None)
    start = 8 + length
    return {
        key: (TYPES[e["dtype"]], e["shape"], start + e["data_offsets"][0], e["data_offsets"][1] - e["data_offsets"][0])
        for key, e in header.items()
    }
