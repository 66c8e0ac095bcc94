"""Checks that an exported model computes the same as the trained network."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..data.pictures import pictures, read
from ..errors import UserError
from ..evaluation import runtime
from ..network import checkpoint
from . import export

# Largest and mean deviation from PyTorch in levels of 255, by the type that the graph computes in. Weights are stored
# as float16 with their scales folded in. Rounding a uint8 output adds half a level at most and a quarter on average.
TOLERANCE = {"float32": (0.5, 0.05), "float16": (1.5, 0.1)}
ROUNDING = (0.5, 0.25)


def inputs(multiple: int, images: Path | None, size: list[int | None]) -> list[tuple[str, np.ndarray]]:
    """Returns named uint8 batches [N, H, W, 3]: noise, smooth, black, a batch of two, and cuts of real pictures.

    size: (batch, height, width) that the graph takes, None where any will do.
    """
    rng = np.random.default_rng(0)
    height, width = (fixed or 8 * multiple for fixed in size[1:])
    across, down = np.linspace(0, 255, width), np.linspace(0, 255, height)
    ramps = (np.add.outer(down, across) / 2, np.subtract.outer(down, -across) / 2, np.outer(down, across) / 255)
    found = [
        ("noise", rng.integers(0, 256, (1, height, width, 3), np.uint8)),
        ("smooth", np.stack(ramps, 2).astype(np.uint8)[None]),
        ("black", np.zeros((1, size[1] or multiple, size[2] or multiple, 3), np.uint8)),
        ("batch of two", rng.integers(0, 256, (2, size[1] or 2 * multiple, size[2] or 3 * multiple, 3), np.uint8)),
    ]
    for path in (pictures(images) if images else [])[:8]:
        picture = read(path)
        sides = [fixed or min(n // multiple * multiple, 512) for n, fixed in zip(picture.shape, size[1:], strict=False)]
        if min(sides) and all(side <= n for side, n in zip(sides, picture.shape, strict=False)):
            found.append((path.name, np.ascontiguousarray(picture[: sides[0], : sides[1]])[None]))
    return [
        (name, batch if size[0] is None else np.resize(batch, (size[0], *batch.shape[1:]))) for name, batch in found
    ]


@torch.no_grad()
def expected(model: nn.Module, image: np.ndarray) -> np.ndarray:
    """Returns PyTorch's output in levels 0…255, not rounded."""
    y = model(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255)
    return (y.clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()


def verify(folder: Path, images: Path | None, prior: Path | None = None) -> list[dict]:
    """Compares every variant with PyTorch; returns one row per variant and input, `ok` if both deviations are small.

    prior: published checkpoint of the frozen prior, where the network has one. UserError where the
    SHA-256 of a file differs from the manifest's.
    """
    manifest = runtime.read_manifest(folder)
    for file in [f for v in manifest["variants"] for f in (v, *v.get("external_data", []))]:
        if export.file_sha256(folder / file["file"]) != file["sha256"]:
            raise UserError(f"{folder / file['file']}: its SHA-256 differs from the manifest's")
    if prior is None and manifest.get("prior", {}).get("network") == "maxim":
        prior = folder / manifest["variants"][0]["external_data"][0]["file"]
    network = checkpoint.network(checkpoint.load(folder / "checkpoint.safetensors"), prior)
    batches = inputs(manifest["pad_multiple"], images, manifest.get("input_shape", [None] * 3)[:3])
    answers = [expected(network, image) for _, image in batches]
    rows = []
    for v in manifest["variants"]:
        in_bytes, session = v["input"]["type"] == "uint8", runtime.Model(folder, v["id"])
        most, mean = (t + r * in_bytes for t, r in zip(TOLERANCE[v["dtype"]], ROUNDING, strict=True))
        for (name, image), answer in zip(batches, answers, strict=True):
            given = image if in_bytes else image.astype(np.float32) / 255
            error = np.abs(session.run(given).astype(np.float64) * (1 if in_bytes else 255) - answer)
            row = {"variant": v["id"], "input": name, "max": float(error.max()), "mean": float(error.mean())}
            rows.append({**row, "ok": row["max"] <= most and row["mean"] <= mean})
    return rows
