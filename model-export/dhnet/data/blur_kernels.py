"""Makes blur kernels by shape."""

import numpy as np


def gaussian(sigma: float) -> np.ndarray:
    """Returns a Gaussian kernel that ends at 3.5 σ: square, odd size, sum 1."""
    radius = int(np.ceil(3.5 * sigma))
    line = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def motion(length: float, angle: float) -> np.ndarray:
    """Returns straight motion of `length` pixels at `angle` (radians, counter-clockwise): square, odd size, sum 1."""
    radius = int(np.ceil((length - 1) / 2)) + 1
    along = np.linspace(-(length - 1) / 2, (length - 1) / 2, int(16 * length))
    y, x = radius - along * np.sin(angle), radius + along * np.cos(angle)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):  # bilinear: four pixels share a sample
        share = np.abs(1 - dy - (y - row)) * np.abs(1 - dx - (x - column))
        np.add.at(kernel, (np.minimum(row + dy, 2 * radius), np.minimum(column + dx, 2 * radius)), share)
    return kernel / kernel.sum()
