"""Tests the comparison of variants (equal processor time, the same pairs, no variant trained twice) and speeds."""

import json
import os

import pytest
import torch
from conftest import ROOT, TINY, lively
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.data.training_pairs import Source
from dhnet.errors import UserError
from dhnet.evaluation import restoration_speed
from dhnet.network.model import DHNet
from dhnet.research import variant_comparison
from dhnet.training import train, training_speed
from dhnet.training.train import Bounds

MODEL = "\n".join(f"{k} = {str(list(v) if isinstance(v, tuple) else v).lower()}" for k, v in TINY.items())
REFERENCE = f"""
[model]
{MODEL}
[data]
patch = 32
photos = 4
real = 0.0
[train]
batch = 2
bf16 = false
"""


class Clock:
    """A clock whose time passes only in `update`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(train.time, "process_time", made)
    return made


def test_processor_time_counts_from_the_first_step_and_excludes_scoring(clock):
    bounds = Bounds(None, None, cpu_minutes=2.0)
    clock.now += 50  # photos are read
    bounds.start()
    clock.now += 30
    assert bounds.progress(0) == pytest.approx(0.25)
    with bounds.aside():
        clock.now += 1000
    assert bounds.progress(7) == pytest.approx(0.25)
    clock.now += 90
    assert bounds.progress(8) == pytest.approx(1)


def test_a_run_ends_after_its_processor_time(data, config, tmp_path, clock, monkeypatch):
    original = train.Trainer.update

    def update(*arguments):
        clock.now += 10
        return original(*arguments)

    monkeypatch.setattr(train.Trainer, "update", update)
    assert train.train(config, data, tmp_path, cpu_minutes=0.5).step == 4  # begun at 0, 10, 20 and 30 s
    with pytest.raises(UserError, match="give one of"):
        train.train(config, data, tmp_path, cpu_minutes=0.5, steps=3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a reference, its twin of another seed and one variant; three small pairs measure them."""
    monkeypatch.setattr(variant_comparison, "HELD_OUT", 3)
    monkeypatch.setattr(variant_comparison, "SIDE", 48)
    monkeypatch.setattr(variant_comparison, "PICTURES", 2)
    monkeypatch.setattr(variant_comparison, "ROUNDS", 1)
    monkeypatch.setattr(variant_comparison, "TILE", 64)
    for name, text in {
        "reference": REFERENCE,
        "reference-again": "[train]\nseed = 2",
        "gate": "[model]\nrank = 0",
    }.items():
        extends = "" if name == "reference" else 'extends = "reference.toml"\n'
        (tmp_path / f"{name}.toml").write_text(extends + text)
    return tmp_path


def test_the_command_compares_all_configs_of_a_folder_and_trains_none_twice(
    folder, data, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "runs"
    arguments = ["compare", "--configs", str(folder), "--data", str(data), "--out", str(out), "--cpu-minutes", "0.005"]
    assert main([*arguments, "--json"]) == 0
    text = capsys.readouterr().out
    rows = json.loads(text[text.index("[\n") :])
    assert [row["name"] for row in rows] == ["reference", "reference-again", "gate"]
    assert rows[2]["parameters"] < rows[0]["parameters"] == rows[1]["parameters"]
    assert all(set(row["psnr"]) == {"held-out", "gopro-crops", "reds-frames"} and row["patches"] >= 2 for row in rows)
    assert len({row["psnr"]["held-out"][0] for row in rows}) == 1

    calls, original = [], variant_comparison.train
    monkeypatch.setattr(
        variant_comparison, "train", lambda config, *a, **k: calls.append(config.name) or original(config, *a, **k)
    )
    (folder / "gate.toml").write_text('extends = "reference.toml"\n[model]\nrank = 1')
    assert main(arguments) == 0
    assert calls == ["gate"]  # changed since it was measured; the others were not
    assert "| `gate` |" in capsys.readouterr().out

    (folder / "gate.toml").write_text('extends = "reference.toml"\n[model]\nrank = 2')
    assert main([*arguments[:-2], "--json"]) == 0  # without --cpu-minutes
    rows = json.loads(capsys.readouterr().out)
    assert [bool(row["psnr"]) for row in rows] == [True, True, False]
    assert calls == ["gate"]


def test_variants_are_measured_on_photos_that_no_variant_trains_on(folder, data, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(variant_comparison, "Source", lambda *arguments: made.append(Source(*arguments)) or made[-1])
    config = configs.load(folder / "reference.toml")
    assert len(variant_comparison.held_out(config, data, tmp_path / "runs")) == 3
    trained, [judging] = Source(data, config.data, 1), made
    full = [[p.tobytes() for p in source.photos if p.shape == (128, 144, 3)] for source in (trained, judging)]
    assert [len(photos) for photos in full] == [4, 2]
    assert not set(full[0]) & set(full[1])
    assert [p.name for p in variant_comparison.held_out(config, data, tmp_path / "runs")] == ["000", "001", "002"]
    assert len(made) == 1  # made once, kept
    with pytest.raises(UserError, match="must leave photos"):
        variant_comparison.held_out(configs.from_dict({"model": TINY, "data": {"patch": 32}}), data, tmp_path / "none")


def test_a_folder_without_a_reference_gives_one_line_of_error(tmp_path, capsys):
    arguments = ["--configs", str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path), "--cpu-minutes", "1"]
    assert main(["compare", *arguments]) == 1
    assert "holds no reference.toml" in capsys.readouterr().err


def test_the_table_gives_gains_and_multiples_of_the_references_time():
    cost = {"parameters": 1_500_000, "macs": 2_000_000_000}
    rows = [
        {"name": "reference", "psnr": {"held-out": [20.0, 21.0], "x": [1, 2]}, "cpu_ms": 50.0, "patches": 1234, **cost},
        {"name": "other", "psnr": {"held-out": [20.0, 20.75]}, "cpu_ms": 75.0, "patches": 1234, **cost},
        {"name": "untrained", "psnr": {}, "cpu_ms": 25.0, **cost},
    ]
    head, _, _, other, untrained = variant_comparison.markdown(rows).split("\n")
    assert head == "| variant | held-out, dB | x, dB | patches | parameters, M | GMACs | inference |"
    assert other == "| `other` | +0.75 | – | 1,234 | 1.50 | 2.00 | ×1.50 |"
    assert untrained == "| `untrained` | – | – | – | 1.50 | 2.00 | ×0.50 |"


def test_the_document_shows_what_was_measured():
    rows = json.loads((ROOT / "docs" / "choice.json").read_text())
    assert variant_comparison.markdown(rows) in (ROOT / "docs" / "choice.md").read_text()
    assert {row["name"] for row in rows} == {path.stem for path in (ROOT / "configs" / "choice").glob("*.toml")}


def test_throughput_switches_one_option_on_after_the_other(config, monkeypatch):
    seen = []

    def rate(given, device, steps):
        t = given.train
        seen.append((t.channels_last, t.bf16, t.compile, os.environ["DHNET_NATIVE"]))
        return 2.0 * len(seen)

    monkeypatch.setattr(training_speed, "patches_per_second", rate)
    monkeypatch.setattr(training_speed.native, "available", lambda: True)
    monkeypatch.delenv("DHNET_NATIVE", raising=False)
    rows = training_speed.measure(config, "cpu", 1, compiled=True)
    assert seen == [
        (False, False, False, "0"),
        (True, False, False, "0"),
        (True, True, False, "0"),
        (True, True, True, "0"),
        (True, True, False, "1"),
    ]
    assert "DHNET_NATIVE" not in os.environ
    assert "| and native kernels | 10.00 | ×5.0 |" in training_speed.markdown(rows)
    seen.clear()
    last = training_speed.measure(config, "cuda", 1, compiled=False)[-1]
    assert last["setting"] == "and torch.compile"


def test_speed_counts_tiles_of_the_manifests_size_by_engine_and_batch(tmp_path, monkeypatch):
    weights = ROOT / "weights" / "dhnet-edge"
    side = json.loads((weights / "manifest.json").read_text())["tile"]["size"]
    given, compiled = [], []

    def rate(model, image, seconds):
        given.append((tuple(image.shape), image.dtype, seconds))
        return 10.0

    def compiling(model, **options):
        compiled.append(options)
        return model

    monkeypatch.setattr(restoration_speed, "runs_per_second", rate)
    monkeypatch.setattr(torch, "compile", compiling)
    rows = restoration_speed.measure(weights, "cpu", [1, 4], 0.5)
    assert [(r["engine"], r["type"], r["batch"], r["tiles_per_second"]) for r in rows] == [
        ("pytorch eager", "float32", 1, 10.0),
        ("pytorch eager", "float32", 4, 40.0),
        ("pytorch compiled", "float32", 1, 10.0),
        ("pytorch compiled", "float32", 4, 40.0),
    ]
    assert given == [((n, 3, side, side), torch.float32, 0.5) for n in (1, 4, 1, 4)]
    assert len(compiled) == 1
    assert "| pytorch compiled | float32 | 4 | 40.0 |" in restoration_speed.markdown(rows)


def test_speed_warms_up_and_counts_every_run(monkeypatch):
    clock = iter(range(100))
    runs = []
    monkeypatch.setattr(restoration_speed.time, "perf_counter", lambda: next(clock))
    # The clock is read before, after each run, and at the end: runs end at 1, 2 and 3 of 3 seconds.
    assert restoration_speed.runs_per_second(runs.append, torch.zeros(1), 3) == 3 / 4
    assert len(runs) == restoration_speed.WARM_UP + 3


def test_speed_reports_that_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no GPU"):
        restoration_speed.measure(ROOT / "weights" / "dhnet-edge", "cuda", [1], 1)


def test_throughput_measures_a_step(config, capsys, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(REFERENCE)
    assert main(["throughput", "--config", str(path), "--steps", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["setting"] == "PyTorch, float32"
    assert all(row["patches_per_second"] > 0 for row in rows)


def test_the_whole_network_compiles_with_the_same_gradients(monkeypatch):
    monkeypatch.setenv("DHNET_NATIVE", "0")
    torch.manual_seed(0)
    model = lively(DHNet(configs.ModelConfig(**{**TINY, "encoder": (1,), "decoder": (1,)}))).train()
    x, grads = torch.rand(1, 3, 16, 16), []
    # inductor would take minutes; the capture of the graph and of its backward pass is what could break.
    for forward in (model, torch.compile(model, backend="aot_eager", fullgraph=True)):
        model.zero_grad()
        forward(x).square().mean().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))
