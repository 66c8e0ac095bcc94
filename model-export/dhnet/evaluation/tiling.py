"""Cuts a picture into overlapping tiles and blends them. Must equal shared/pixels/tiling.ts to the pixel."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """Tiles along one axis: `extent` pixels from each start; ramp i blends tile i into tile i+1."""

    extent: int
    starts: list[int]
    ramp_starts: list[int]


def plan(length: int, tile: int, overlap: int, pad_multiple: int, align: int = 1) -> Plan:
    """Plans tiles of `tile` pixels over an axis of `length`; a short axis is one tile, rounded up to `pad_multiple`.

    Tiles start at multiples of `align`, which divides `tile` and `tile - overlap`; the picture is extended to such a
    length.
    """
    if length <= tile:
        return Plan(-(-length // pad_multiple) * pad_multiple, [0], [])
    continued = -(-length // align) * align
    n = math.ceil((continued - overlap) / (tile - overlap))
    starts = [align * math.floor(i * (continued - tile) / (align * (n - 1)) + 0.5) for i in range(n)]
    ramps = [(b + a + tile - overlap) // 2 for a, b in itertools.pairwise(starts)]
    return Plan(tile, starts, ramps)


def weights(p: Plan, index: int, overlap: int) -> np.ndarray:
    """Returns the weight of tile `index` at each of its pixels, float64; the weights of neighbours add up to 1."""
    at = p.starts[index] + np.arange(p.extent)
    out = np.ones(p.extent)
    if index > 0:
        out *= np.clip((at - p.ramp_starts[index - 1] + 0.5) / overlap, 0, 1)
    if index < len(p.ramp_starts):
        out *= 1 - np.clip((at - p.ramp_starts[index] + 0.5) / overlap, 0, 1)
    return out


def padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Extends a picture to the right and below by reflection without repeating the edge: [H, W, 3] → [height, width,
    3].
    """
    h, w = image.shape[:2]
    return np.pad(image, ((0, height - h), (0, width - w), (0, 0)), mode="reflect")


def apply(
    image: np.ndarray,
    run: Callable[[np.ndarray], np.ndarray],
    tile: int,
    overlap: int,
    pad_multiple: int,
    align: int = 1,
) -> np.ndarray:
    """Restores a uint8 picture [H, W, 3] tile by tile; `run` maps uint8 [1, h, w, 3] to the same shape."""
    h, w = image.shape[:2]
    rows, columns = (plan(side, tile, overlap, pad_multiple, align) for side in (h, w))
    source = padded(image, rows.starts[-1] + rows.extent, columns.starts[-1] + columns.extent)
    total = np.zeros((source.shape[0], source.shape[1], 3))
    for i, y in enumerate(rows.starts):
        for j, x in enumerate(columns.starts):
            area = slice(y, y + rows.extent), slice(x, x + columns.extent)
            weight = weights(rows, i, overlap)[:, None, None] * weights(columns, j, overlap)[None, :, None]
            total[area] += weight * run(np.ascontiguousarray(source[area])[None])[0]
    return np.floor(total[:h, :w] + 0.5).astype(np.uint8)
