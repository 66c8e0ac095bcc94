"""PSNR and SSIM in RGB on whole pictures."""

import numpy as np


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures [H, W, 3], in dB; infinite if they are equal."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _blur(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Separable filter over the first two axes, only where the window fits."""
    size = len(kernel)
    rows = sum(k * x[i : x.shape[0] - size + 1 + i] for i, k in enumerate(kernel))
    return sum(k * rows[:, i : x.shape[1] - size + 1 + i] for i, k in enumerate(kernel))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two uint8 pictures [H, W, 3]: 11×11 Gaussian, σ 1.5, K = 0.01 and 0.03.

    The mean runs over positions where the window fits (as in scikit-image). Pictures under 11 pixels: NaN.
    """
    if min(a.shape[:2]) < 11:
        return float("nan")
    x = np.arange(-5, 6)
    kernel = np.exp(-(x**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    a, b = a.astype(np.float64), b.astype(np.float64)
    ma, mb = _blur(a, kernel), _blur(b, kernel)
    va, vb = _blur(a * a, kernel) - ma * ma, _blur(b * b, kernel) - mb * mb
    cov = _blur(a * b, kernel) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))))
