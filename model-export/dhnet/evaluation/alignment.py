"""RealBlur's protocol (Rim et al., ECCV 2020): a picture is aligned with its sharp twin before it is measured.

The blurred and the sharp camera of RealBlur see the scene from places a little apart and with exposures a little apart.
As in the authors' evaluation, a picture is scaled to its twin's light and warped by the homography of the highest
enhanced correlation coefficient (ECC, Evangelidis & Psarakis 2008); PSNR and SSIM count the pixels that it then covers.
The order is the authors' as well: the light is matched first, so a picture far out of place keeps an error of some
per cent.
"""

import cv2
import numpy as np

from ..errors import UserError
from . import metrics

STEPS, SMOOTHING = 100, 5  # iterations of ECC, and the side of the Gaussian that it smooths both pictures by


def aligned(picture: np.ndarray, sharp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aligns one uint8 picture [H, W, 3] with another of the same size.

    Returns the first picture on the pixels of the second, float32 in levels of 255, and the pixels that it covers,
    bool [H, W]. UserError where no alignment is found.
    """
    x, z = (p.astype(np.float32) for p in (sharp, picture))
    z *= np.sum(x * z, dtype=np.float64) / max(np.sum(z * z, dtype=np.float64), 1e-9)
    grey = [cv2.cvtColor(p / 255, cv2.COLOR_RGB2GRAY) for p in (x, z)]
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, 0)
    start = np.eye(3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(*grey, start, cv2.MOTION_HOMOGRAPHY, criteria, None, SMOOTHING)
    except cv2.error:  # a flat picture, or two pictures of different things
        raise UserError("cannot be aligned with its sharp twin: the two show different things, or nothing") from None
    size, inverse = sharp.shape[1::-1], cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(z, warp, size, flags=cv2.INTER_CUBIC | inverse, borderMode=cv2.BORDER_REFLECT)
    covered = cv2.warpPerspective(np.ones(z.shape[:2], np.uint8), warp, size, flags=cv2.INTER_NEAREST | inverse)
    return moved, covered > 0


def scores(picture: np.ndarray, sharp: np.ndarray) -> dict[str, float]:
    """Returns {"psnr", "ssim"} of a uint8 picture [H, W, 3] aligned with its twin, over the pixels that both show."""
    if picture.shape != sharp.shape or min(sharp.shape[:2]) < metrics.WINDOW:
        raise UserError(f"evaluate: pictures of {picture.shape[:2]} and {sharp.shape[:2]} cannot be compared")
    moved, covered = aligned(picture, sharp)
    found = metrics.psnr(moved[covered], sharp[covered]), metrics.ssim(moved, sharp, covered)
    return dict(zip(("psnr", "ssim"), (round(min(v, metrics.CEILING), 4) for v in found), strict=True))
