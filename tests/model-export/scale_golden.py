"""Makes scale-golden.json, the results of the working scale that Python and TypeScript must both compute exactly.

Pictures are given by `pattern`, which TypeScript makes by the same integer arithmetic. Run as a script, this file
writes the golden file anew.
"""

import json
from pathlib import Path

import numpy as np
from conftest import ROOT
from dhnet.evaluation import scaled_restoration, working_scale

GOLDEN = Path(ROOT) / "scale-golden.json"
SMALL = ((1, 1, 1), (7, 5, 2), (13, 9, 3), (8, 12, 1))  # height, width, step
PATTERNS = ((1, 0), (2, 4), (1, 6), (3, 3), (4, 0), (6, 4), (6, 8), (9, 4), (9, 8))  # step, passes
LARGE = [(*size, *pattern) for size in ((64, 90), (300, 70), (520, 601)) for pattern in PATTERNS]
TOO_SMALL = ((63, 200, 9, 8), (200, 63, 9, 8))


def hashed(y: np.ndarray, x: np.ndarray, channel: int) -> np.ndarray:
    """Returns bytes at lattice points. All products are mod 2³², as Math.imul and >>> 0 have them:
    h = y·374761393 + x·668265263 + channel·2246822519; h = (h xor h >> 13)·1274126177; the byte is h >> 16 & 255.
    """
    mask = np.uint64(0xFFFFFFFF)
    terms = y.astype(np.uint64) * np.uint64(374761393) + x.astype(np.uint64) * np.uint64(668265263)
    h = (terms + np.uint64(channel * 2246822519)) & mask
    h = ((h ^ (h >> np.uint64(13))) * np.uint64(1274126177)) & mask
    return (h >> np.uint64(16)).astype(np.int64) & 255


def pattern(height: int, width: int, step: int, passes: int = 0) -> np.ndarray:
    """uint8 [height, width, 3]: hashed bytes at every `step`-th pixel, linear between them, smoothed `passes` times.

    A pass weighs three neighbours by 1, 2, 1 along the columns, then along the rows; the border is repeated. Nothing is
    rounded before the end: sums stand for step²·16^passes times a byte, and are then rounded half up.
    """
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    (row, fy), (column, fx) = (np.divmod(v, step) for v in (y, x))
    unit, channels = step * step * 16**passes, []
    for channel in range(3):
        corners = [[hashed(row + i, column + j, channel) for j in (0, 1)] for i in (0, 1)]
        upper, lower = (left * (step - fx) + right * fx for left, right in corners)
        sums = upper * (step - fy) + lower * fy
        for _ in range(passes):
            for axis in (0, 1):
                ends = [(1, 1) if i == axis else (0, 0) for i in (0, 1)]
                before, after = (np.roll(np.pad(sums, ends, mode="edge"), shift, axis) for shift in (1, -1))
                inner = tuple(slice(1, -1) if i == axis else slice(None) for i in (0, 1))
                sums = 2 * sums + before[inner] + after[inner]
        channels.append((2 * sums + unit) // (2 * unit))
    return np.stack(channels, 2).astype(np.uint8)


def made() -> dict:
    """Returns the content of the golden file."""
    return {
        "taps": {str(scale): scaled_restoration.TAPS[scale] for scale in (2, 3, 4)},
        "resizing": [resizing(*size, scale) for size in SMALL for scale in (2, 3, 4)],
        "choices": [choice(*size) for size in (*LARGE, *TOO_SMALL)],
    }


def resizing(height: int, width: int, step: int, scale: int) -> dict:
    """Returns a pattern reduced, and (reduced − 128) enlarged as if it were a change."""
    small = scaled_restoration.reduced(pattern(height, width, step), scale)
    large = scaled_restoration.enlarged(small.astype(np.int64) - 128, scale, height, width)
    sizes = {"height": height, "width": width, "step": step, "scale": scale}
    return {**sizes, "reduced": small.flatten().tolist(), "enlarged": large.flatten().tolist()}


def choice(height: int, width: int, step: int, passes: int) -> dict:
    """Returns a pattern's energies, score and scale; only the scale where the picture is too small."""
    picture = pattern(height, width, step, passes)
    sizes = {"height": height, "width": width, "step": step, "passes": passes}
    found = {**sizes, "scale": working_scale.choose(picture)}
    if min(height, width) < working_scale.LEAST:
        return found
    energies = working_scale.energies(picture)
    return {**found, "energies": energies, "score": working_scale.score(energies)}


if __name__ == "__main__":
    lines = {key: json.dumps(value) for key, value in made().items()}
    body = ",\n".join(f'  "{key}": {text}' for key, text in lines.items())
    GOLDEN.write_text(f"{{\n{body}\n}}\n")
