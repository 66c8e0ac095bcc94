"""Computes PSNR and SSIM in RGB on whole pictures."""

import numpy as np

CEILING = 100.0  # dB; stands for equal pictures, because JSON has no infinity
WINDOW = 11  # side of the window of SSIM, pixels


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the peak signal-to-noise ratio in dB of two pictures or sets of pixels in levels of 255; infinite if
    equal.
    """
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _blur(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Returns a picture filtered along its first two axes, only where the window fits."""
    size = len(kernel)
    rows = sum(k * x[i : x.shape[0] - size + 1 + i] for i, k in enumerate(kernel))
    return sum(k * rows[:, i : x.shape[1] - size + 1 + i] for i, k in enumerate(kernel))


def ssim(a: np.ndarray, b: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Returns the structural similarity of two pictures [H, W, 3] in levels of 255: 11×11 Gaussian, σ 1.5, K = 0.01,
    0.03.

    The mean runs over positions where the window fits (as in scikit-image) and that are `counted`, bool [H, W].
    Pictures with a side below 11 pixels give NaN.
    """
    if min(a.shape[:2]) < WINDOW:
        return float("nan")
    reach = WINDOW // 2
    x = np.arange(-reach, reach + 1)
    kernel = np.exp(-(x**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    a, b = a.astype(np.float64), b.astype(np.float64)
    ma, mb = _blur(a, kernel), _blur(b, kernel)
    va, vb = _blur(a * a, kernel) - ma * ma, _blur(b * b, kernel) - mb * mb
    cov = _blur(a * b, kernel) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(np.mean(similar if counted is None else similar[counted[reach:-reach, reach:-reach]]))
