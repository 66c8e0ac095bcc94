"""How fast PyTorch restores tiles with exported weights: what ONNX Runtime is measured against."""

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
    """A way to restore a batch [N, 3, H, W] of `dtype` that lies in the machine's memory, and back to there."""

    name: str
    dtype: torch.dtype
    restore: Callable[[Tensor], Tensor]


def measure(folder: Path, device: str, batches: Sequence[int], seconds: float, prior: Path | None = None) -> list[dict]:
    """[{"engine", "type", "batch", "tiles_per_second"}] for tiles of the manifest's size, random pictures.

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
    """What `measure` gives, once for each of `turns`: who gives them measures something else in between."""
    side = runtime.read_manifest(folder)["tile"]["size"]
    made = engines(folder, device, prior)
    for _ in turns:
        yield [row(engine, batch, side, seconds) for engine in made for batch in batches]


def engines(folder: Path, device: str, prior: Path | None) -> list[Engine]:
    """PyTorch eager and compiled, in each type that is worth it on this device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: PyTorch finds no GPU")
    network = checkpoint.network(checkpoint.load(folder / "checkpoint.safetensors"), prior).to(device)
    made = []
    # A CPU has no arithmetic in float16: it would only cast.
    for dtype in (torch.float32, torch.float16) if device == "cuda" else (torch.float32,):
        typed = copy.deepcopy(network).to(dtype)
        # One graph for each batch: a shape that changes is not what is compared.
        compiled = torch.compile(typed, dynamic=False)
        made += [
            Engine("pytorch eager", dtype, through(typed, device)),
            Engine("pytorch compiled", dtype, through(compiled, device)),
        ]
    return made


def through(model: Callable[[Tensor], Tensor], device: str) -> Callable[[Tensor], Tensor]:
    """`model` with the way to the device and back, as in ONNX Runtime's run; it ends when the result is there."""
    return lambda image: model(image.to(device)).cpu()


def row(engine: Engine, batch: int, side: int, seconds: float) -> dict:
    """What an engine does with batches of one size."""
    image = torch.rand(batch, 3, side, side, dtype=engine.dtype)
    with native.switched(False):  # which are ours and not PyTorch's
        rate = batch * runs_per_second(engine.restore, image, seconds)
    name = str(engine.dtype).removeprefix("torch.")
    return {"engine": engine.name, "type": name, "batch": batch, "tiles_per_second": round(rate, 3)}


@torch.no_grad()
def runs_per_second(restore: Callable[[Tensor], Tensor], image: Tensor, seconds: float) -> float:
    """Of runs in a row, after some that compile and warm up."""
    for _ in range(WARM_UP):
        restore(image)
    began, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - began < seconds:
        restore(image)
        runs += 1
    return runs / (time.perf_counter() - began)


def markdown(rows: list[dict]) -> str:
    """A table for a person."""
    lines = ["| engine | type | batch | tiles/s |", "|---|---|--:|--:|"]
    return "\n".join(
        [*lines, *(f"| {r['engine']} | {r['type']} | {r['batch']} | {r['tiles_per_second']} |" for r in rows)]
    )
