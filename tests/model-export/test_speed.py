"""Tests `speed` in turns with another measurement, as the bench runner-tiles uses it."""

import io
import json
import os

import pytest
import torch
from conftest import ROOT
from dhnet.__main__ import main
from dhnet.evaluation import restoration_speed

WEIGHTS = ROOT / "weights" / "dhnet-edge"


@pytest.fixture
def measured(monkeypatch):
    """Records batch and DHNET_NATIVE of every measurement; nothing is compiled, and no run takes place."""
    seen = []

    def rate(restore, image, seconds):
        seen.append((len(image), os.environ["DHNET_NATIVE"]))
        return float(len(seen))

    monkeypatch.setattr(restoration_speed, "runs_per_second", rate)
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    return seen


def test_speed_measures_one_round_for_each_line_of_input(measured, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n"))
    loaded = []
    load = restoration_speed.checkpoint.load
    monkeypatch.setattr(restoration_speed.checkpoint, "load", lambda path: loaded.append(path) or load(path))
    assert main(["speed", "--in-turns", "--model", str(WEIGHTS), "--batch", "1", "2"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [(row["engine"], row["batch"]) for row in first] == [
        ("pytorch eager", 1),
        ("pytorch eager", 2),
        ("pytorch compiled", 1),
        ("pytorch compiled", 2),
    ]
    assert [row["tiles_per_second"] for row in first + second] == [1, 4, 3, 8, 5, 12, 7, 16]
    assert len(loaded) == 1


def test_native_kernels_are_off_while_pytorch_is_measured(measured, monkeypatch):
    monkeypatch.setenv("DHNET_NATIVE", "1")
    restoration_speed.measure(WEIGHTS, "cpu", [1], 1)
    assert measured == [(1, "0"), (1, "0")]
    assert os.environ["DHNET_NATIVE"] == "1"


def test_a_run_includes_the_copies_to_the_device_and_back():
    image = torch.rand(1, 3, 4, 4)
    given = []

    def model(tensor):
        given.append(tensor.device.type)
        return tensor

    restored = restoration_speed.through(model, "meta")
    with pytest.raises(NotImplementedError):  # a meta tensor has nothing to copy back
        restored(image)
    assert given == ["meta"]
    assert torch.equal(restoration_speed.through(lambda tensor: 2 * tensor, "cpu")(image), 2 * image)
