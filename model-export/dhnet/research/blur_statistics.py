"""Measures how pairs are blurred: one kernel per patch, found from the blurred picture and its sharp twin.

Shows whether synthetic pairs (blur.py) resemble real ones: how long the paths are, whether input and target are
registered, in which light the exposure was averaged, how noisy the input is and how sharp the target.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from ..config import Config
from ..data.blur_synthesis import GAMMA
from ..data.pictures import pairs, read
from ..data.training_pairs import Source
from ..evaluation import metrics

SIDE = 128  # pixels of a patch
REACH = 28  # largest offset in pixels at which a kernel is searched
TEXTURE = 2.0  # least RMS gradient of the sharp patch, levels of 255: a flat patch shows no blur
CLEAR = 0.75  # a kernel's shape counts if the kernel explains at least this share of the energy
SHARP = 36.0  # dB from which an input counts as nearly sharp
OF_KERNEL = ("length", "width", "offset", "linear")
QUANTILES = (10, 25, 50, 75, 90)


@dataclass(frozen=True)
class Blur:
    """The figures of one patch: lengths in pixels, light in levels of 255, of the kernel that fits better of the
    two.
    """

    psnr: float  # of the input, dB
    length: float  # of the straight path whose kernel spreads as much along its longer axis: √(12·variance)
    width: float  # the same along the shorter axis
    offset: float  # distance of the kernel's centroid from 0: 0 if input and target are registered
    fit: float  # share of the input's gradient energy that one kernel explains
    linear: float  # dB by which the fit is better in linear light than in sRGB
    noise_in: float  # standard deviation of the finest detail in the flattest 5 % of the patch, input
    noise_target: float  # the same in the target
    fine_target: float  # share of the target's gradient energy above a quarter of the sampling rate


def kernel(blurred: np.ndarray, sharp: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the kernel k of least |k ∗ sharp − blurred|² over gradients, and the share of energy that it explains.

    [H, W] both → [2·REACH+1, 2·REACH+1], not negative, sum 1. Regularised division of windowed spectra.
    """
    window = np.outer(*(np.hanning(n) for n in sharp.shape))
    s, b = (np.fft.fft2((x - x.mean()) * window) for x in (sharp, blurred))
    fy, fx = (np.fft.fftfreq(n) for n in sharp.shape)
    weight = np.sin(np.pi * fy)[:, None] ** 2 + np.sin(np.pi * fx)[None] ** 2
    power = np.abs(s) ** 2 * weight
    found = np.real(np.fft.ifft2(s.conj() * b * weight / (power + 0.01 * power.mean())))
    found = np.fft.fftshift(found)
    y, x = (n // 2 for n in found.shape)
    found = found[y - REACH : y + REACH + 1, x - REACH : x + REACH + 1]
    found = np.where(found > 0.12 * found.max(), found, 0)  # the rest is noise of the division
    found = found / found.sum()
    full = np.zeros(sharp.shape)
    full[: 2 * REACH + 1, : 2 * REACH + 1] = found
    rest = b - s * np.fft.fft2(np.roll(full, (-REACH, -REACH), (0, 1)))
    return found, 1 - float((np.abs(rest) ** 2 * weight).sum() / (np.abs(b) ** 2 * weight).sum())


def moments(k: np.ndarray) -> tuple[float, float, float]:
    """Returns (length, width, offset) of a kernel, as `Blur` has them."""
    y, x = np.mgrid[: k.shape[0], : k.shape[1]] - float(k.shape[0] // 2)
    my, mx = (k * y).sum(), (k * x).sum()
    cov = (k * (x - mx) * (y - my)).sum()
    spread = np.linalg.eigvalsh([[(k * (x - mx) ** 2).sum(), cov], [cov, (k * (y - my) ** 2).sum()]])
    width, length = np.sqrt(12 * np.maximum(spread, 0))
    return float(length), float(width), float(np.hypot(mx, my))


def finest(grey: np.ndarray) -> float:
    """Returns the noise of flat parts: detail finer than σ = 1 where the local contrast is lowest."""
    detail = grey - gaussian_filter(grey, 1)
    contrast = uniform_filter(detail**2, 9)
    return float(np.sqrt(max(np.quantile(contrast, 0.05), 0)))  # rounding may make the quantile negative


def measure(blurred: np.ndarray, sharp: np.ndarray) -> Blur | None:
    """Returns the figures of a uint8 patch [H, W, 3] and its twin; None if the twin has too little texture."""
    grey = [x.astype(np.float64).mean(2) for x in (blurred, sharp)]
    dy, dx = np.gradient(grey[1])
    if np.sqrt((dy**2 + dx**2).mean()) < TEXTURE:
        return None
    light = [((x / 255.0) ** GAMMA).mean(2) for x in (blurred, sharp)]
    (k, fit), (k_light, fit_light) = kernel(*grey), kernel(*light)
    best, most = (k_light, fit_light) if fit_light > fit else (k, fit)
    spectrum = np.abs(np.fft.fft2(grey[1] - grey[1].mean())) ** 2
    fy, fx = (np.fft.fftfreq(n) for n in grey[1].shape)
    radius = np.hypot(fy[:, None], fx[None])
    energy = spectrum * radius**2
    return Blur(
        metrics.psnr(blurred, sharp),
        *moments(best),
        most,
        10 * float(np.log10(max(1 - fit, 1e-6) / max(1 - fit_light, 1e-6))),
        *(finest(x) for x in grey),
        float(energy[radius > 0.25].sum() / energy.sum()),
    )


def real_patches(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields (set, blurred, sharp) of every patch of SIDE pixels of the pairs in DIR/blur and DIR/sharp."""
    for pair in pairs(folder):
        blurred, sharp = read(pair.blur), read(pair.sharp)
        for y in range(0, sharp.shape[0] - SIDE + 1, SIDE):
            for x in range(0, sharp.shape[1] - SIDE + 1, SIDE):
                yield pair.set, *(p[y : y + SIDE, x : x + SIDE] for p in (blurred, sharp))


def synthetic_patches(config: Config, data: Path, count: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields (set, blurred, sharp) of pairs that a run's synthesis makes."""
    source = Source(data, replace(config.data, real=0.0), config.train.seed)
    for index in range(count):
        blurred, sharp = (t[0].permute(1, 2, 0).numpy() for t in source.batch(index, 1))
        yield "synthetic", blurred, sharp


def summary(patches: Iterator[tuple[str, np.ndarray, np.ndarray]]) -> list[dict]:
    """Returns a row per set: number of patches, share of nearly sharp inputs, quantiles of every figure of `Blur`.

    Figures of a kernel count only patches that one kernel explains; in other patches they describe noise.
    """
    found: dict[str, list[Blur]] = {}
    for name, blurred, sharp in patches:
        if one := measure(blurred, sharp):
            found.setdefault(name, []).append(one)
    rows = []
    for name, blurs in found.items():
        clear = [b for b in blurs if b.fit > CLEAR and b.psnr < SHARP]
        rows.append({"set": name, "patches": len(blurs), "clear": len(clear)})
        rows[-1]["nearly_sharp"] = round(sum(b.psnr >= SHARP for b in blurs) / len(blurs), 3)
        for key in asdict(blurs[0]):
            values = [getattr(b, key) for b in (clear if key in OF_KERNEL else blurs)]
            rows[-1][key] = [round(min(float(q), 99.0), 3) for q in _quantiles(values)]
    return rows


def _quantiles(values: list[float]) -> list[float]:
    return np.percentile(np.minimum(values, 99.0), QUANTILES).tolist() if values else []


def table(rows: list[dict]) -> str:
    """Returns a Markdown table with one row per figure and set."""
    lines = [f"| figure | set | {' | '.join(f'{q} %' for q in QUANTILES)} |", "|---" * (2 + len(QUANTILES)) + "|"]
    for key in (f.name for f in fields(Blur)):
        lines += [f"| {key} | {r['set']} | {' | '.join(f'{v:.2f}' for v in r[key])} |" for r in rows]
    shares = ", ".join(f"{r['set']} {100 * r['nearly_sharp']:.0f} % of {r['patches']}" for r in rows)
    return "\n".join([*lines, "", f"Patches of {SHARP:.0f} dB and more: {shares}."])
