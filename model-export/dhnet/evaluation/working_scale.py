"""Chooses the working scale of a picture, 1, 2, 3 or 4: restoration works at 1/scale of the picture's size.

The networks know blur of up to about 20 pixels. Enlarged pictures, and pictures of sensors with more pixels than the
lens resolves, spread the same blur over more pixels, and a restoration at full size changes little. `choose` estimates
how many pixels wide the finest structure of a picture is. All arithmetic is on integers, no value exceeds 2⁵³, and `//`
rounds towards minus infinity, so that shared/pixels can repeat every step exactly; scale-golden.json holds results that
both must give.

1. Luma. y = R + 2·G + B of bytes, 0 … 1020. Grey pictures have R = G = B; of 16 bits the upper byte counts; alpha
   does not count.
2. Windows. Along an axis of length L: the side is w = min(L, 256), and n = min(8, ⌈L / 256⌉) windows start at
   ⌊i·(L − w) / (n − 1)⌋, i = 0 … n − 1 (at 0 if n = 1). A window is every pair of a vertical and a horizontal one.
   A picture with a side below 64 pixels has scale 1.
3. Energies. For every lag l of LAGS, S(l) is the sum of (y(p − l) − 2·y(p) + y(p + l))² along the rows and along the
   columns of every window, wherever the three samples lie in the window, and N(l) is the number of the squares.
   e(l) = max(⌊16·S(l) / N(l)⌋ − 48, 8): the mean square in sixteenths, without what rounding to bytes adds (3).
4. Logarithms. v(l) = log₂ e(l) in units of 1/256, as `fixed_log2` defines it.
5. Slopes. d(i) = v(LAGS[i + 1]) − v(LAGS[i]), i = 0 … 4: how much faster the energy rises, the wider the finest
   structure is. The scale is 1 unless d(0) ≥ 563, or e(1) < 128 and d(1) ≥ 205: the finest differences must be weak
   beside coarser ones, or nearly absent.
6. Score = BIAS + LEVEL · min(max(v(1) − 1024, 0), 2048) + Σ SLOPES[i] · min(max(d(i), 0), 1024).
7. Scale = 1 + the number of THRESHOLDS that the score exceeds: a tie is the smaller scale.

The constants were fitted to 128×128 cuts of 91 blurred pictures of pairs-train and of 20 sharp photos, reduced by 2 and
enlarged by 1, 2, 3 and 4, half of them with JPEG or noise on top, and to noise, stripes and writing, whose scale is 1:
ridge regression of log₂ of the factor, then the thresholds of about the least mean loss of gain. A scale that is too
small loses less than one that is too large, so the thresholds lie high; noise on an enlarged picture makes it 1.
"""

from itertools import pairwise

import numpy as np

LAGS = (1, 2, 3, 4, 6, 8)
WINDOW, MOST = 256, 8  # side of a window in pixels, and windows along an axis
LEAST = 64  # pixels of the shorter side
QUANTISATION, FLOOR = 48, 8  # sixteenths
STEEP, FAINT, RISING = 563, 128, 205  # d(0), e(1) and d(1) of step 5
BIAS = 174_553
LEVEL = -115
SLOPES = (-149, 746, 877, 41, -669)
THRESHOLDS = (262_144, 445_645, 576_717)  # 1.0, 1.7 and 2.2 in units of 2⁻¹⁸


def luma(picture: np.ndarray) -> np.ndarray:
    """Returns R + 2·G + B of a uint8 picture [H, W, 3], int64 [H, W]."""
    wide = picture.astype(np.int64)
    return wide[..., 0] + 2 * wide[..., 1] + wide[..., 2]


def starts(length: int) -> list[int]:
    """Returns the starts of the windows along an axis."""
    side, count = min(length, WINDOW), min(MOST, -(-length // WINDOW))
    return [i * (length - side) // (count - 1) for i in range(count)] if count > 1 else [0]


def energies(picture: np.ndarray) -> list[int]:
    """Returns e(l) for every lag of a uint8 picture [H, W, 3] with sides of at least LEAST pixels."""
    y = luma(picture)
    sums, counts = dict.fromkeys(LAGS, 0), dict.fromkeys(LAGS, 0)
    for top in starts(y.shape[0]):
        for left in starts(y.shape[1]):
            window = y[top : top + WINDOW, left : left + WINDOW]
            for lag in LAGS:
                for lines in (window, window.T):
                    bend = lines[2 * lag :] - 2 * lines[lag:-lag] + lines[: -2 * lag]
                    sums[lag] += int((bend * bend).sum())
                    counts[lag] += bend.size
    return [max(16 * sums[lag] // counts[lag] - QUANTISATION, FLOOR) for lag in LAGS]


def fixed_log2(value: int) -> int:
    """Returns 256·log₂ of a positive integer, rounded down bit by bit.

    Shifts that drop bits bring the value to 16 bits m, 2¹⁵ ≤ m < 2¹⁶. Then m becomes ⌊m² / 2¹⁵⌋ eight times; if the
    square is 2¹⁶ or more, the next bit of the logarithm is 1 and m is halved, rounding down.
    """
    exponent = value.bit_length() - 1
    m = value << (15 - exponent) if exponent <= 15 else value >> (exponent - 15)
    result = exponent
    for _ in range(8):
        m = m * m >> 15
        carry = m >> 16
        result = 2 * result + carry
        m >>= carry
    return result


def score(e: list[int]) -> int:
    """Returns the score of step 6 for the energies of a picture."""
    v = [fixed_log2(energy) for energy in e]
    rises = [min(max(b - a, 0), 1024) for a, b in pairwise(v)]
    return BIAS + LEVEL * min(max(v[0] - 1024, 0), 2048) + sum(w * d for w, d in zip(SLOPES, rises, strict=True))


def is_smooth(e: list[int]) -> bool:
    """Returns True if the finest differences are weak enough for a scale above 1: step 5, for the energies of a
    picture.
    """
    first, second, third = (fixed_log2(energy) for energy in e[:3])
    return second - first >= STEEP or (e[0] < FAINT and third - second >= RISING)


def choose(picture: np.ndarray) -> int:
    """Returns the working scale of a uint8 picture [H, W, 3] of any size: 1, 2, 3 or 4; 1 where it is unsure."""
    if min(picture.shape[:2]) < LEAST:
        return 1
    e = energies(picture)
    return 1 + sum(score(e) > threshold for threshold in THRESHOLDS) if is_smooth(e) else 1
