"""Tests published datasets: pairs are found in their folders, and a missing file gives one line of error."""

import json
from pathlib import Path

import pytest
import torch
from conftest import TINY, picture
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.config import DataConfig
from dhnet.data import published_datasets, training_pairs
from dhnet.data.feed import Feed
from dhnet.data.training_pairs import Published
from dhnet.errors import UserError
from PIL import Image

GOPRO = {
    f"GOPRO_Large/{split}/{clip}/{kind}/{frame}.png"
    for split, clips in (("train", ("GOPR0372_07_00", "GOPR0374_11_00")), ("test", ("GOPR0384_11_00",)))
    for clip in clips
    for kind in ("blur", "blur_gamma", "sharp")
    for frame in ("000047", "000048")
}
HIDE = {"HIDE_dataset/train/1fromGOPR0950.png", "HIDE_dataset/GT/1fromGOPR0950.png"} | {
    f"HIDE_dataset/{folder}/{name}.png"
    for part, name in (("test/test-close-ups", "10fromGOPR1035"), ("test/test-long-shot", "100fromGOPR1089"))
    for folder in (part, "GT")
}
REALBLUR = {
    f"RealBlur/{folder}/scene{scene}/{kind}/{kind}_{i}.png"
    for folder in ("RealBlur-J_ECC_IMCORR_centroid_itensity_ref", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref")
    for scene, count in (("001", 2), ("003", 1))
    for kind in ("gt", "blur")
    for i in range(1, count + 1)
}
REDS = {
    f"REDS/{split}/{split}_{kind}/{clip}/{frame}.{'jpg' if 'jpeg' in kind else 'png'}"
    for split, clips in (("train", ("000", "001")), ("val", ("000",)))
    for clip in clips
    for kind in ("blur", "blur_jpeg", "sharp")
    for frame in ("00000000", "00000001")
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> Path:
    """A tree of all published folders, each file a different picture of 48×64."""
    root = tmp_path_factory.mktemp("published")
    for i, name in enumerate(sorted(GOPRO | HIDE | REALBLUR | REDS)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(48, 64, i)).save(root / name)
    for letter, folder in (("J", "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"),
                           ("R", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref")):  # fmt: skip
        for split, scenes in (("train", (("001", 1), ("001", 2))), ("test", (("003", 1),))):
            lines = [f"{folder}/scene{s}/gt/gt_{i}.png {folder}/scene{s}/blur/blur_{i}.png \n" for s, i in scenes]
            (root / "RealBlur" / f"RealBlur_{letter}_{split}_list.txt").write_text("".join(lines))
    return root


@pytest.mark.parametrize(
    ("dataset", "split", "names", "blur", "sharp"),
    [
        ("gopro", "train", 4, "GOPR0372_07_00/blur/000047.png", "GOPR0372_07_00/sharp/000047.png"),
        ("gopro-gamma", "test", 2, "GOPR0384_11_00/blur_gamma/000047.png", "GOPR0384_11_00/sharp/000047.png"),
        ("hide", "test", 2, "test/test-close-ups/10fromGOPR1035.png", "GT/10fromGOPR1035.png"),
        ("hide", "train", 1, "train/1fromGOPR0950.png", "GT/1fromGOPR0950.png"),
        ("realblur-j", "train", 2, "itensity_ref/scene001/blur/blur_1.png", "itensity_ref/scene001/gt/gt_1.png"),
        ("realblur-r", "test", 1, "R_BM3D_ECC_IMCORR_centroid_itensity_ref/scene003/blur/blur_1.png", "gt_1.png"),
        ("reds", "train", 4, "train_blur/000/00000000.png", "train_sharp/000/00000000.png"),
        ("reds", "val", 2, "val_blur/000/00000000.png", "val_sharp/000/00000000.png"),
        ("reds-jpeg", "val", 2, "val_blur_jpeg/000/00000000.jpg", "val_sharp/000/00000000.png"),
    ],
)
@pytest.mark.parametrize("around", [True, False])
def test_pairs_are_found_in_folders_as_published(trees, dataset, split, names, blur, sharp, around):
    folder = trees if around else trees / published_datasets.DATASETS[dataset][0]
    pairs = published_datasets.published(dataset, folder, split)
    assert len({pair.name for pair in pairs}) == len(pairs) == names
    assert {pair.set for pair in pairs} == {f"{dataset}-{split}"}
    assert str(pairs[0].blur).endswith(blur)
    assert str(pairs[0].sharp).endswith(sharp)


@pytest.mark.parametrize(
    ("dataset", "split", "damage", "said"),
    [
        ("gopro", "train", "GOPRO_Large/train", "train: no such folder"),
        ("gopro", "test", "GOPRO_Large/test/GOPR0384_11_00/sharp", "sharp: no such folder"),
        ("gopro", "test", "GOPRO_Large/test/GOPR0384_11_00/sharp/000047.png", "000047.png: there is no sharp twin"),
        ("hide", "test", "HIDE_dataset/GT", "GT: no such folder"),
        ("realblur-j", "test", "RealBlur/RealBlur_J_test_list.txt", "RealBlur_J_test_list.txt: no such list"),
        ("realblur-r", "test", "RealBlur/RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref/scene003/gt", "line 1: "),
        ("reds", "val", "REDS/val/val_blur", "val_blur: no such folder"),
        ("reds", "test", None, "no split `test` with sharp twins; known: train, val"),
        ("sidd", "test", None, "sidd: no such dataset; known: gopro"),
    ],
)
def test_a_missing_file_or_folder_is_named_in_one_line(trees, dataset, split, damage, said):
    hidden = trees / "hidden"
    if damage:
        (trees / damage).rename(hidden)
    try:
        with pytest.raises(UserError) as error:
            published_datasets.published(dataset, trees, split)
    finally:
        if damage:
            hidden.rename(trees / damage)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_epoch_shows_every_pair_once_and_twins_stay_together(trees, monkeypatch):
    made = Published(trees, DataConfig(dataset="gopro", patch=32), seed=1)
    shown, original = [], training_pairs.read
    monkeypatch.setattr(training_pairs, "read", lambda path: shown.append(path) or original(path))
    for index in range(4):
        made.batch(index, 2)
    epochs = [shown[:8], shown[8:]]
    for epoch in epochs:
        assert sorted(epoch[::2]) == sorted(pair.blur for pair in made.pairs)
        assert [p.name for p in epoch[::2]] == [p.name for p in epoch[1::2]]
    assert torch.equal(made.batch(3, 2)[0], made.batch(3, 2)[0])


def test_crops_of_twins_lie_at_the_same_place(trees):
    made = Published(trees, DataConfig(dataset="gopro", patch=32), seed=1)
    made.pairs = [pair.__class__(pair.name, pair.set, pair.sharp, pair.sharp) for pair in made.pairs]
    blur, sharp = made.batch(0, 8)
    assert blur.shape == (8, 3, 32, 32)
    assert torch.equal(blur, sharp)
    assert len({picture.numpy().tobytes() for picture in blur}) == 8


def test_batches_come_in_order_whatever_the_number_of_workers(trees):
    wanted = [Published(trees, DataConfig(dataset="gopro", patch=32), seed=1).batch(i, 2)[0] for i in range(2, 5)]
    feed = Feed(trees, DataConfig(dataset="gopro", patch=32, workers=2), seed=1, size=2, first=2)
    got = [feed.next()[0] for _ in range(3)]
    feed.close()
    assert all(torch.equal(a.float() / 255, b) for a, b in zip(wanted, got, strict=True))


@pytest.mark.parametrize(
    ("dataset", "folder", "split", "count"),
    [
        ("gopro", "GOPRO_Large", "test", 2),
        ("hide", "HIDE_dataset", "test", 2),
        ("realblur-r", "RealBlur", "test", 1),
        ("reds", "REDS", "val", 2),
    ],
)
def test_one_command_measures_on_a_published_dataset(trees, exported, capsys, dataset, folder, split, count):
    for pair in published_datasets.published(
        dataset, trees
    ):  # RealBlur's protocol refuses twins that show different things
        Image.open(pair.sharp).resize((32, 24)).resize((64, 48)).save(pair.blur)
    arguments = ["--dataset", dataset, "--data", str(trees / folder), "--json"]
    assert main(["evaluate", "--model", str(exported), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(s["set"], s["images"]) for s in found["sets"]] == [(f"{dataset}-{split}", count)]
    assert {row["name"] for row in found["images"]} == {
        p.name for p in published_datasets.published(dataset, trees, split)
    }
    assert {"psnr", "ssim"} == set(found["sets"][0]["output"])


TABLE = "\n".join(f"{k} = {str(list(v) if isinstance(v, tuple) else v).lower()}" for k, v in TINY.items())
RUN = f"""
[model]
{TABLE}
[data]
dataset = "gopro"
patch = 32
dev = 1
[train]
steps = 1
batch = 2
bf16 = false
"""


def test_one_command_trains_on_a_published_dataset(trees, tmp_path, capsys):
    (tmp_path / "run.toml").write_text(RUN)
    arguments = ["train", "--config", str(tmp_path / "run.toml"), "--out", str(tmp_path / "out"), "--data"]
    assert main([*arguments, str(trees)]) == 0
    assert "gopro-test" in capsys.readouterr().out
    assert (tmp_path / "out" / "checkpoint.safetensors").is_file()
    assert main([*arguments, str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no such folder" in error
    assert configs.load(tmp_path / "run.toml").train.steps == 1
