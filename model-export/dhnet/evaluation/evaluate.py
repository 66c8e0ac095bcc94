"""Measures PSNR and SSIM of a model per set, through the product's own path or directly with PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..data.pictures import Pair, pairs, read
from ..errors import UserError
from ..network.model import DHNet
from . import metrics, runtime, tiling


def dev_scores(model: DHNet, dev: list[Pair], device: str, bf16: bool) -> dict[str, list[float]]:
    """Returns the mean PSNR of every set as [input, output], by PyTorch with the shipped tiling, for use while
    training.
    """

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


@torch.no_grad()
def triplet_scores(
    model: DHNet, dev: list[tuple[str, str, np.ndarray]], device: str, bf16: bool
) -> dict[str, list[float]]:
    """Mean PSNR per set of `measured` triplets as [input, output]; of sharp pictures, output as the least of them.

    A sharp picture's input is itself, so its first number is the PSNR of the prior's answer.
    """
    errors: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for label, name, triplet in dev:
        blur, answer, sharp = (torch.from_numpy(p).permute(2, 0, 1)[None].to(device).float() / 255 for p in triplet)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            restored = (model(blur, answer).float().clamp(0, 1) * 255).round() / 255
        given = answer if label == "sharp" else blur
        pair = tuple(((p - sharp) ** 2).mean().item() for p in (given, restored))
        # Cuts of a sharp photo count together; cuts of other pictures each for itself.
        key = name if label == "sharp" else f"{name} {len(errors.get(label, {}))}"
        errors.setdefault(label, {}).setdefault(key, []).append(pair)
    psnr = {
        label: [-10 * np.log10(np.maximum(np.mean(cuts, 0), 1e-10)) for cuts in found.values()]
        for label, found in errors.items()
    }
    return {
        label: [float(v) for v in (np.min if label == "sharp" else np.mean)(values, axis=0)]
        for label, values in psnr.items()
    }


def pair_sets(folder: Path) -> list[Pair]:
    """Returns the pairs of DIR/blur and DIR/sharp, or those of every DIR/SET that holds these two folders.

    UserError where there is neither.
    """
    if (folder / "blur").is_dir():
        return pairs(folder)
    sets = sorted(p.parent for p in folder.glob("*/blur") if (p.parent / "sharp").is_dir())
    if not sets:
        raise UserError(f"{folder}: holds neither blur/ and sharp/ nor folders with the two")
    return [pair for one in sets for pair in pairs(one)]


def psnr(picture: np.ndarray, sharp: np.ndarray) -> float:
    """Returns PSNR in dB, at most metrics.CEILING, rounded to 4 digits."""
    return round(min(metrics.psnr(picture, sharp), metrics.CEILING), 4)


def scores(picture: np.ndarray, sharp: np.ndarray) -> dict[str, float]:
    """Returns {"psnr", "ssim"} of one picture. UserError where sizes differ or a side is below 11 pixels."""
    if picture.shape != sharp.shape or min(sharp.shape[:2]) < metrics.WINDOW:
        raise UserError(f"evaluate: pictures of {picture.shape[:2]} and {sharp.shape[:2]} cannot be compared")
    return {"psnr": psnr(picture, sharp), "ssim": round(metrics.ssim(picture, sharp), 4)}


Judge = Callable[[np.ndarray, np.ndarray], dict[str, float]]  # a picture and its twin → scores
Rivals = Callable[[np.ndarray, np.ndarray], dict[str, dict[str, np.ndarray]]]  # the same → pictures by kind and method


def averages(rows: list[dict]) -> list[dict]:
    """Returns one row per set, in order of first appearance, with the means of all scores, rounded to 4 digits."""
    out = []
    for name in dict.fromkeys(row["set"] for row in rows):
        group = [row for row in rows if row["set"] == name]
        kinds = [key for key in group[0] if key not in ("set", "name")]
        out.append({"set": name, "images": len(group)})
        out[-1] |= {kind: mean([row[kind] for row in group]) for kind in kinds}
    return out


def mean(values: list):
    """Returns the mean of numbers, rounded to 4 digits, or of equally nested dicts of numbers, leaf by leaf."""
    if isinstance(values[0], dict):
        return {key: mean([v[key] for v in values]) for key in values[0]}
    return round(float(np.mean(values)), 4)


def evaluate_pairs(
    model: runtime.Model, found: list[Pair], out: Path | None, rivals: Rivals | None = None, judge: Judge = scores
) -> list[dict]:
    """Returns one row per pair and writes restored pictures to `out` as PNG.

    The pictures of `rivals` are judged as well.
    """
    rows = []
    for pair in found:
        blur, sharp = read(pair.blur), read(pair.sharp)
        pictures = {"input": blur, "output": model.restore(blur)}
        keep(pictures["output"], out, pair.name)
        if rivals:
            pictures |= rivals(blur, sharp)
        try:
            rows.append({"name": pair.name, "set": pair.set, **judged(pictures, sharp, judge)})
        except UserError as error:
            raise UserError(f"{pair.blur}: {error}") from None
    return rows


def judged(pictures: dict, sharp: np.ndarray, judge: Judge) -> dict:
    """Returns `pictures` with every picture, however deeply nested, replaced by its scores."""
    return {
        name: judged(given, sharp, judge) if isinstance(given, dict) else judge(given, sharp)
        for name, given in pictures.items()
    }


def evaluate_sharp(model: runtime.Model, photos: list[Path], out: Path | None) -> list[dict]:
    """Returns PSNR and SSIM of the output against its input, for pictures that are sharp already."""
    rows = []
    for path in photos:
        picture = read(path)
        restored = model.restore(picture)
        keep(restored, out, path.stem)
        rows.append({"name": path.stem, "fidelity": scores(restored, picture)})
    return rows


def keep(picture: np.ndarray, out: Path | None, name: str) -> None:
    """Writes a picture as OUT/name.png, if a folder is given."""
    if out:
        out.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(out / f"{name}.png")
