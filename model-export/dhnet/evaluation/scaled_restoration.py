"""Restoration at a working scale n: reduce the picture, restore it there, add the enlarged change to the picture.

All arithmetic is on integers, and `//` rounds towards minus infinity, so that shared/pixels repeats every step exactly.

Reduce. The reduced picture has ⌈H / n⌉ × ⌈W / n⌉ pixels. Every one is the mean of n × n pixels, rounded half up:
(2·sum + n²) // (2·n²); beyond the right and lower border the picture's last column and row are repeated.

Enlarge. The change c = restored − reduced is interpolated by cubic convolution (Keys, a = −1/2) whose weights are
1024ths, with the centres of the pixels aligned. Output position x has the phase x mod n, see TAPS, and reads four
neighbours of c from ⌊x / n⌋ + first on; neighbours beyond the border are the nearest sample. First all rows are
interpolated horizontally, without rounding; then the columns: d = (sum + 2¹⁹) // 2²⁰. Sums stay below 2³¹ for bytes
and below 2⁵³ for 16 bits.

Add. The result is the picture plus d, clipped to its range.
"""

from collections.abc import Callable

import numpy as np

SCALES = (1, 2, 3, 4)
# For every scale and phase: the first of four neighbours, relative to ⌊x / n⌋, and their weights in 1024ths.
TAPS: dict[int, tuple[tuple[int, tuple[int, int, int, int]], ...]] = {
    2: ((-2, (-24, 232, 888, -72)), (-1, (-72, 888, 232, -24))),
    3: ((-2, (-38, 341, 797, -76)), (-1, (0, 1024, 0, 0)), (-1, (-76, 797, 341, -38))),
    4: (
        (-2, (-45, 399, 745, -75)),
        (-2, (-7, 93, 987, -49)),
        (-1, (-49, 987, 93, -7)),
        (-1, (-75, 745, 399, -45)),
    ),
}


def reduced(picture: np.ndarray, scale: int) -> np.ndarray:
    """Reduces a picture of non-negative integers [H, W, C] to [⌈H / scale⌉, ⌈W / scale⌉, C] of the same type."""
    height, width, channels = picture.shape
    rows, columns = -(-height // scale), -(-width // scale)
    missing = ((0, rows * scale - height), (0, columns * scale - width), (0, 0))
    wide = np.pad(picture, missing, mode="edge").astype(np.int64)
    sums = wide.reshape(rows, scale, columns, scale, channels).sum((1, 3))
    return ((2 * sums + scale * scale) // (2 * scale * scale)).astype(picture.dtype)


def enlarged(change: np.ndarray, scale: int, height: int, width: int) -> np.ndarray:
    """Enlarges a change, integers [⌈height / scale⌉, ⌈width / scale⌉, C], to int64 [height, width, C]."""
    rows = interpolated(change.astype(np.int64), scale, width, axis=1)
    return (interpolated(rows, scale, height, axis=0) + (1 << 19)) // (1 << 20)


def interpolated(values: np.ndarray, scale: int, length: int, axis: int) -> np.ndarray:
    """Returns `length` weighted sums along one axis, in 1024ths."""
    at = np.arange(length)
    first = at // scale + np.array([first for first, _ in TAPS[scale]])[at % scale]
    weights = np.array([taps for _, taps in TAPS[scale]], dtype=np.int64)[at % scale]
    shape = [length if i == axis else 1 for i in range(values.ndim)]
    return sum(
        np.take(values, np.clip(first + tap, 0, values.shape[axis] - 1), axis) * weights[:, tap].reshape(shape)
        for tap in range(4)
    )


def restore(picture: np.ndarray, scale: int, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Restores a picture of unsigned integers [H, W, 3] at 1/scale of its size by `run`, which keeps size and type."""
    if scale == 1:
        return run(picture)
    small = reduced(picture, scale)
    change = run(small).astype(np.int64) - small
    whole = picture + enlarged(change, scale, *picture.shape[:2])
    return np.clip(whole, 0, np.iinfo(picture.dtype).max).astype(picture.dtype)
