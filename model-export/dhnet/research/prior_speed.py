"""Processor time of MAXIM in ONNX Runtime: our graph beside a naive export of the same weights, in turns."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from ..config import ModelConfig
from ..errors import UserError
from ..evaluation.markdown_tables import table
from ..export import graph
from ..network.model import costs
from ..priors import Maxim, load_published, maxim

SIDE = 256


def session(path: Path) -> ort.InferenceSession:
    """A session of one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def by_matrices(x: Tensor, size: tuple[int, int]) -> Tensor:
    """`maxim.resized` as products with fixed matrices: the exporter has no anti-aliased resize."""
    down, across = (matrix(int(n), int(m)) for n, m in zip(x.shape[1:3], size, strict=True))
    y = torch.einsum("ih,nhwc->niwc", down, x)
    return torch.einsum("jw,niwc->nijc", across, y)


@cache
def matrix(length: int, wanted: int) -> Tensor:
    """[wanted, length]: what resizes an axis."""
    unit = torch.eye(length)[None, None]
    return F.interpolate(unit, (wanted, length), mode="bilinear", antialias=True, align_corners=False)[0, 0]


@contextmanager
def exportable() -> Iterator[None]:
    """Meanwhile MAXIM resizes by matrices."""
    before, maxim.resized = maxim.resized, by_matrices
    try:
        yield
    finally:
        maxim.resized = before


@torch.no_grad()
def naive(model: Maxim, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network as `torch.onnx.export` writes it; pictures [1, 3, SIDE, SIDE] → restored."""
    with exportable():
        given = (torch.zeros(1, 3, SIDE, SIDE),)
        names = {"input_names": ["image"], "output_names": ["restored"]}
        model(*given)  # computes the matrices, which are constants to the exporter then
        torch.onnx.export(model, given, str(path), dynamo=False, opset_version=20, **names)
    opened = session(path)
    return lambda image: opened.run(None, {"image": image})[0]


def ours(model: Maxim, weights: Path, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network as `graph_maxim` writes it, with the same layout around it."""
    target = folder / "prior.safetensors"
    shutil.copyfile(weights, target)
    path = folder / "ours.onnx"
    path.write_bytes(graph.prior_alone(model, graph.Answers(target, target.name)).SerializeToString())
    opened = session(path)

    def run(image: np.ndarray) -> np.ndarray:
        given = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        return opened.run(None, {"image": given})[0].transpose(0, 3, 1, 2)

    return run


def convolution(folder: Path, channels: int = 64) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """One 3×3 convolution of a map of SIDE/2, and its multiply-accumulates: what the processor can do at best."""
    side = SIDE // 2
    shape = [1, channels, side, side]
    weight = np.random.default_rng(0).normal(0, 0.05, (channels, channels, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "w"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "y")]
    made = helper.make_graph([node], "convolution", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", graph.OPSET)], ir_version=graph.IR_VERSION)
    path = folder / "convolution.onnx"
    path.write_bytes(model.SerializeToString())
    opened, given = session(path), np.random.default_rng(1).random(shape, np.float32)
    return lambda _: opened.run(None, {"image": given})[0], channels**2 * 9 * side**2


def measure(config: ModelConfig, weights: Path, rounds: int) -> list[dict]:
    """One row per graph: the least processor seconds of `rounds` runs that took turns, and GMAC/s.

    UserError where the two graphs do not give the same picture.
    """
    if config.prior != "maxim":
        raise UserError(f"prior-speed: measures maxim, not {config.prior}")
    model = load_published(weights, Maxim(config.prior_stages)).eval()
    image = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    work = costs(config, SIDE, SIDE).prior_macs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, plain_work = convolution(folder)
        runs = {
            "naive": (naive(model, folder / "naive.onnx"), work),
            "ours": (ours(model, weights, folder), work),
            "3×3 convolution": (plain, plain_work),
        }
        pictures = {label: run(image) for label, (run, _) in runs.items()}
        if np.abs(pictures["naive"] - pictures["ours"]).max() > 1e-2:
            raise UserError("prior-speed: the naive export and ours give different pictures")
        least = dict.fromkeys(runs, float("inf"))
        for _ in range(rounds):
            for label, (run, _) in runs.items():
                before = time.process_time()
                run(image)
                least[label] = min(least[label], time.process_time() - before)
    return [
        {"graph": label, "cpu_s": round(least[label], 3), "gmacs_per_s": round(macs / least[label] / 1e9, 1)}
        for label, (_, macs) in runs.items()
    ]


def markdown(rows: list[dict]) -> str:
    """The rows as a table, with the share of the naive export's time."""
    first = rows[0]["cpu_s"]
    shares = (f"{row['cpu_s'] / first:.2f}" if i < 2 else "–" for i, row in enumerate(rows))
    lines = ((r["graph"], f"{r['cpu_s']:.3f}", f"{r['gmacs_per_s']:.1f}", s) for r, s in zip(rows, shares, strict=True))
    return table(("graph", "processor s", "GMAC/s", "of naive"), lines)
