"""Tests the classical baselines: they improve pictures of known blur and find its kernel."""

from pathlib import Path

import numpy as np
import pytest
from dhnet.errors import UserError
from dhnet.evaluation import metrics
from dhnet.research import baselines
from PIL import Image

PHOTO = Path(__file__).parents[1] / "fixtures" / "kodak" / "kodim23.png"


def sharp(height: int = 150, width: int = 201) -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))[200 : 200 + height, 180 : 180 + width]


def blurred(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolves by sums with reflected borders, independently of the FFTs of the code."""
    radius = kernel.shape[0] // 2
    h, w = picture.shape[:2]
    wide = np.pad(picture.astype(float), ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    total = np.zeros(picture.shape)
    for (dy, dx), weight in np.ndenumerate(kernel[::-1, ::-1]):
        if weight:
            total += weight * wide[dy : dy + h, dx : dx + w]
    return np.floor(total + 0.5).astype(np.uint8)


@pytest.mark.parametrize(("method", "gain"), [("unsharp", 1.5), ("wiener", 3.0), ("richardson-lucy", 1.5)])
def test_a_known_gaussian_is_undone(method, gain):
    clear = sharp()
    soft = blurred(clear, baselines.gaussian(1.6))
    out = baselines.deblur(method, soft, clear)
    assert out.shape == clear.shape
    assert out.dtype == np.uint8
    assert metrics.psnr(out, clear) > metrics.psnr(soft, clear) + gain


def test_the_direction_of_motion_is_found():
    clear = sharp()
    soft = blurred(clear, baselines.motion(12, np.pi * 3 / 8))
    choice = baselines.choose("wiener", soft, clear)
    assert choice.kernel in ("motion 13 67.5°", "motion 9 67.5°")
    assert metrics.psnr(baselines.apply("wiener", soft, choice), clear) > metrics.psnr(soft, clear) + 1


def test_kernels_are_centred_and_sum_to_one():
    assert len(baselines.kernels()) == len(baselines.SIGMAS) + len(baselines.LENGTHS) * baselines.ANGLES
    for name, kernel in baselines.kernels().items():
        offsets = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
        assert kernel.sum() == pytest.approx(1), name
        assert (kernel.sum(0) @ offsets, kernel.sum(1) @ offsets) == pytest.approx((0, 0), abs=1e-6), name
        assert kernel.shape[0] // 2 <= baselines.MARGIN, name


def test_angles_run_counter_clockwise():
    kernel = baselines.motion(9, np.pi / 4)
    assert kernel[: len(kernel) // 2, len(kernel) // 2 + 1 :].sum() > 0.35


@pytest.mark.parametrize("method", list(baselines.STRENGTHS))
@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (64, 33)])
def test_every_size_is_accepted_and_a_flat_picture_stays_flat(method, shape):
    flat = np.full((*shape, 3), 90, np.uint8)
    choice = baselines.Choice("motion 9 45°", baselines.STRENGTHS[method][0])
    assert np.abs(baselines.apply(method, flat, choice).astype(int) - 90).max() <= 1


def test_pictures_of_different_sizes_are_refused():
    with pytest.raises(UserError, match="differ in size"):
        baselines.deblur("wiener", sharp(40, 40), sharp(40, 41))
