"""Deblurs by classical methods for comparison with the network: unsharp mask, Wiener filter, Richardson–Lucy.

A kernel and a strength are chosen in two ways from the same set, which does not hold "leave the picture alone". `FIXED`
is the choice that does best on average over training pairs, and anyone could run it. The oracle sees the sharp picture
and takes the best choice for each picture; no blind method of the kind could do better. One kernel serves the whole
picture, borders are reflected, and all filtering is done by FFT.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..data.blur_kernels import gaussian, motion
from ..errors import UserError

SIGMAS = (0.8, 1.2, 1.6, 2.0, 2.5, 3.0)  # of Gaussian kernels, pixels
LENGTHS = (5, 9, 13, 17, 21)  # of straight motion, pixels
ANGLES = 8  # directions over half a turn
CROP = 192  # side of the central square on which the best kernel is searched
MARGIN = 32  # pixels reflected around a picture, more than the radius of any kernel
TINY = 1e-10  # smallest mean square error, so that its logarithm exists
FLOOR = 1e-4  # prevents a division by zero in Richardson–Lucy

# The strengths that are tried with every kernel: gain, noise-to-signal ratio, iterations (rising).
STRENGTHS = {
    "unsharp": (0.25, 0.5, 1.0, 2.0, 4.0),
    "wiener": (0.001, 0.003, 0.01, 0.03, 0.1),
    "richardson-lucy": (4, 8, 16),
}


@dataclass(frozen=True)
class Choice:
    """A kernel of `kernels()`, by name, and a strength."""

    kernel: str
    strength: float


# `python -m dhnet baselines --pairs DATA/pairs-train` gave these on the 38 real training pairs of that time.
FIXED = {
    "unsharp": Choice("gaussian 1.6", 0.25),
    "wiener": Choice("gaussian 0.8", 0.1),
    "richardson-lucy": Choice("gaussian 0.8", 4),
}


@cache
def kernels() -> dict[str, np.ndarray]:
    """Returns the kernels that are tried, by name."""
    out = {f"gaussian {sigma}": gaussian(sigma) for sigma in SIGMAS}
    for length in LENGTHS:
        for i in range(ANGLES):
            out[f"motion {length} {180 * i / ANGLES:g}°"] = motion(length, np.pi * i / ANGLES)
    return out


def deblur(method: str, blurred: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """Restores a uint8 picture [H, W, 3] by the oracle's choice. UserError where the pictures differ in size."""
    return apply(method, blurred, choose(method, blurred, sharp))


def restorations(blurred: np.ndarray, sharp: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Returns the restorations by all methods with their fixed choices (`fixed`) and with the oracle's (`oracle`)."""
    return {
        "fixed": {method: apply(method, blurred, FIXED[method]) for method in STRENGTHS},
        "oracle": {method: deblur(method, blurred, sharp) for method in STRENGTHS},
    }


def choose(method: str, blurred: np.ndarray, sharp: np.ndarray) -> Choice:
    """Returns the oracle's kernel and strength, of the highest PSNR on the central crop with its channels averaged."""
    return max(found := gains(method, blurred, sharp), key=found.__getitem__)


def choose_for(method: str, pictures: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[Choice, float]:
    """Returns the Gaussian and strength of the highest mean gain over (blurred, sharp) pictures, and that gain in dB.

    Only Gaussians are tried, because one direction of motion would suit only the pictures that it was chosen on.
    """
    tables = [gains(method, blurred, sharp) for blurred, sharp in pictures]
    round_ones = [choice for choice in tables[0] if choice.kernel.startswith("gaussian")]
    means = {choice: float(np.mean([t[choice] for t in tables])) for choice in round_ones}
    best = max(means, key=means.__getitem__)
    return best, means[best]


def gains(method: str, blurred: np.ndarray, sharp: np.ndarray) -> dict[Choice, float]:
    """Returns the gain in PSNR over the blurred picture, in dB, of every kernel and strength. UserError if sizes
    differ.

    For speed, the gain is measured on the central crop with its channels averaged. Pixels near the border of the crop
    do not count, because the picture goes on there.
    """
    if blurred.shape != sharp.shape:
        raise UserError(f"baselines: blurred and sharp differ in size: {blurred.shape} and {sharp.shape}")
    source, target = (_centre(picture).mean(2, keepdims=True) for picture in (blurred, sharp))
    padded = _padded(source)
    inner = tuple(slice(min(16, n // 4), n - min(16, n // 4)) for n in target.shape[:2])

    def error(estimate: np.ndarray) -> float:
        return max(float(np.mean((estimate[inner] - target[inner]) ** 2)), TINY)

    before, out = error(source), {}
    for name, kernel in kernels().items():
        transfer = _transfer(kernel, padded.shape[1:])
        for strength, estimate in _estimates(method, padded, transfer):
            out[Choice(name, strength)] = 10 * float(np.log10(before / error(_cropped(estimate, target.shape))))
    return out


def apply(method: str, blurred: np.ndarray, choice: Choice) -> np.ndarray:
    """Restores a uint8 picture [H, W, 3] with one kernel and strength."""
    padded = _padded(blurred.astype(np.float32) / 255)
    transfer = _transfer(kernels()[choice.kernel], padded.shape[1:])
    estimate = next(e for s, e in _estimates(method, padded, transfer) if s == choice.strength)
    return np.floor(_cropped(estimate, blurred.shape) * 255 + 0.5).astype(np.uint8)


def _estimates(method: str, image: np.ndarray, transfer: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Yields (strength, estimate) for every strength of a method. Image [C, H, W], the kernel's spectrum [H, W/2+1]."""
    if method == "richardson-lucy":
        yield from _richardson_lucy(image, transfer)
        return
    spectrum = np.fft.rfft2(image)
    for strength in STRENGTHS[method]:
        if method == "unsharp":
            gain = 1 + strength * (1 - transfer)
        else:  # scaled so that brightness stays
            gain = transfer.conj() * (1 + strength) / (np.abs(transfer) ** 2 + strength)
        yield strength, np.fft.irfft2(spectrum * gain, image.shape[1:])


def _richardson_lucy(image: np.ndarray, transfer: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Iterates x ← x ⊙ kᵀ ∗ (image / (k ∗ x)), starting from the image."""
    estimate, shape = image, image.shape[1:]
    for iteration in range(1, max(STRENGTHS["richardson-lucy"]) + 1):
        blurred = np.fft.irfft2(np.fft.rfft2(estimate) * transfer, shape)
        ratio = image / np.maximum(blurred, FLOOR)
        estimate = estimate * np.maximum(np.fft.irfft2(np.fft.rfft2(ratio) * transfer.conj(), shape), 0)
        if iteration in STRENGTHS["richardson-lucy"]:
            yield iteration, estimate


def _transfer(kernel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns the kernel's spectrum for pictures of `shape`, its centre at the origin."""
    size = kernel.shape[0]
    full = np.zeros(shape, np.float32)
    full[:size, :size] = kernel
    return np.fft.rfft2(np.roll(full, (-(size // 2), -(size // 2)), (0, 1)))


def _centre(picture: np.ndarray) -> np.ndarray:
    """Returns the central CROP × CROP pixels as float32 in [0, 1]."""
    top, left = (max(0, (n - CROP) // 2) for n in picture.shape[:2])
    return picture[top : top + CROP, left : left + CROP].astype(np.float32) / 255


def _padded(picture: np.ndarray) -> np.ndarray:
    """Returns a picture reflected on all sides, to sizes whose FFT is fast. [H, W, C] → [C, H', W']."""
    height, width = (_fast(n + 2 * MARGIN) - n - MARGIN for n in picture.shape[:2])
    return np.pad(picture, ((MARGIN, height), (MARGIN, width), (0, 0)), mode="reflect").transpose(2, 0, 1).copy()


def _fast(size: int) -> int:
    """Returns the next size without a prime factor above 7."""
    while True:
        rest = size
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1


def _cropped(estimate: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `_padded`, clipped to [0, 1]."""
    area = estimate[:, MARGIN : MARGIN + shape[0], MARGIN : MARGIN + shape[1]]
    return np.clip(area.transpose(1, 2, 0), 0, 1)
