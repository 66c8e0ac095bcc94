"""Measures how fast PyTorch restores tiles with exported weights; ONNX Runtime is compared with it."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..network import checkpoint, native
from . import runtime

WARM_UP = 3


@dataclass(frozen=True)
class Engine:
    """A function that restores a batch [N, 3, H, W] of `dtype` in main memory and returns it to main memory."""

    name: str
    dtype: torch.dtype
    restore: Callable[[Tensor], Tensor]


def measure(folder: Path, device: str, batches: Sequence[int], seconds: float, prior: Path | None = None) -> list[dict]:
    """Returns [{"engine", "type", "batch", "tiles_per_second"}] for random tiles of the manifest's size.

    folder: an exported model with its checkpoint.safetensors. prior: published checkpoint of its frozen prior, if any.
    UserError where there is no such device.
    """
    return next(rounds(folder, device, batches, seconds, prior, turns=[""]))


def rounds(
    folder: Path,
    device: str,
    batches: Sequence[int],
    seconds: float,
    prior: Path | None,
    turns: Iterable[str],
) -> Iterator[list[dict]]:
    """Yields the rows of `measure` once for each of `turns`; the caller measures something else between two turns."""
    side = runtime.read_manifest(folder)["tile"]["size"]
    made = engines(folder, device, prior)
    for _ in turns:
        yield [row(engine, batch, side, seconds) for engine in made for batch in batches]


def engines(folder: Path, device: str, prior: Path | None) -> list[Engine]:
    """Returns PyTorch eager and compiled, in each type that the device computes in. UserError where there is no GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: PyTorch finds no GPU")
    network = checkpoint.network(checkpoint.load(folder / "checkpoint.safetensors"), prior).to(device)
    made = []
    # A CPU has no float16 arithmetic and would only convert.
    for dtype in (torch.float32, torch.float16) if device == "cuda" else (torch.float32,):
        typed = copy.deepcopy(network).to(dtype)
        # Every batch size gets a graph of its own, because changing shapes are not compared.
        compiled = torch.compile(typed, dynamic=False)
        made += [
            Engine("pytorch eager", dtype, through(typed, device)),
            Engine("pytorch compiled", dtype, through(compiled, device)),
        ]
    return made


def through(model: Callable[[Tensor], Tensor], device: str) -> Callable[[Tensor], Tensor]:
    """Returns `model` with the copies to the device and back, as in ONNX Runtime's run; it waits for the result."""
    return lambda image: model(image.to(device)).cpu()


def row(engine: Engine, batch: int, side: int, seconds: float) -> dict:
    """Returns the row of one engine and batch size."""
    image = torch.rand(batch, 3, side, side, dtype=engine.dtype)
    with native.switched(False):  # the native kernels are ours, not PyTorch's
        rate = batch * runs_per_second(engine.restore, image, seconds)
    name = str(engine.dtype).removeprefix("torch.")
    return {"engine": engine.name, "type": name, "batch": batch, "tiles_per_second": round(rate, 3)}


@torch.no_grad()
def runs_per_second(restore: Callable[[Tensor], Tensor], image: Tensor, seconds: float) -> float:
    """Returns the rate of consecutive runs, after some runs that compile and warm up."""
    for _ in range(WARM_UP):
        restore(image)
    began, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - began < seconds:
        restore(image)
        runs += 1
    return runs / (time.perf_counter() - began)


def markdown(rows: list[dict]) -> str:
    """Returns the rows as a Markdown table."""
    lines = ["| engine | type | batch | tiles/s |", "|---|---|--:|--:|"]
    return "\n".join(
        [*lines, *(f"| {r['engine']} | {r['type']} | {r['batch']} | {r['tiles_per_second']} |" for r in rows)]
    )
