"""Does the exported model compute what the trained network computes?"""

from pathlib import Path

import numpy as np
import torch

from . import checkpoint, export, runtime
from .config import UserError
from .data import pictures, read
from .model import DHNet

# Largest deviation from PyTorch in levels of 255: float16 storage of the folded weights, plus the
# half level that rounding to uint8 may add.
TOLERANCE = {"uint8": 1.0, "float32": 0.5}
MEAN_TOLERANCE = {"uint8": 0.30, "float32": 0.05}


def inputs(multiple: int, images: Path | None) -> list[tuple[str, np.ndarray]]:
    """Named uint8 batches [N, H, W, 3]: noise, smooth, flat, a batch of two, and cuts of real pictures."""
    rng = np.random.default_rng(0)
    side = 8 * multiple
    ramp = np.linspace(0, 255, side)
    smooth = np.stack([np.add.outer(ramp, ramp) / 2, np.subtract.outer(ramp, -ramp) / 2, np.outer(ramp, ramp) / 255], 2)
    found = [
        ("noise", rng.integers(0, 256, (1, side, side, 3), np.uint8)),
        ("smooth", smooth.astype(np.uint8)[None]),
        ("black", np.zeros((1, multiple, multiple, 3), np.uint8)),
        ("batch of two", rng.integers(0, 256, (2, 2 * multiple, 3 * multiple, 3), np.uint8)),
    ]
    for path in (pictures(images) if images else [])[:8]:
        picture = read(path)
        height, width = (min(n // multiple * multiple, 512) for n in picture.shape[:2])
        found.append((path.name, np.ascontiguousarray(picture[:height, :width])[None]))
    return found


@torch.no_grad()
def expected(model: DHNet, image: np.ndarray) -> np.ndarray:
    """PyTorch's answer, in levels 0…255, not rounded."""
    y = model(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255)
    return (y.clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()


def verify(folder: Path, images: Path | None) -> list[dict]:
    """Compare every variant with PyTorch; one row per variant and input. Raises UserError on a mismatch."""
    manifest = runtime.read_manifest(folder)
    for v in manifest["variants"]:
        if export.file_sha256(folder / v["file"]) != v["sha256"]:
            raise UserError(f"{folder / v['file']}: its SHA-256 differs from the manifest's")
    network = checkpoint.network(checkpoint.load(folder / "checkpoint.safetensors"))
    rows = []
    for v in manifest["variants"]:
        kind, session = v["id"], runtime.Model(folder, v["id"])
        for name, image in inputs(manifest["pad_multiple"], images):
            given = image if kind == "uint8" else image.astype(np.float32) / 255
            got = session.run(given).astype(np.float64) * (1 if kind == "uint8" else 255)
            error = np.abs(got - expected(network, image))
            row = {"variant": kind, "input": name, "max": float(error.max()), "mean": float(error.mean())}
            rows.append({**row, "ok": row["max"] <= TOLERANCE[kind] and row["mean"] <= MEAN_TOLERANCE[kind]})
    return rows
