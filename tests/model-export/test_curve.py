"""Tests the learning curve: laws are recovered from points that obey them, and the drawing is well-formed."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from dhnet.__main__ import main
from dhnet.errors import UserError
from dhnet.network import checkpoint
from dhnet.research import learning_curve
from dhnet.training.train import Trainer


def log(gain, counts=(10_000, 20_000, 40_000, 80_000, 120_000)) -> str:
    lines = ["dhnet-edge: 1363466 parameters, step 0, cpu", "step 200 0.9% loss 0.06 norm 0.04 27.2 patches/s data 7%"]
    for n in counts:
        text = ", ".join(f"{name} 20.00 → {20 + gain(n):.4f} (+0.00)" for name in learning_curve.AIMS)
        lines.append(f"dev at step {n // 8}, {n} patches, {n // 20} s: {text}")
    return "\n".join(lines)


def test_the_power_law_is_recovered(tmp_path):
    (tmp_path / "a.log").write_text(log(lambda n: 0.2 * (n / 10_000) ** 0.5))
    facts = learning_curve.curve([tmp_path / "a.log"], tmp_path / "docs", "m")
    found = next(r for r in facts["sets"] if r["set"] == "reds-frames")["power"]
    assert found["b"] == pytest.approx(0.5, abs=0.01)
    assert found["patches"][0] == pytest.approx(250_000, rel=0.03)
    assert found["at_ten_times"][0] == pytest.approx(0.2 * 120**0.5, rel=0.02)


def test_the_logarithm_is_recovered_and_distant_aims_are_out_of_sight(tmp_path):
    (tmp_path / "a.log").write_text(log(lambda n: 0.1 + 0.1 * np.log(n / 10_000)))
    facts = learning_curve.curve([tmp_path / "a.log"], tmp_path / "docs", "m")
    by_set = {r["set"]: r["logarithm"] for r in facts["sets"]}
    assert by_set["reds-frames"]["b"] == pytest.approx(0.1, abs=0.002)
    assert by_set["reds-frames"]["patches"][0] == pytest.approx(10_000 * np.exp(9), rel=0.1)
    text = (tmp_path / "docs" / "m-learning-curve.md").read_text()
    assert "| gopro-frames | +0.35 | logarithm |" in text
    assert "+2.0 dB: out of sight" in text


def test_laws_predict_a_point_that_was_measured_already(tmp_path):
    """The points obey a power law, so that the power law predicts the last one and the logarithm does not."""
    (tmp_path / "a.log").write_text(log(lambda n: 0.2 * (n / 10_000) ** 0.5, (20_000, 30_000, 50_000, 70_000, 110_000)))
    by_law = learning_curve.curve([tmp_path / "a.log"], tmp_path / "docs", "m")["sets"][0]
    truth = 0.2 * 11**0.5
    assert by_law["power"]["predicted"] == pytest.approx(truth, abs=0.01)
    assert by_law["logarithm"]["predicted"] < truth - 0.02
    text = (tmp_path / "docs" / "m-learning-curve.md").read_text()
    assert "up to 73,333 patches" in text
    assert f"| power | +{truth:.2f} |" in text
    (tmp_path / "b.log").write_text(log(lambda n: 0.1, (100_000, 105_000, 110_000, 120_000)))
    assert "foretold" not in learning_curve.curve([tmp_path / "b.log"], tmp_path / "docs", "m")["sets"][0]["power"]


def test_a_power_law_never_speeds_up():
    patches = np.array([1e4, 2e4, 4e4])
    a, b = learning_curve.power(patches, 1e-9 * patches**2)
    assert b == 1
    assert a * 4e4 == pytest.approx(1.6 / 2, rel=0.3)


def test_scatter_widens_the_interval():
    patches = np.geomspace(2e4, 1.2e5, 8)
    calm = 0.1 * np.log(patches / 1e4)
    rough = calm + np.array([1, -1, 1, -1, -1, 1, -1, 1]) * 0.05
    widths = []
    for gain in (calm, rough):
        at, low, high = learning_curve.extrapolate("logarithm", patches, gain, 1.0)["at_ten_times"]
        assert low <= at + 1e-9
        assert at <= high + 1e-9
        widths.append(high - low)
    assert widths[0] < 1e-6 < 0.05 < widths[1]


def test_the_drawing_is_well_formed_and_holds_every_point(tmp_path):
    (tmp_path / "a.log").write_text(log(lambda n: 1e-5 * n))
    learning_curve.curve([tmp_path / "a.log", tmp_path / "a.log"], tmp_path, "m")
    root = ET.parse(tmp_path / "m-learning-curve.svg").getroot()
    assert len(root.findall("{*}circle")) == 5 * len(learning_curve.AIMS)
    for mark in root.findall("{*}circle"):
        assert learning_curve.LEFT <= float(mark.get("cx")) <= learning_curve.WIDTH - learning_curve.RIGHT
        assert 0 <= float(mark.get("cy")) <= learning_curve.HEIGHT - learning_curve.BOTTOM + 0.1


@pytest.mark.parametrize("name", ["last.pt", "checkpoint.safetensors"])
def test_a_checkpoint_has_the_history_of_its_run(tmp_path, config, name):
    trainer = Trainer(config, "cpu")
    trainer.history = [{"step": 30, "seconds": 7, "psnr": {"reds-frames": [20.0, 20.5]}}]
    checkpoint.save(tmp_path / "last.pt", trainer.state())
    checkpoint.save_slim(tmp_path / "checkpoint.safetensors", trainer.state())
    assert learning_curve.points(tmp_path / name) == [
        learning_curve.Point(30 * config.train.batch, 7, {"reds-frames": 0.5})
    ]


def test_too_few_points_give_one_line_of_error(tmp_path, capsys):
    (tmp_path / "a.log").write_text(log(lambda n: 1.0, (10_000,)))
    assert main(["curve", "--history", str(tmp_path / "a.log"), "--name", "m", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UserError, match="not a readable log"):
        learning_curve.points(tmp_path)
