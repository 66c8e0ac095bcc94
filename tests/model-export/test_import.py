"""Tests the import of published weights: seeded weights in the authors' format become models."""

import hashlib
import json
import shlex

import numpy as np
import pytest
import torch
from dhnet.__main__ import main
from dhnet.evaluation import runtime
from dhnet.network import checkpoint
from dhnet.priors import NAFNet, UFPNet
from test_priors import SMALL, published_nafnet, published_ufpnet, waves

PUBLISHED = {"nafnet": (NAFNet, published_nafnet), "ufpnet": (UFPNet, published_ufpnet)}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def authors_file(folder, network: str, width: int = 8):
    """Writes a small network's file with exactly the keys and shapes that the authors publish; returns both."""
    kind, published = PUBLISHED[network]
    model = kind(width, SMALL)
    weights = waves(model)
    assert {key: tuple(value.shape) for key, value in weights.items()} == published(width, SMALL)
    weights["ending.weight"] *= 0.03  # a residual of the size of a picture's details
    model.load_state_dict(weights)
    torch.save({"params": weights}, folder / f"{network}.pth")
    return folder / f"{network}.pth", model.eval()


@pytest.mark.parametrize("network", PUBLISHED)
def test_imported_weights_restore_as_the_authors_network_does(network, tmp_path, capsys):
    file, model = authors_file(tmp_path, network)
    assert main(["import", network, str(file), "--out", str(tmp_path / network)]) == 0
    image = np.random.default_rng(0).random((1, 32, 48, 3), np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(image).permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    restored = runtime.Model(tmp_path / network, "float32", threads=1).run(image)
    assert np.abs(wanted - image).max() > 0.05  # the network does something
    assert np.abs(restored - wanted).max() < 4e-3  # weights are stored as float16


def test_the_manifest_names_source_checksum_and_licence_and_invents_no_training(tmp_path, capsys):
    file, _ = authors_file(tmp_path, "nafnet")
    arguments = ["--name", "nafnet-reds", "--source", "https://example.com/reds.pth", "--licence", "it's free"]
    assert main(["import", "nafnet", str(file), "--out", str(tmp_path / "nafnet-reds"), *arguments]) == 0
    manifest = json.loads((tmp_path / "nafnet-reds" / "manifest.json").read_text())
    assert manifest["name"] == "nafnet-reds"
    assert manifest["paper"] == "arXiv:2204.04676"
    assert manifest["trained"] == {
        "source": "https://example.com/reds.pth",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "licence": "it's free",
    }
    assert manifest["pad_multiple"] == 16
    assert [v["id"] for v in manifest["variants"]] == ["uint8", "float32"]
    state = checkpoint.load(tmp_path / "nafnet-reds" / "checkpoint.safetensors")
    assert state["published"] == manifest["trained"]
    model = state["config"]["model"]
    assert {key: model[key] for key in ("network", "width", "encoder", "middle", "decoder")} == {
        "network": "nafnet",
        "width": 8,
        "encoder": list(SMALL),
        "middle": 1,
        "decoder": [1, 1, 1, 1],
    }


def test_the_printed_line_gives_a_shell_the_manifest_without_its_variants(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, _ = authors_file(tmp_path, "nafnet")
    assert main(["import", "nafnet", str(file), "--licence", "it's free"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if line.startswith("for the gateway: ")).removeprefix("for the gateway: ")
    (word,) = shlex.split(line)
    manifest = json.loads((tmp_path / "models" / "nafnet" / "manifest.json").read_text())
    del manifest["variants"]
    assert json.loads(word.removeprefix("RUNNER_MODELS=")) == [manifest]
    assert f"for the runner:  MODEL_DIR={tmp_path / 'models'}" in lines


def without(key: str):
    return lambda weights: weights.pop(key)


def broadened(key: str):
    return lambda weights: weights.update({key: torch.zeros(9, *weights[key].shape[1:])})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("intro.weight"), "`intro.weight` is missing"),
        (without("ending.bias"), "missing key `ending.bias`"),
        (broadened("intro.weight"), "`intro.weight` has shape"),
        (lambda weights: weights.update({"extra.weight": torch.zeros(1)}), "left-over key `extra.weight`"),
        (lambda weights: [weights.pop(key) for key in list(weights) if "decoders.3" in key], "same number of levels"),
    ],
)
def test_a_file_of_another_network_gives_one_line_of_error_and_writes_nothing(tmp_path, capsys, spoil, message):
    file, model = authors_file(tmp_path, "nafnet")
    weights = dict(model.state_dict())
    spoil(weights)
    torch.save({"params": weights}, file)
    assert main(["import", "nafnet", str(file), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {file}: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
    if "has shape" not in message:  # a wider first convolution makes every other shape the wrong one
        assert message in error


def test_a_malformed_name_and_a_missing_file_are_refused(tmp_path, capsys):
    file, _ = authors_file(tmp_path, "nafnet")
    assert main(["import", "nafnet", str(file), "--name", "NAF/64", "--out", str(tmp_path / "out")]) == 1
    assert "the name `NAF/64`" in capsys.readouterr().err
    assert main(["import", "nafnet", str(tmp_path / "none.pth"), "--out", str(tmp_path / "out")]) == 1
    assert "no such checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
