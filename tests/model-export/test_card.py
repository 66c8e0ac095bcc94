"""Tests that the model card shows the measured figures."""

import json
import re
from pathlib import Path

import pytest
from conftest import ROOT
from dhnet.__main__ import main
from dhnet.evaluation import model_card, stored_results

SETS = [{"set": "s", "images": 1, "input": {"psnr": 20.0, "ssim": 0.5}, "output": {"psnr": 21.25, "ssim": 0.6}}]


def document(folder: Path, *names: str) -> Path:
    path = folder / "CARD.md"
    path.write_text("By hand.\n" + "".join(f"<!-- figures: {folder}/tiny {n} -->\nold\n<!-- end -->\n" for n in names))
    return path


def test_figures_are_filled_in_and_the_other_text_stays(exported, tmp_path):
    stored_results.store(exported, {"sets": SETS, "gallery": {"tiny-restored.jpg": ["a caption"]}})
    path = document(tmp_path, "sets", "facts", "text", "curve", "tiny-restored.jpg")
    assert main(["card", "--card", str(path), "--check"]) == 1
    assert "old" in path.read_text()
    assert main(["card", "--card", str(path)]) == 0
    text = path.read_text()
    assert text.startswith("By hand.\n")
    assert "old" not in text
    assert "| s | 1 | 20.00 | 21.25 | +1.25 | 0.5000 | 0.6000 |" in text
    assert json.loads((exported / "manifest.json").read_text())["version"][:12] in text
    assert "Not measured for this version" in text
    assert "1. a caption" in text
    assert main(["card", "--card", str(path), "--check"]) == 0


def test_an_empty_section_is_filled_without_touching_the_next(exported, tmp_path):
    path = document(tmp_path, "facts", "sets")
    path.write_text(path.read_text().replace("old\n", ""))
    assert main(["card", "--card", str(path)]) == 0
    assert path.read_text().count("<!-- end -->") == path.read_text().count("<!-- figures:") == 2


def test_a_card_with_an_unknown_table_is_refused(exported, tmp_path, capsys):
    assert main(["card", "--card", str(document(tmp_path, "nonsense"))]) == 1
    assert "no table `nonsense`" in capsys.readouterr().err


def test_the_shipped_card_has_the_measured_figures_and_all_its_pictures():
    path = ROOT / "MODEL_CARD.md"
    text = path.read_text()
    assert model_card.MARKED.search(text)
    assert model_card.filled(text, ROOT / "docs") == text
    for name in re.findall(r"\]\((docs/[^)]+)\)", text):
        assert (ROOT / name).stat().st_size < 200_000, name


@pytest.mark.parametrize("folder", sorted((ROOT / "weights").glob("*/")), ids=lambda p: p.name)
def test_every_shipped_version_was_measured(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["version"] == manifest["version"]
    # Of DHNet-B only the sets and the sharp photos were measured so far; the model card says so.
    further = {"robustness", "known", "text"} if folder.name == "dhnet-edge" else set()
    assert {"sets", "sharp"} | further <= set(found)
    for shown, kept in zip(manifest["measured"], found["sets"], strict=True):
        assert shown.items() <= kept.items()
