"""Tests training, export, evaluation and verification, through the command line where people use it."""

import hashlib
import json

import numpy as np
import onnx
import pytest
import torch
from conftest import ROOT, TINY, lively, picture
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.evaluation import runtime
from dhnet.export import export, graph, verify
from dhnet.network import checkpoint
from dhnet.network.model import DHNet
from dhnet.training.train import Trainer, train
from PIL import Image

RUN_TOML = """
[model]
width = 16
encoder = [1, 1]
middle = 1
decoder = [1, 1]
routers = 1
shared_pointwise = true
unshuffle = 2
[data]
patch = 32
[train]
batch = 2
bf16 = false
"""


@pytest.mark.parametrize("text", ["[model]\nwidht = 3", "[train]\nlearning_rate = 1", "bogus = 1"])
def test_an_unknown_key_gives_one_line_that_names_the_key(tmp_path, capsys, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert main(["profile", "--config", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert text.split("\n")[-1].split(" ")[0] in error


def test_a_bad_file_or_folder_gives_one_line_of_error(tmp_path, capsys):
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a checkpoint")
    slim = tmp_path / "broken.safetensors"
    slim.write_bytes(b"nor this")
    run = tmp_path / "run.toml"
    run.write_text(RUN_TOML)
    out = str(tmp_path / "out")
    for arguments in (
        ["export", "x", "--checkpoint", str(broken), "--out", out],
        ["export", "x", "--checkpoint", str(slim), "--out", out],
        ["export", "x", "--checkpoint", str(tmp_path / "none.pt"), "--out", out],
        ["train", "--config", str(run), "--data", str(tmp_path / "none"), "--out", out, "--steps", "1"],
        ["train", "--config", str(run), "--data", str(tmp_path), "--out", out],
        ["train", "--config", str(tmp_path / "none.toml"), "--data", str(tmp_path), "--out", out, "--steps", "1"],
        ["evaluate", "--model", "no-such-model", "--pairs", str(tmp_path)],
        ["verify", "--model", str(tmp_path)],
    ):
        assert main(arguments) == 1, arguments
        error = capsys.readouterr().err
        assert error.startswith("error: "), arguments
        assert error.count("\n") == 1, arguments


@pytest.mark.parametrize(
    "command",
    [
        "profile",
        "train",
        "evaluate",
        "export",
        "verify",
        "sheet",
        "card",
        "curve",
        "blurs",
        "compare",
        "throughput",
        "speed",
    ],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert command in capsys.readouterr().out


def test_every_shipped_config_loads():
    for path in (ROOT / "configs").rglob("*.toml"):
        within = path.relative_to(ROOT / "configs").with_suffix("").as_posix()
        assert configs.load(path).name == (within if within.startswith("paper/") else path.stem)


def test_config_survives_a_round_trip(config):
    assert configs.from_dict(json.loads(json.dumps(configs.to_dict(config)))) == config


def test_profile_prints_json(tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_text(RUN_TOML)
    assert main(["profile", "--config", str(path), "--json"]) == 0
    [facts] = json.loads(capsys.readouterr().out)
    assert facts["pad_multiple"] == 8
    assert facts["parameters"] > 0
    assert facts["macs"] > 0


def test_sheet_writes_a_picture(tmp_path, data):
    path = tmp_path / "run.toml"
    path.write_text(RUN_TOML)
    arguments = ["--config", str(path), "--data", str(data), "--out", str(tmp_path / "s.png"), "--rows", "1"]
    assert main(["sheet", *arguments]) == 0
    assert Image.open(tmp_path / "s.png").size == (8 * 32, 2 * 32)


def test_a_resumed_run_equals_an_unbroken_one(tmp_path, data, config):
    whole = train(config, data, tmp_path / "a", steps=4)
    # The learning rate follows the planned length, so the first half is planned for 4 steps too.
    half = Trainer(config, "cpu")
    from dhnet.data.feed import Feed

    feed = Feed(data, config.data, config.train.seed, config.train.batch, 0)
    for step in range(2):
        half.update(feed.next(), (step + 1) / 4)
    feed.close()
    checkpoint.save(tmp_path / "half.pt", half.state())
    rest = train(config, data, tmp_path / "b", steps=4, resume=tmp_path / "half.pt")
    assert rest.step == whole.step == 4
    assert rest.patches == 8
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name
    assert whole.history[-1]["psnr"] == rest.history[-1]["psnr"]
    assert (tmp_path / "a" / "checkpoint.safetensors").is_file()


def test_a_slim_checkpoint_warm_starts_a_run(tmp_path, data, config):
    first = train(config, data, tmp_path / "a", steps=1)
    slim = tmp_path / "a" / "checkpoint.safetensors"
    second = Trainer(config, "cpu")
    second.resume(slim, warm=False)
    assert second.step == 0
    assert second.patches == first.patches
    for name, value in first.ema.items():
        assert torch.allclose(second.ema[name], value, atol=1e-3)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, config, capsys):
    trainer = Trainer(config, "cpu")
    checkpoint.save(tmp_path / "last.pt", trainer.state())
    run = tmp_path / "run.toml"
    run.write_text(RUN_TOML.replace("width = 16", "width = 32"))
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path), "--steps", "1", "--resume", str(tmp_path / "last.pt")]
    assert main(["train", "--config", str(run), *arguments]) == 1
    assert "[model] differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rank": 0},
        {"rank": 2, "ffn": True},
        {"router": "pixel"},
        {"routers": 3, "shared_pointwise": False},
        {"unshuffle": 1},
    ],
)
def test_the_graph_computes_what_torch_computes(options):
    import onnxruntime as ort

    torch.manual_seed(0)
    model = lively(DHNet(configs.ModelConfig(**{**TINY, **options})))
    proto = graph.build(model, bytes_in=False, half=False)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in ((1, 16, 24, 3), (2, 8, 8, 3)):
        x = np.random.default_rng(0).random(shape, np.float32)
        with torch.no_grad():
            y = model(torch.from_numpy(x).permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        assert np.abs(session.run(None, {"image": x})[0] - y).max() < 1e-4


def test_the_graph_holds_no_shape_arithmetic(tiny):
    kinds = {node.op_type for node in graph.build(tiny, bytes_in=True, half=True).graph.node}
    assert kinds <= {
        *("Add", "Cast", "Clip", "Conv", "DepthToSpace", "Div", "GlobalAveragePool", "Mul", "ReduceMean"),
        *("ReduceSumSquare", "Round", "Slice", "Softmax", "Sqrt", "Sub", "Transpose"),
    }


def test_export_writes_a_manifest_that_fits_its_files(exported):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert [v["id"] for v in manifest["variants"]] == ["uint8", "float32", "uint8-single"]
    check_manifest(exported, manifest)
    rows = verify.verify(exported, None)
    assert all(row["ok"] for row in rows)


def test_verify_fails_on_a_changed_model_and_on_a_changed_file(exported, capsys):
    assert main(["verify", "--model", str(exported)]) == 0
    state = checkpoint.load(exported / "checkpoint.safetensors")
    state["ema"]["ending.bias"] += 0.05
    checkpoint.save_slim(exported / "checkpoint.safetensors", state)
    capsys.readouterr()
    assert main(["verify", "--model", str(exported), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    (exported / "tiny.uint8.onnx").write_bytes(b"changed")
    assert main(["verify", "--model", str(exported)]) == 1
    assert "SHA-256 differs" in capsys.readouterr().err


def test_evaluate_reports_each_set_and_updates_the_manifest(exported, data, capsys, tmp_path):
    arguments = ["--model", str(exported), "--pairs", str(data / "pairs-dev"), "--out", str(tmp_path / "restored")]
    assert main(["evaluate", *arguments, "--json", "--update-manifest"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [s["set"] for s in report["sets"]] == ["gopro-crops", "reds-frames"]
    assert report["sets"] == json.loads((exported / "manifest.json").read_text())["measured"]
    assert report["sets"] == json.loads((exported / "evaluation.json").read_text())["sets"]
    assert Image.open(tmp_path / "restored" / "reds_b.png").size == (112, 96)


def test_evaluate_sharp_measures_fidelity(exported, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    Image.fromarray(picture(40, 50)).save(tmp_path / "photos" / "a.png")
    assert main(["evaluate", "--model", str(exported), "--sharp", str(tmp_path / "photos"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["sharp"]
    assert rows[0]["name"] == "a"
    assert rows[0]["fidelity"]["psnr"] > 10


def test_batches_equal_single_pictures(exported):
    model = runtime.Model(exported, "float32")
    x = np.random.default_rng(0).random((3, 16, 24, 3), np.float32)
    assert np.allclose(model.run(x), np.concatenate([model.run(x[i : i + 1]) for i in range(3)]), atol=1e-5)


def check_manifest(folder, manifest):
    digests = ""
    for v in manifest["variants"]:
        content = (folder / v["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == v["sha256"]
        assert len(content) == v["bytes"] <= export.LARGEST
        digests += v["sha256"]
        onnx.checker.check_model(str(folder / v["file"]))
    for f in manifest["variants"][0].get("external_data", []):
        assert hashlib.sha256((folder / f["file"]).read_bytes()).hexdigest() == f["sha256"]
        digests += f["sha256"]
    tile = manifest["tile"]
    identity = f"{digests}tile={tile['size']}/{tile['overlap']}"
    assert hashlib.sha256(identity.encode()).hexdigest() == manifest["version"]


@pytest.mark.parametrize("folder", sorted((ROOT / "weights").glob("*/")), ids=lambda p: p.name)
def test_shipped_models_fit_their_manifests(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    check_manifest(folder, manifest)
    state = checkpoint.load(folder / "checkpoint.safetensors")
    model = configs.from_dict(state["config"]).model
    assert manifest["pad_multiple"] == model.pad_multiple
    assert model == configs.load(ROOT / "configs" / f"{manifest['name']}.toml").model
    assert (folder / "checkpoint.safetensors").stat().st_size <= export.LARGEST


def test_strip_shows_the_crop_of_blurred_restored_and_sharp(tmp_path, exported):
    blur, sharp = picture(96, 112, 1), picture(96, 112, 2)
    for name, pixels in (("blur", blur), ("sharp", sharp)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    names = [str(tmp_path / f"{name}.png") for name in ("blur", "sharp", "strip")]
    arguments = ["--model", str(exported), "--blur", names[0], "--sharp", names[1], "--crop", "16", "8", "40", "32"]
    assert main(["strip", *arguments, "--out", names[2]]) == 0
    shown = np.asarray(Image.open(names[2]))
    assert shown.shape == (32, 3 * 40 + 16, 3)
    assert np.array_equal(shown[:, :40], blur[8:40, 16:56])
    assert np.array_equal(shown[:, 48:88], runtime.Model(exported).restore(blur)[8:40, 16:56])
    assert np.array_equal(shown[:, 96:], sharp[8:40, 16:56])


def test_strength_scales_the_residual(tmp_path, exported):
    export.export("half", tmp_path / "last.pt", tmp_path / "half", strength=0.5)
    x = np.full((1, 16, 16, 3), 0.5, np.float32)
    whole, half = (runtime.Model(folder, "float32").run(x) - x for folder in (exported, tmp_path / "half"))
    assert np.abs(whole).max() > 0.001
    assert np.allclose(half, whole / 2, atol=1e-4)
