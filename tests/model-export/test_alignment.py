"""Tests RealBlur's protocol: a known warp and a known exposure are undone before measuring."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from dhnet.errors import UserError
from dhnet.evaluation import alignment, evaluate
from PIL import Image

PHOTO = Path(__file__).parents[1] / "fixtures" / "kodak" / "kodim23.png"
SCALE = 0.8  # of the light


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[180:340, 160:400]


def seen_through(warp: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """Returns `sharp` as another camera would show it: moved and darker, uint8."""
    moved = cv2.warpPerspective(sharp, warp, sharp.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return (moved * SCALE).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("dx", "dy", "degrees", "tilt"), [(3.0, -2.0, 0.0, 0.0), (-1.5, 2.5, 0.6, 0.0), (2.0, 1.0, -0.4, 3e-5)]
)
def test_a_known_homography_and_exposure_are_undone(sharp, dx, dy, degrees, tilt):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    given = seen_through(np.array([[cos, -sin, dx], [sin, cos, dy], [tilt, 0, 1]]), sharp)
    raw, found = evaluate.scores(given, sharp), alignment.scores(given, sharp)
    assert raw["psnr"] < 17
    assert found["psnr"] > 33  # not more: the protocol matches the light before it aligns, so some of it stays wrong
    assert found["ssim"] > 0.99
    assert raw["ssim"] < 0.7


def test_pixels_that_the_other_camera_did_not_see_do_not_count(sharp):
    given = seen_through(np.array([[1, 0, -8.0], [0, 1, 0], [0, 0, 1]]), sharp)
    moved, covered = alignment.aligned(given, sharp)
    assert not covered[:, :7].any()  # content went 8 pixels to the left and out of sight
    assert covered[:, 10:].mean() > 0.98
    wrong = np.abs(moved - sharp).mean(2)
    assert wrong[:, :6].mean() > 4 * wrong[covered].mean()


def test_a_picture_that_is_aligned_already_keeps_its_scores(sharp):
    worse = np.clip(sharp + np.random.default_rng(0).normal(0, 6, sharp.shape), 0, 255).astype(np.uint8)
    raw, found = evaluate.scores(worse, sharp), alignment.scores(worse, sharp)
    assert found["psnr"] == pytest.approx(raw["psnr"], abs=0.3)
    assert found["ssim"] == pytest.approx(raw["ssim"], abs=0.02)


def test_two_pictures_of_different_things_are_refused(sharp):
    with pytest.raises(UserError, match="cannot be aligned"):
        alignment.scores(np.full_like(sharp, 90), sharp)
    with pytest.raises(UserError, match="cannot be compared"):
        alignment.scores(sharp[:20], sharp)
