"""Measuring a model: PSNR and SSIM per set, through the product's own path or straight from PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from . import metrics, runtime, tiling
from .config import UserError
from .data import Pair, pairs, pictures, read
from .export import write_json

if TYPE_CHECKING:
    from .model import DHNet


def dev_scores(model: "DHNet", dev: list[Pair], device: str, bf16: bool) -> dict[str, list[float]]:
    """Mean PSNR per set as [input, output], with the shipped tiling but PyTorch: for use while training."""

    @torch.no_grad()
    def run(tile: np.ndarray) -> np.ndarray:
        image = torch.from_numpy(tile).permute(0, 3, 1, 2).to(device).float() / 255
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            restored = model(image)
        return (restored.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    sets: dict[str, list[tuple[float, float]]] = {}
    for pair in dev:
        blur, sharp = read(pair.blur), read(pair.sharp)
        restored = tiling.apply(blur, run, 256, 32, model.config.pad_multiple)
        sets.setdefault(pair.set, []).append((metrics.psnr(blur, sharp), metrics.psnr(restored, sharp)))
    return {name: [float(v) for v in np.mean(values, 0)] for name, values in sets.items()}


def scores(picture: np.ndarray, sharp: np.ndarray) -> dict[str, float]:
    """{"psnr", "ssim"} of one picture."""
    return {"psnr": metrics.psnr(picture, sharp), "ssim": metrics.ssim(picture, sharp)}


def averages(rows: list[dict]) -> list[dict]:
    """Per-picture rows → one row per set, in order of first appearance: means rounded to 4 digits."""
    out = []
    for name in dict.fromkeys(row["set"] for row in rows):
        group = [row for row in rows if row["set"] == name]
        summary = {"set": name, "images": len(group)}
        for side in ("input", "output"):
            summary[side] = {m: round(float(np.mean([r[side][m] for r in group])), 4) for m in ("psnr", "ssim")}
        out.append(summary)
    return out


def evaluate_pairs(model: runtime.Model, folder: Path, out: Path | None) -> list[dict]:
    """One row per pair of DIR/blur and DIR/sharp; restored pictures go to `out` as PNG."""
    rows = []
    for pair in pairs(folder):
        blur, sharp = read(pair.blur), read(pair.sharp)
        restored = model.restore(blur)
        keep(restored, out, pair.name)
        rows.append(
            {"name": pair.name, "set": pair.set, "input": scores(blur, sharp), "output": scores(restored, sharp)}
        )
    return rows


def evaluate_sharp(model: runtime.Model, folder: Path, out: Path | None) -> list[dict]:
    """PSNR and SSIM of the output against its input, for pictures that are sharp already."""
    rows = []
    for path in pictures(folder):
        picture = read(path)
        restored = model.restore(picture)
        keep(restored, out, path.stem)
        rows.append({"name": path.stem, "fidelity": scores(restored, picture)})
    return rows


def keep(picture: np.ndarray, out: Path | None, name: str) -> None:
    """Write a picture as OUT/name.png, if a folder is given."""
    if out:
        out.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(out / f"{name}.png")


def strip(model: runtime.Model, blur: Path, sharp: Path, out: Path, crop: tuple[int, int, int, int] | None) -> None:
    """Blurred, restored and sharp side by side, as a picture for documents; the whole picture is restored, then cut.

    `crop` is left, top, width, height in pixels.
    """
    left, top, width, height = crop or (0, 0, *Image.open(blur).size)
    picture, twin = read(blur), read(sharp)
    if picture.shape != twin.shape or top + height > picture.shape[0] or left + width > picture.shape[1]:
        raise UserError(f"strip: {blur} and {sharp} must be of one size and hold the crop")
    cuts = [x[top : top + height, left : left + width] for x in (picture, model.restore(picture), twin)]
    gap = np.full((height, 8, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([cuts[0], gap, cuts[1], gap, cuts[2]], 1)).save(out, quality=90)


def table(summary: list[dict]) -> str:
    """The Markdown table of per-set means."""
    heads = ("set", "images", "input PSNR", "output PSNR", "gain", "input SSIM", "output SSIM")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for s in summary:
        a, b = s["input"], s["output"]
        lines.append(
            f"| {s['set']} | {s['images']} | {a['psnr']:.2f} | {b['psnr']:.2f} | {b['psnr'] - a['psnr']:+.2f} "
            f"| {a['ssim']:.4f} | {b['ssim']:.4f} |"
        )
    return "\n".join(lines)


def update_manifest(folder: Path, summary: list[dict], rows: list[dict]) -> None:
    """Write `measured` into the manifest and everything into evaluation.json beside it."""
    manifest = runtime.read_manifest(folder)
    manifest["measured"] = summary
    write_json(folder / "manifest.json", manifest)
    write_json(folder / "evaluation.json", {"version": manifest["version"], "sets": summary, "images": rows})
