"""Tests the working scale: exact arithmetic that TypeScript repeats, and the choice by the width of structure."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, picture
from dhnet.__main__ import main
from dhnet.evaluation import runtime, scale_table, scaled_restoration, working_scale
from PIL import Image
from scale_golden import GOLDEN, made, pattern

PHOTO = Path(__file__).parents[1] / "fixtures" / "kodak" / "kodim23.png"


def test_the_golden_file_holds_what_the_code_computes():
    assert json.loads(GOLDEN.read_text()) == json.loads(json.dumps(made()))


def test_the_golden_pictures_have_different_scales_and_some_lie_near_a_threshold():
    choices = json.loads(GOLDEN.read_text())["choices"]
    assert {case["scale"] for case in choices} == {1, 2, 3}
    scores = [case["score"] for case in choices if "score" in case]
    nearest = [min(abs(score - threshold) for score in scores) for threshold in working_scale.THRESHOLDS[:2]]
    assert max(nearest) < 2**18 // 16


def test_the_weights_of_every_phase_sum_to_1024_and_mirror_each_other():
    for scale, phases in scaled_restoration.TAPS.items():
        for (first, weights), (mirrored_first, mirrored) in zip(phases, reversed(phases), strict=True):
            assert sum(weights) == 1024
            if scale != 3 or weights[1] != 1024:  # the middle of three phases is a sample itself
                assert mirrored == weights[::-1]
                assert first + mirrored_first == -3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_reduced_pixel_is_the_rounded_mean_of_its_block(scale):
    given = pattern(13, 10, 1)
    small = scaled_restoration.reduced(given, scale)
    assert small.shape == (math.ceil(13 / scale), math.ceil(10 / scale), 3)
    wanted = np.floor(given[:scale, scale : 2 * scale].astype(float).mean((0, 1)) + 0.5)
    assert small[0, 1].tolist() == wanted.tolist()
    last = given[-(13 % scale or scale) :, :scale].astype(float)
    repeated = np.concatenate([last, np.repeat(last[-1:], scale - len(last), 0)])
    assert small[-1, 0].tolist() == np.floor(repeated.mean((0, 1)) + 0.5).tolist()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_constant_change_stays_constant_and_a_slope_stays_a_slope(scale):
    even = np.full((5, 6, 3), -37)
    assert np.unique(scaled_restoration.enlarged(even, scale, 5 * scale, 6 * scale - 1)).tolist() == [-37]
    slope = np.broadcast_to(12 * np.arange(9)[None, :, None], (4, 9, 3))
    wide = scaled_restoration.enlarged(slope, scale, 4 * scale, 9 * scale)[0, 2 * scale : -2 * scale, 0]
    centres = (np.arange(9 * scale)[2 * scale : -2 * scale] + 0.5) / scale - 0.5
    assert np.abs(wide - 12 * centres).max() <= 0.55


def test_sixteen_bits_are_reduced_and_restored_without_loss_of_range():
    given = (pattern(12, 12, 1).astype(np.uint16) << 8) + 255
    restored = scaled_restoration.restore(given, 3, lambda small: np.full_like(small, 65535))
    assert restored.dtype == np.uint16
    assert restored.max() == 65535


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_network_that_changes_nothing_returns_the_picture_byte_for_byte(scale):
    given = pattern(17, 31, 2)
    assert np.array_equal(scaled_restoration.restore(given, scale, lambda small: small), given)


def test_the_logarithm_is_exact_to_its_last_digit():
    for value in (1, 2, 3, 8, 1000, 32767, 32768, 65535, 65537, 2**40 + 12345, 2**52):
        assert 0 <= 256 * math.log2(value) - working_scale.fixed_log2(value) < 1.1


def test_windows_cover_a_small_picture_and_sample_a_large_one():
    assert working_scale.starts(200) == [0]
    assert working_scale.starts(257) == [0, 1]
    assert working_scale.starts(2048) == [0, 256, 512, 768, 1024, 1280, 1536, 1792]
    assert working_scale.starts(8000)[::7] == [0, 7744]


def test_a_photo_is_restored_at_its_own_size_and_an_enlarged_one_at_a_smaller():
    photo = scale_table.middle(np.array(Image.open(PHOTO).convert("RGB")), 200)
    assert working_scale.choose(photo) == 1
    assert working_scale.choose(scale_table.enlarged(photo, 3)) > 1
    assert working_scale.choose(np.full((400, 400, 3), 90, np.uint8)) == 1  # nothing to go by
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert working_scale.choose(noise) == 1


def test_a_tie_is_the_smaller_scale(monkeypatch):
    given = pattern(64, 90, 6, 4)
    score = working_scale.score(working_scale.energies(given))
    monkeypatch.setattr(working_scale, "THRESHOLDS", (score, score + 1, score + 2))
    assert working_scale.choose(given) == 1
    monkeypatch.setattr(working_scale, "THRESHOLDS", (score - 1, score, score + 1))
    assert working_scale.choose(given) == 2


def test_evaluate_restores_at_the_scale_that_it_is_told(exported, data, capsys):
    def outputs(*arguments: str) -> list[dict]:
        assert (
            main(["evaluate", "--model", str(exported), "--pairs", str(data / "pairs-dev"), "--json", *arguments]) == 0
        )
        return [row["output"] for row in json.loads(capsys.readouterr().out)["images"]]

    assert outputs("--scale", "1") == outputs()
    assert outputs("--scale", "2") != outputs()
    model = runtime.Model(exported, scale=2)
    given = picture(50, 70)
    small = scaled_restoration.reduced(given, 2)
    change = model.restore_by_tiles(small).astype(int) - small
    wanted = np.clip(given + scaled_restoration.enlarged(change, 2, 50, 70), 0, 255)
    assert np.array_equal(model.restore(given), wanted)


def test_the_table_of_scales_is_measured_once_and_names_the_best(exported, data, tmp_path, capsys):
    arguments = ["scales", "--model", str(exported), "--pairs", str(data / "pairs-dev"), "--side", "72"]
    arguments += ["--sharp", str(data / "sharp"), "--out", str(tmp_path / "scales.json")]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    stored = (tmp_path / "scales.json").read_text()
    rows = json.loads(stored)["rows"]
    assert len(rows) == 5 * (2 + 6)
    for found in rows:
        tried = () if found["set"] == "sharp" else scale_table.TRIED[found["factor"]]
        assert set(found["restored"]) == {str(scale) for scale in (*tried, found["chosen"])}
    for found in scale_table.summary(rows):
        assert sum(found["scales"]) == found["images"]
        if found["set"] != "sharp":
            assert found["oracle"] >= max(found["gain"], found["fixed"]) - 1e-6
    assert main(arguments) == 0
    assert capsys.readouterr().out == first
    assert (tmp_path / "scales.json").read_text() == stored


def test_the_document_shows_the_measured_table():
    rows = json.loads((ROOT / "docs" / "scales.json").read_text())["rows"]
    assert scale_table.markdown(rows) in (ROOT / "docs" / "scales.md").read_text()
