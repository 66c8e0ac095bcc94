"""Compares the working scale that is chosen with the best one: pairs enlarged and reduced, restored at several scales.

PSNR is taken at the pair's own size: the restoration of an enlarged picture is reduced to that size. If a pair is
reduced, its sharp twin is reduced as well. A sharp photo is compared with itself at the size that it was resized to.
All resizing here is Lanczos.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.pictures import Pair, read
from ..json_files import write_json
from . import scaled_restoration, working_scale
from .evaluate import mean, psnr
from .markdown_tables import table
from .runtime import Model

SHARP = "sharp"  # the set of sharp photos, which are restored at the chosen scale only
# The factor by which a picture is enlarged, and the scales that are tried beside the chosen one.
TRIED = {1: (1, 2), 2: (1, 2, 3), 3: (2, 3, 4), 4: (2, 3, 4), 0.5: (1, 2)}


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a uint8 picture [H, W, 3] as [height, width, 3]."""
    if picture.shape[:2] == (height, width):
        return picture
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def enlarged(picture: np.ndarray, factor: float) -> np.ndarray:
    """Returns a picture with `factor` times as many pixels along each axis."""
    height, width = (round(side * factor) for side in picture.shape[:2])
    return resized(picture, height, width)


def middle(picture: np.ndarray, side: int) -> np.ndarray:
    """Returns the central square of a picture, or the whole picture where it is smaller."""
    top, left = (max(0, (length - side) // 2) for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def row(model: Model, name: str, kind: str, blur: np.ndarray, sharp: np.ndarray, factor: float) -> dict:
    """Returns PSNR of the input and of the restoration at every scale tried, and the scale that is chosen."""
    given = enlarged(blur, factor)
    truth = given if kind == SHARP else sharp if factor >= 1 else enlarged(sharp, factor)
    chosen = working_scale.choose(given)
    found = {
        "name": name,
        "set": kind,
        "factor": factor,
        "chosen": chosen,
        "input": psnr(resized(given, *truth.shape[:2]), truth),
    }
    restored = {
        str(scale): psnr(
            resized(scaled_restoration.restore(given, scale, model.restore_by_tiles), *truth.shape[:2]), truth
        )
        for scale in sorted({chosen, *(() if kind == SHARP else TRIED[factor])})
    }
    return {**found, "restored": restored}


def measure(model: Model, pairs: list[Pair], photos: list[Path], side: int, out: Path) -> list[dict]:
    """Measures all pairs and sharp photos by all factors; returns the rows.

    Every row is written to `out` when it is measured, and rows that `out` holds already are not measured again.

    side: of the central square that is measured. A sharp photo is its own twin.
    """
    version = model.manifest["version"]
    known = json.loads(out.read_text()) if out.is_file() else {}
    rows = known["rows"] if known.get("version") == version and known.get("side") == side else []
    have = {(found["name"], found["factor"]) for found in rows}
    for name, kind, blur, sharp in pictures(pairs, photos):
        for factor in TRIED:
            if (name, factor) not in have:
                rows.append(row(model, name, kind, middle(blur, side), middle(sharp, side), factor))
                write_json(out, {"version": version, "side": side, "rows": rows})
    return rows


def pictures(pairs: list[Pair], photos: list[Path]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yields (name, set, blurred, sharp)."""
    for pair in pairs:
        yield pair.name, pair.set, read(pair.blur), read(pair.sharp)
    for path in photos:
        photo = read(path)
        yield path.stem, SHARP, photo, photo


def summary(rows: list[dict]) -> list[dict]:
    """Returns one row per set and factor, see `gains`."""
    out = []
    for kind in dict.fromkeys(found["set"] for found in rows):
        for factor in TRIED:
            group = [found for found in rows if (found["set"], found["factor"]) == (kind, factor)]
            if group:
                out.append({"set": kind, "factor": factor, "images": len(group), **gains(group)})
    return out


def gains(group: list[dict]) -> dict:
    """Returns the figures of one set and factor in dB.

    gain: at the chosen scale. oracle: at the best scale of each picture. fixed: at the one scale that is best for all.
    Of sharp photos only least_psnr is told, the lowest PSNR at the chosen scale.
    """
    chosen = [found["restored"][str(found["chosen"])] for found in group]
    scales = [sum(found["chosen"] == scale for found in group) for scale in scaled_restoration.SCALES]
    if group[0]["set"] == SHARP:
        return {"scales": scales, "least_psnr": min(chosen)}
    fixed = {scale: mean([found["restored"][scale] - found["input"] for found in group]) for scale in shared(group)}
    best = max(fixed, key=fixed.__getitem__)
    return {
        "scales": scales,
        "gain": mean([value - found["input"] for value, found in zip(chosen, group, strict=True)]),
        "oracle": mean([max(found["restored"].values()) - found["input"] for found in group]),
        "fixed": fixed[best],
        "fixed_scale": int(best),
    }


def shared(group: list[dict]) -> list[str]:
    """Returns the scales that were measured of every picture of a group."""
    return [scale for scale in group[0]["restored"] if all(scale in found["restored"] for found in group)]


def markdown(rows: list[dict]) -> str:
    """Returns the table of docs/scales.md."""
    heads = ("set", "size", "pictures", "chosen 1 / 2 / 3 / 4", "gain", "best of each", "best for all", "least PSNR")
    return table(heads, (_cells(found) for found in summary(rows)))


def _cells(found: dict) -> tuple[str, ...]:
    size = "×½" if found["factor"] == 0.5 else f"×{found['factor']}"
    start = (found["set"], size, str(found["images"]), " / ".join(map(str, found["scales"])))
    if found["set"] == SHARP:
        return (*start, "–", "–", "–", f"{found['least_psnr']:.1f} dB")
    fixed = f"{found['fixed']:+.2f} (at {found['fixed_scale']})"
    return (*start, f"{found['gain']:+.2f} dB", f"{found['oracle']:+.2f}", fixed, "–")
