"""Tests the measurement of blur: a known motion is found in pairs, and synthetic pairs are registered."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from dhnet.__main__ import main
from dhnet.config import DataConfig
from dhnet.data import blur_synthesis, pictures
from dhnet.evaluation import known_blurs
from dhnet.research import baselines, blur_statistics
from PIL import Image
from scipy.signal import fftconvolve

PHOTO = Path(__file__).parents[1] / "fixtures" / "kodak" / "kodim23.png"


PART = slice(180, 308)


def whole() -> np.ndarray:
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def sharp() -> np.ndarray:
    return whole()[PART, PART]


def soft(length: float) -> np.ndarray:
    """Returns the same part of a photo after a motion in linear light."""
    return known_blurs.blurred(whole(), baselines.motion(length, 0.5))[PART, PART]


@pytest.mark.parametrize("length", [5, 9, 17])
def test_the_length_of_a_motion_is_found(length):
    found = blur_statistics.measure(soft(length), sharp())
    assert found.length == pytest.approx(length, abs=1 + 0.1 * length)
    assert found.width < 2.5
    assert found.offset < 0.04 * length
    assert found.fit > 0.9


def test_a_shift_between_input_and_target_is_found():
    shifted = whole()[180 + 3 : 308 + 3, 180 - 4 : 308 - 4]
    assert blur_statistics.measure(shifted, sharp()).offset == pytest.approx(5, abs=0.3)


def test_the_light_of_the_exposure_is_found():
    in_srgb = fftconvolve(whole().astype(float), baselines.motion(13, 0.5)[:, :, None], mode="same", axes=(0, 1))
    assert blur_statistics.measure(np.clip(in_srgb + 0.5, 0, 255).astype(np.uint8)[PART, PART], sharp()).linear < -1
    assert blur_statistics.measure(soft(13), sharp()).linear > 1


def test_a_flat_patch_gives_no_figures():
    flat = np.full((128, 128, 3), 90, np.uint8)
    assert blur_statistics.measure(flat, flat) is None


def test_the_command_measures_pairs_and_a_config(tmp_path, data, capsys):
    for kind in ("blur", "sharp"):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        pixels = sharp() if kind == "sharp" else soft(9)
        Image.fromarray(pixels).save(tmp_path / "pairs" / kind / "a.png")
    assert main(["blurs", "--pairs", str(tmp_path / "pairs"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["patches"], row["clear"]) == (1, 1)
    assert row["length"][2] == pytest.approx(9, abs=2)
    run = tmp_path / "run.toml"
    run.write_text("[data]\npatch = 64\n")
    arguments = ["blurs", "--config", str(run), "--data", str(data), "--count", "6"]
    assert main(arguments) == 0
    assert "| length | synthetic |" in capsys.readouterr().out
    assert main(["blurs", "--config", str(run)]) == 1


def test_a_still_camera_gives_the_target_itself(monkeypatch):
    """Without motion the whole synthesis returns the target as input."""
    move = blur_synthesis.motion
    monkeypatch.setattr(blur_synthesis, "trajectory", lambda rng, length, frames: np.zeros((frames, 2)))
    monkeypatch.setattr(blur_synthesis, "motion", lambda *given, turn: move(*given, turn=0.0))
    quiet = DataConfig(patch=32, identity=0, noise=0, jpeg=0, defocus=0, objects=0.5)
    for seed in range(8):
        given, target = blur_synthesis.synthesise(
            picture(80, 80), picture(80, 80, 1), quiet, np.random.default_rng(seed)
        )
        assert torch.equal(given, target), seed


def test_random_motion_leaves_the_centroid_of_a_spot_where_the_target_has_it():
    columns = torch.arange(65.0)
    for seed in range(10):
        maps = blur_synthesis.motion(np.random.default_rng(seed), 14.0, 15, 64, turn=0.0)
        source = torch.zeros(1, 129, 129)
        source[0, 62:67, 62:67] = 1
        shots = blur_synthesis.render(source, maps, 65)
        for shot in (shots[:-1].mean(0)[0], shots[-1, 0]):
            for axis in (0, 1):
                assert (shot.sum(axis) @ columns / shot.sum()).item() == pytest.approx(32, abs=0.02), seed


def test_rotation_displaces_the_centroid_by_second_order_only():
    """The mean of points on an arc lies off the arc, by a fraction of a pixel for usual motions."""
    points = np.array([[x, y, 1.0] for x in (-64, 0, 64) for y in (-64, 0, 64)]).T
    offsets = []
    for seed in range(200):
        at = blur_synthesis.motion(np.random.default_rng(seed), 14.0, 15, 128, turn=1.0).numpy() @ points
        assert np.allclose(at[-1], points[:2], atol=1e-4)
        offsets.append(np.hypot(*(at[:-1].mean(0) - at[-1])).mean())
    assert np.median(offsets) < 0.15
    assert np.percentile(offsets, 90) < 0.6


def test_opposite_shifts_move_the_spot_symmetrically():
    source = torch.zeros(1, 65, 65)
    source[0, 32, 32] = 1
    maps = torch.eye(3)[:2].repeat(3, 1, 1)
    maps[0, 0, 2], maps[2, 0, 2] = -5.0, 5.0
    shots = blur_synthesis.render(source, maps, 33)[:, 0]
    columns = torch.arange(33.0)
    at = [(s.sum(0) * columns).sum().item() / s.sum().item() for s in shots]
    assert at == pytest.approx([21, 16, 11], abs=1e-3)  # the map goes from output to source, so +5 moves the spot left
    assert torch.allclose(shots[0], shots[2].flip(1), atol=1e-5)


def test_rotation_grows_with_its_share():
    def swing(turn):
        maps = blur_synthesis.motion(np.random.default_rng(5), 14.0, 15, 128, turn=turn).numpy()
        return np.abs(maps[:, :, :2] - np.eye(2)).max()

    assert swing(0.0) == 0
    assert swing(0.2) == pytest.approx(swing(1.0) / 5, rel=0.02)


def test_photos_are_enlarged_on_request(tmp_path):
    (tmp_path / "sharp").mkdir()
    Image.fromarray(picture(96, 120)).save(tmp_path / "sharp" / "a.png")
    assert [p.shape for p in pictures.photos(tmp_path, DataConfig(), 60)] == [(96, 120, 3), (64, 80, 3)]
    assert [p.shape for p in pictures.photos(tmp_path, DataConfig(enlarge=1.5), 60)][-1] == (144, 180, 3)
