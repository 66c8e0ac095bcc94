"""Draws pictures for the model card, chosen by measurement: where restoration works and where it fails.

Only pictures that may be published are used: REDS frames (CC BY 4.0), recognised by the name of their set, and the
sharp photos that the caller names (Kodak's are free).
"""

from pathlib import Path

import numpy as np
from PIL import Image

from ..data.pictures import Pair, read
from . import runtime
from .evaluate import psnr
from .known_blurs import blurred, kernel
from .robustness import noisy
from .side_by_side import Box, cut, side_by_side

WIDTH, HEIGHT = 320, 176
LARGEST = 200_000  # bytes of a picture file
CASES = (("motion", 9, 0), ("motion", 25, 0), ("defocus", 4, 0), ("motion", 9, 8))  # kernel, pixels, noise

Row = tuple[float, str, list[np.ndarray]]  # gain in dB, caption, [blurred, restored, sharp]


def boxes(shape: tuple[int, ...]) -> list[Box]:
    """Returns boxes that lie side by side in a picture [H, W, …]."""
    rows, columns = shape[0] // HEIGHT, shape[1] // WIDTH
    return [(x * WIDTH, y * HEIGHT, WIDTH, HEIGHT) for y in range(rows) for x in range(columns)]


def row(caption: str, trio: list[np.ndarray]) -> Row:
    """Returns a row of blurred, restored and sharp, with its gain and caption."""
    before, after = psnr(trio[0], trio[2]), psnr(trio[1], trio[2])
    return after - before, f"{caption}: {before:.2f} → {after:.2f} dB", trio


def reds_rows(model: runtime.Model, pairs: list[Pair]) -> list[Row]:
    """Returns all cuts of REDS frames among the pairs, except cuts of little contrast such as sky."""
    out = []
    for pair in pairs:
        if pair.set.startswith("reds"):
            blur, sharp = read(pair.blur), read(pair.sharp)
            trio = [blur, model.restore(blur), sharp]
            for box in boxes(sharp.shape):
                if cut(sharp, box).std() > 25:
                    out.append(row(f"{pair.name}, {box[0]}/{box[1]}", [cut(p, box) for p in trio]))
    return out


def photo_rows(model: runtime.Model, photos: list[Path]) -> list[Row]:
    """Returns the middle of one blurred photo for every case, using the photos in turn."""
    out = []
    for i, (kind, size, noise) in enumerate(CASES):
        path = photos[i % len(photos)]
        sharp = read(path)
        given = noisy(blurred(sharp, kernel(kind, size)), noise)
        left, top = (sharp.shape[1] - WIDTH) // 2, (sharp.shape[0] - HEIGHT) // 2
        trio = [cut(p, (left, top, WIDTH, HEIGHT)) for p in (given, model.restore(given), sharp)]
        out.append(row(f"{path.stem}, {kind} of {size} px" + (f", noise σ {noise}" if noise else ""), trio))
    return out


def save(path: Path, rows: list[Row]) -> list[str]:
    """Writes rows as one JPEG below LARGEST bytes and returns their captions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(side_by_side([trio for _, _, trio in rows]))
    for quality in range(90, 30, -10):
        image.save(path, quality=quality)
        if path.stat().st_size < LARGEST:
            break
    return [caption for _, caption, _ in rows]


def gallery(model: runtime.Model, pairs: list[Pair], photos: list[Path], out: Path) -> dict[str, list[str]]:
    """Writes OUT/MODEL-restored.jpg and OUT/MODEL-failures.jpg; returns the captions by file name.

    They show the two best and the two worst cuts of REDS, the best case of a blurred photo and the two worst.
    """
    ranked = sorted(reds_rows(model, pairs), key=lambda r: -r[0])
    known = sorted(photo_rows(model, photos), key=lambda r: -r[0])
    name = model.manifest["name"]
    chosen = {
        f"{name}-restored.jpg": [*ranked[:2], *known[:1]],
        f"{name}-failures.jpg": [*ranked[2:][-2:], *known[1:][-2:]],
    }
    return {file: save(out / file, rows) for file, rows in chosen.items() if rows}
