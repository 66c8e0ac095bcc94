"""Tests the evaluation of exported models, with models whose outputs are known."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from dhnet.__main__ import main
from dhnet.errors import UserError
from dhnet.evaluation import (
    evaluate,
    gallery,
    known_blurs,
    markdown_tables,
    metrics,
    robustness,
    side_by_side,
    stored_results,
    text_legibility,
)
from dhnet.research import baselines
from PIL import Image
from scipy.ndimage import gaussian_filter

KODAK = Path(__file__).parents[1] / "fixtures" / "kodak"


@dataclass
class Filter:
    """A model that is a plain function of the picture."""

    restore: Callable[[np.ndarray], np.ndarray]
    manifest: dict = field(default_factory=lambda: {"name": "filter"})


def smoothed(x: np.ndarray) -> np.ndarray:
    return gaussian_filter(x.astype(float), (1.5, 1.5, 0)).round().astype(np.uint8)


def sharpened(x: np.ndarray) -> np.ndarray:
    return baselines.apply("unsharp", x, baselines.Choice("gaussian 0.8", 4.0))


UNTOUCHED = Filter(lambda x: x)


@pytest.fixture
def photo(tmp_path) -> Path:
    """A folder with a part of a sharp photo."""
    (tmp_path / "photos").mkdir()
    Image.open(KODAK / "kodim23.png").crop((200, 120, 392, 248)).save(tmp_path / "photos" / "part.png")
    return tmp_path / "photos"


def make_pair(folder: Path, name: str, height: int, width: int, seed: int = 0) -> None:
    sharp = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    for kind, pixels in (("sharp", sharp), ("blur", smoothed(sharp))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{name}.png")


def test_pairs_may_come_as_one_set_or_as_folders_of_sets(tmp_path):
    make_pair(tmp_path / "all" / "street", "a", 16, 16)
    make_pair(tmp_path / "all" / "park", "b", 16, 16)
    assert [(p.set, p.name) for p in evaluate.pair_sets(tmp_path / "all")] == [("park", "b"), ("street", "a")]
    assert [p.name for p in evaluate.pair_sets(tmp_path / "all" / "park")] == ["b"]
    with pytest.raises(UserError, match="neither blur/ and sharp/"):
        evaluate.pair_sets(tmp_path)


def test_means_run_per_set_and_leaf_by_leaf(tmp_path):
    for i, name in enumerate(("reds_a", "reds_b", "x")):
        make_pair(tmp_path / "mine", name, 40, 48, i)
    rows = evaluate.evaluate_pairs(UNTOUCHED, evaluate.pair_sets(tmp_path / "mine"), None, baselines.restorations)
    one, other = evaluate.averages(rows)
    assert (one["set"], one["images"], other["set"], other["images"]) == ("reds-frames", 2, "mine", 1)
    assert one["input"] == one["output"]
    expected = np.mean([r["fixed"]["wiener"]["psnr"] for r in rows[:2]])
    assert one["fixed"]["wiener"]["psnr"] == pytest.approx(expected, abs=1e-4)
    for row in rows:  # shown the sharp picture, the oracle cannot do worse than a fixed choice out of the same set
        for method in baselines.STRENGTHS:
            assert row["oracle"][method]["psnr"] >= row["fixed"][method]["psnr"] - 0.3
    assert "unsharp, oracle" in markdown_tables.baselines({"sets": [one, other]})


def test_equal_pictures_get_a_finite_psnr():
    a = picture(20, 24)
    assert evaluate.scores(a, a) == {"psnr": metrics.CEILING, "ssim": 1.0}
    with pytest.raises(UserError, match="cannot be compared"):
        evaluate.scores(a[:5], a[:5])


@pytest.mark.parametrize("kind", ["jpeg", "noise"])
def test_amplification_tells_smoothing_from_sharpening(photo, kind):
    def rows(model: Filter) -> dict[int, dict]:
        found = robustness.measure(model, [], [photo / "part.png"])
        return {r["level"]: r for r in found if r["kind"] == kind}

    same, soft, hard = rows(UNTOUCHED), rows(Filter(smoothed)), rows(Filter(sharpened))
    assert set(same) == set(robustness.JPEG if kind == "jpeg" else robustness.NOISE)
    for level, row in same.items():
        assert row["amplification"] == pytest.approx(1)
        assert row["input"] == row["output"]
        assert soft[level]["amplification"] < 0.8 < 1.2 < hard[level]["amplification"]
        assert soft[level]["output"]["rough"] < row["input"]["rough"] < hard[level]["output"]["rough"]


def test_blockiness_rises_with_compression_and_only_on_the_grid():
    smooth = np.asarray(Image.fromarray(picture(12, 12)).resize((160, 160), Image.Resampling.BICUBIC))
    where = np.ones(smooth.shape[:2], bool)
    found = [
        robustness.blockiness(p, where) for p in (smooth, robustness.jpeg(smooth, 70), robustness.jpeg(smooth, 15))
    ]
    assert abs(found[0]) < 0.1 < found[1] < found[2]
    shifted = np.roll(robustness.jpeg(smooth, 15), (3, 3), (0, 1))
    assert robustness.blockiness(shifted, where) < found[2] / 4


def test_noise_has_its_deviation_and_is_repeatable():
    grey = np.full((64, 64, 3), 120, np.uint8)
    once, twice = (robustness.noisy(grey, 5).astype(float) - 120 for _ in range(2))
    assert once.std() == pytest.approx(5, rel=0.05)
    assert np.array_equal(once, twice)


def test_a_restoration_that_fits_its_input_is_distinguished_from_an_invention(photo, monkeypatch):
    monkeypatch.setattr(known_blurs, "MOTIONS", (9,))
    monkeypatch.setattr(known_blurs, "DISCS", ())
    monkeypatch.setattr(known_blurs, "FACES", {"part": (8, 8, 64, 64)})
    truth = np.asarray(Image.open(photo / "part.png"))
    pattern = np.where((np.arange(truth.shape[1]) // 12 % 2)[None, :, None], 25, -25)
    invention = np.clip(truth.astype(int) + pattern, 0, 255).astype(np.uint8)

    def measured(restore: Callable[[np.ndarray], np.ndarray]) -> dict:
        return known_blurs.measure(Filter(restore), [photo / "part.png"])[0]

    same, right, wrong = measured(lambda x: x), measured(lambda x: truth), measured(lambda x: invention)
    assert same["consistency"] == same["untouched"]
    assert same["face"]["input"] == same["face"]["output"]
    assert right["output"] == right["consistency"] == right["face"]["output"] == metrics.CEILING
    assert wrong["consistency"] < same["untouched"]


def test_defocus_and_motion_keep_a_grey_picture_and_its_brightness():
    grey = np.full((40, 50, 3), 77, np.uint8)
    for kind, size in (("motion", 9), ("defocus", 2.0)):
        assert np.array_equal(known_blurs.blurred(grey, known_blurs.kernel(kind, size)), grey)
    halves = np.zeros((40, 50, 3), np.uint8)
    halves[:, 25:] = 255
    middle = known_blurs.blurred(halves, known_blurs.kernel("defocus", 4.0))[20, 24:26, 0].mean()
    assert middle > 170  # half of the light looks brighter than 128 in sRGB


def test_sharp_letters_are_read_and_blurred_letters_are_lost():
    rows = text_legibility.measure(UNTOUCHED)
    assert len(rows) == len(text_legibility.HEIGHTS) * len(text_legibility.LENGTHS)
    for row in rows:
        assert row["input"] == row["output"]
        assert row["spoilt"] == row["stain"] == 0
        assert row["length"] or row["input"]["readable"] == 1
    small = [r["input"]["readable"] for r in rows if r["height"] == text_legibility.HEIGHTS[0]]
    assert small[-1] < 0.9 < small[0]


def test_marks_on_bare_paper_and_changed_letters_are_seen(monkeypatch):
    monkeypatch.setattr(text_legibility, "HEIGHTS", (18,))
    monkeypatch.setattr(text_legibility, "LENGTHS", (5,))

    def marked(x: np.ndarray) -> np.ndarray:
        out = x.copy()
        out[3:5, 10:40] = text_legibility.PAPER - 60
        return out

    assert text_legibility.measure(Filter(marked))[0]["stain"] == 60
    assert text_legibility.measure(Filter(marked))[0]["spoilt"] == 0
    swapped = text_legibility.measure(Filter(lambda x: np.roll(x, round(18 * 1.5), 1)))[0]
    assert swapped["spoilt"] > 0.8 * swapped["input"]["readable"]


def test_the_gallery_shows_no_picture_that_may_not_be_published(tmp_path, photo):
    make_pair(tmp_path / "pairs", "reds_a", 2 * gallery.HEIGHT, 3 * gallery.WIDTH)
    make_pair(tmp_path / "pairs", "gopro_b", gallery.HEIGHT, gallery.WIDTH)
    Image.open(KODAK / "kodim04.png").save(photo / "whole.png")
    found = gallery.gallery(UNTOUCHED, evaluate.pair_sets(tmp_path / "pairs"), [photo / "whole.png"], tmp_path / "out")
    assert set(found) == {"filter-restored.jpg", "filter-failures.jpg"}
    captions = [caption for rows in found.values() for caption in rows]
    assert not any("gopro" in caption for caption in captions)
    assert sum("reds_a" in caption for caption in captions) == 4
    for name, rows in found.items():
        file = tmp_path / "out" / name
        assert Image.open(file).size == (
            3 * gallery.WIDTH + 2 * side_by_side.GAP,
            len(rows) * (gallery.HEIGHT + side_by_side.GAP) - side_by_side.GAP,
        )
        assert file.stat().st_size < gallery.LARGEST


def test_storing_figures_of_new_weights_drops_the_old_figures(exported):
    row = {"set": "s", "images": 1, "input": {"psnr": 1.0, "ssim": 0.1}, "output": {"psnr": 2.0, "ssim": 0.2}}
    stored_results.store(exported, {"sets": [{**row, "fixed": {}}], "sharp": []})
    assert json.loads((exported / "manifest.json").read_text())["measured"] == [row]
    stored_results.store(exported, {"text": []})
    assert set(stored_results.load(exported)) == {"version", "sets", "sharp", "text"}
    manifest = json.loads((exported / "manifest.json").read_text())
    (exported / "manifest.json").write_text(json.dumps({**manifest, "version": "0" * 64}))
    assert stored_results.load(exported) == {"version": "0" * 64}


def test_one_command_measures_and_stores_everything(exported, data, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(text_legibility, "HEIGHTS", (12,))
    monkeypatch.setattr(text_legibility, "LENGTHS", (5,))
    arguments = ["--pairs", str(data / "pairs-dev"), "--sharp", str(photo), "--baselines", "--robustness"]
    assert main(["evaluate", "--model", str(exported), *arguments, "--update-manifest"]) == 0
    shown = capsys.readouterr().out
    found = json.loads((exported / "evaluation.json").read_text())
    assert {"version", "sets", "images", "sharp", "robustness", "known", "text"} == set(found)
    assert {r["set"] for r in found["robustness"]} == {"gopro-crops", "reds-frames", "sharp"}
    for heading in ("gain", "oracle", "amplification", "spoilt", "output again", "PSNR(output, input)"):
        assert heading in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give --pairs, --dataset or --sharp"),
        (["--dataset", "gopro"], "give --dataset with --data"),
        (["--dataset", "gopro", "--data", "X", "--pairs", "X"], "give --dataset with --data, or --pairs"),
        (["--dataset", "gopro", "--data", "X", "--update-manifest"], "not a published dataset"),
        (["--dataset", "sidd", "--data", "X"], "no such dataset; known: gopro"),
        (["--dataset", "realblur-j", "--data", "no-such-folder"], "no such folder"),
        (["--sharp", "X", "--gallery", "X"], "--gallery needs"),
        (["--sharp", "X", "--robustness", "--update-manifest"], "stored only with both"),
        (["--sharp", "no-such-folder"], "no such folder"),
    ],
)
def test_arguments_that_do_not_fit_give_one_line_of_error(exported, capsys, arguments, reason):
    assert main(["evaluate", "--model", str(exported), *arguments]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
