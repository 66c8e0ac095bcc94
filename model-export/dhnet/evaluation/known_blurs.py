"""Measures sharp photos that were blurred by a known kernel: gain by blur, and whether the output fits its input.

If a network invents structure, its output, blurred again, differs from its input. The test is one-sided: detail that
the kernel erases completely leaves no trace in the input, so that inventions there are not found.
"""

from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from ..data.blur_kernels import motion
from ..data.blur_synthesis import GAMMA, disc
from ..data.pictures import read
from . import runtime
from .evaluate import mean, psnr
from .side_by_side import Box, cut

ANGLE = np.pi / 6  # of the motion; no axis of the tiles or of the pixels
MOTIONS = (3, 5, 9, 13, 17, 25, 35)  # pixels
DISCS = (1.0, 2.0, 4.0)  # radii of defocus, pixels
FACES: dict[str, Box] = {"kodim04": (110, 270, 300, 290)}  # where a photo, by its name, shows a face


def kernel(kind: str, size: float) -> np.ndarray:
    """Returns a kernel by kind ("motion" or "defocus") and length or radius in pixels."""
    return motion(size, ANGLE) if kind == "motion" else disc(size, 0).numpy()


def blurred(picture: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Returns a uint8 picture [H, W, 3] convolved with a symmetric kernel in linear light and reflected at its
    borders.
    """
    radius = k.shape[0] // 2
    light = np.pad((picture / 255.0) ** GAMMA, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    out = fftconvolve(light, k[:, :, None], mode="valid", axes=(0, 1))
    return np.floor(np.clip(out, 0, 1) ** (1 / GAMMA) * 255 + 0.5).astype(np.uint8)


def one(model: runtime.Model, photo: np.ndarray, k: np.ndarray, face: Box | None) -> dict:
    """Returns the figures of one photo, see `measure`; with `face`, those of that part as well."""
    given = blurred(photo, k)
    restored = model.restore(given)
    row: dict = {
        "input": psnr(given, photo),
        "output": psnr(restored, photo),
        "untouched": psnr(blurred(given, k), given),
        "consistency": psnr(blurred(restored, k), given),
    }
    if face:
        row["face"] = {"input": psnr(cut(given, face), cut(photo, face))}
        row["face"]["output"] = psnr(cut(restored, face), cut(photo, face))
    return row


def measure(model: runtime.Model, photos: list[Path]) -> list[dict]:
    """Returns one row per kernel: means over the photos in dB, and `face` over the photos of FACES.

    `input` and `output` are PSNR against the sharp photo. `consistency` is the PSNR of the output, blurred again,
    against the input. `untouched` is the PSNR of the input, blurred again, against itself; a restoration must exceed
    it.
    """
    sharp = {p.stem: read(p) for p in photos}
    rows = []
    for kind, size in [("motion", m) for m in MOTIONS] + [("defocus", r) for r in DISCS]:
        found = [one(model, photo, kernel(kind, size), FACES.get(name)) for name, photo in sharp.items()]
        faces = [row.pop("face") for row in found if "face" in row]
        rows.append({"kind": kind, "size": size, "images": len(sharp), **mean(found)})
        if faces:
            rows[-1]["face"] = mean(faces)
    return rows
