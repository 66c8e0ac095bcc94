"""Measures whether restoration amplifies JPEG compression and noise.

A degraded input is compared with the undegraded input of the same picture. PSNR against the sharp picture does not tell
compression artefacts from structure, so the change that the degradation makes in the output is measured by itself.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

from ..data.pictures import Pair, read
from . import runtime
from .evaluate import mean, psnr

JPEG = (90, 70, 50, 30)  # qualities, colours at half resolution
NOISE = (2, 5, 10)  # standard deviations, levels of 255
FLAT = 0.1  # share of the picture that counts as flat: where the sharp picture's gradient is least


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Returns a uint8 picture [H, W, 3] after encoding it as JPEG and decoding it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.array(Image.open(buffer))


def noisy(picture: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    """Returns a uint8 picture with white Gaussian noise, independent in every channel."""
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.floor(picture + noise + 0.5), 0, 255).astype(np.uint8)


def degradations(picture: np.ndarray) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yields (kind, level, degraded picture) for every kind and level."""
    for quality in JPEG:
        yield "jpeg", quality, jpeg(picture, quality)
    for sigma in NOISE:
        yield "noise", sigma, noisy(picture, sigma)


def grey(picture: np.ndarray) -> np.ndarray:
    """Returns the mean of the channels, float64 [H, W]."""
    return picture.astype(np.float64).mean(2)


def flat(sharp: np.ndarray) -> np.ndarray:
    """Returns bool [H, W], True for the share FLAT of pixels with the least gradient at σ = 2."""
    gradient = gaussian_gradient_magnitude(grey(sharp), 2)
    return gradient <= np.quantile(gradient, FLAT)


def roughness(picture: np.ndarray, where: np.ndarray) -> float:
    """Returns the standard deviation of detail finer than σ = 1.5 over the pixels `where`, in levels of 255."""
    detail = grey(picture) - gaussian_filter(grey(picture), 1.5)
    return float(np.sqrt((detail[where] ** 2).mean()))


def blockiness(picture: np.ndarray, where: np.ndarray) -> float:
    """Returns how much more neighbours differ across the lines of JPEG's 8×8 grid than beside them, in levels of 255.

    Only neighbours that both lie in `where` count.
    """
    out = []
    for image, mask in ((grey(picture), where), (grey(picture).T, where.T)):
        step = np.abs(np.diff(image, axis=1))
        both = mask[:, 1:] & mask[:, :-1]
        line = np.broadcast_to(np.arange(step.shape[1]) % 8 == 7, step.shape)
        if (both & line).any() and (both & ~line).any():
            out.append(step[both & line].mean() - step[both & ~line].mean())
    return float(np.mean(out)) if out else 0.0


def rms(difference: np.ndarray) -> float:
    """Returns the root of the mean square."""
    return float(np.sqrt((difference.astype(np.float64) ** 2).mean()))


def compare(clean: np.ndarray, given: np.ndarray, plain: np.ndarray, restored: np.ndarray, sharp: np.ndarray) -> dict:
    """Returns the figures of one degraded picture.

    clean, given: undegraded and degraded input. plain, restored: their outputs. sharp: the truth. All uint8 [H, W, 3].

    `psnr` is against the sharp picture. `amplification` is the RMS change that the degradation makes in the output,
    divided by the RMS change that it makes in the input: 1 means that the degradation is passed on as it is.
    Roughness (`rough`) and blockiness (`blocks`) are those of flat parts.
    """
    where = flat(sharp)
    return {
        "input": {"psnr": psnr(given, sharp), "rough": roughness(given, where), "blocks": blockiness(given, where)},
        "output": {
            "psnr": psnr(restored, sharp),
            "rough": roughness(restored, where),
            "blocks": blockiness(restored, where),
        },
        "amplification": rms(restored.astype(float) - plain) / max(rms(given.astype(float) - clean), 1e-9),
    }


def measure(model: runtime.Model, pairs: list[Pair], photos: list[Path]) -> list[dict]:
    """Returns one row per set, kind and level of degradation; sharp photos are the set `sharp`."""
    found: dict[tuple[str, str, int], list[dict]] = {}
    sources = [(p.set, read(p.blur), read(p.sharp)) for p in pairs]
    sources += [("sharp", read(p), read(p)) for p in photos]
    for name, clean, sharp in sources:
        plain = model.restore(clean)
        for kind, level, given in degradations(clean):
            row = compare(clean, given, plain, model.restore(given), sharp)
            found.setdefault((name, kind, level), []).append(row)
    return [
        {"set": name, "kind": kind, "level": level, "images": len(rows), **mean(rows)}
        for (name, kind, level), rows in found.items()
    ]
