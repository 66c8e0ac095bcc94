"""How fast PyTorch restores tiles with exported weights: what ONNX Runtime is measured against."""

import copy
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint, runtime
from .config import UserError

WARM_UP = 3


def measure(folder: Path, device: str, batches: Iterable[int], seconds: float, prior: Path | None = None) -> list[dict]:
    """[{"engine", "type", "batch", "tiles_per_second"}] for tiles of the manifest's size, random pictures.

    folder: an exported model with its checkpoint.safetensors. prior: published checkpoint of its frozen prior, if any.
    UserError where there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: PyTorch finds no GPU")
    side = runtime.read_manifest(folder)["tile"]["size"]
    network = checkpoint.network(checkpoint.load(folder / "checkpoint.safetensors"), prior).eval().to(device)
    rows = []
    # A CPU has no arithmetic in float16: it would only cast.
    for dtype in (torch.float32, torch.float16) if device == "cuda" else (torch.float32,):
        typed = copy.deepcopy(network).to(dtype)
        # One graph for each batch: a shape that changes is not what is compared.
        for engine, model in (("pytorch eager", typed), ("pytorch compiled", torch.compile(typed, dynamic=False))):
            for batch in batches:
                image = torch.rand(batch, 3, side, side, device=device, dtype=dtype)
                rate = batch * runs_per_second(model, image, seconds)
                name = str(dtype).removeprefix("torch.")
                rows.append({"engine": engine, "type": name, "batch": batch, "tiles_per_second": round(rate, 3)})
    return rows


@torch.no_grad()
def runs_per_second(model: Callable[[Tensor], Tensor], image: Tensor, seconds: float) -> float:
    """Of forward passes in a row, after some that compile and warm up."""

    def finished() -> float:
        if image.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    for _ in range(WARM_UP):
        model(image)
    began, runs = finished(), 0
    while runs == 0 or finished() - began < seconds:
        model(image)
        runs += 1
    return runs / (finished() - began)


def markdown(rows: list[dict]) -> str:
    """A table for a person."""
    lines = ["| engine | type | batch | tiles/s |", "|---|---|--:|--:|"]
    return "\n".join(
        [*lines, *(f"| {r['engine']} | {r['type']} | {r['batch']} | {r['tiles_per_second']} |" for r in rows)]
    )
