"""Tests the export of every network: ONNX Runtime computes the same as PyTorch in every form of the graph."""

import hashlib
import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from conftest import TINY, lively, saved
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.config import ModelConfig
from dhnet.errors import UserError
from dhnet.evaluation import runtime
from dhnet.export import export, graph, verify
from dhnet.export.onnx_graph import FLOAT, HALF, External
from dhnet.network import checkpoint
from dhnet.network.model import build
from onnx import TensorProto

SMALL = {"width": 8, "prior_width": 4, "encoder": (1, 1, 1, 1), "prior_encoder": (1, 1, 1, 1), "routers": 2}
# Operators that CUDA, WASM and WebGPU all have in ONNX Runtime 1.30; docs/network.md lists them.
OPERATORS = {
    *("Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Erf", "Exp"),
    *("GlobalAveragePool", "Mul", "ReduceMean", "ReduceSumSquare", "Relu", "Round", "Sigmoid", "Slice"),
    *("Softmax", "Split", "Sqrt", "Sub", "Tanh", "Transpose"),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def session(source: bytes | str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "values",
    [
        {**SMALL, "prior": "nafnet"},
        {**SMALL, "prior": "ufpnet"},
        {**TINY, "shared_pointwise": False, "routers": 5},
        {**TINY, "routers": 5},
        {**TINY, "shared_pointwise": False, "routers": 2, "combine": "concat"},
        {**TINY, "shared_pointwise": False, "block": "mrvnet"},
        {**SMALL, "network": "nafnet"},
    ],
    ids=lambda v: "-".join(str(v[k]) for k in ("network", "block", "combine", "prior", "routers") if k in v),
)
@pytest.mark.parametrize(("kind", "tolerance"), [(FLOAT, 1e-4), (HALF, 2e-3)])
def test_every_network_computes_what_torch_computes(values, kind, tolerance):
    torch.manual_seed(0)
    model = lively(build(ModelConfig(**values)))
    proto = graph.build(model, bytes_in=False, half=False, kind=kind)
    assert {node.op_type for node in proto.graph.node} <= OPERATORS
    run = session(proto.SerializeToString())
    for shape in ((1, 16, 32, 3), (2, 32, 16, 3)):
        x = np.random.default_rng(0).random(shape, np.float32)
        with torch.no_grad():
            y = model(torch.from_numpy(x).permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        assert np.abs(y - x).max() > 20 * tolerance  # the network does something
        assert np.abs(run.run(None, {"image": x})[0] - y).max() < tolerance


def test_kernels_mixed_at_run_time_compute_what_torch_computes(tmp_path):
    torch.manual_seed(0)
    model = lively(build(ModelConfig(**TINY)))
    proto = graph.build(model, bytes_in=False, half=False, size=(1, None, None), mixed=True)
    plain = graph.build(model, bytes_in=False, half=False)
    convolutions = [[node.op_type for node in p.graph.node].count("Conv") for p in (proto, plain)]
    assert convolutions[0] <= convolutions[1] - 9  # a mixture is one convolution instead of five and their five scales
    run = session(proto.SerializeToString())
    for seed in (0, 1):  # other pictures, other routes
        x = np.random.default_rng(seed).random((1, 16, 32, 3), np.float32)
        with torch.no_grad():
            y = model(torch.from_numpy(x).permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        assert np.abs(run.run(None, {"image": x})[0] - y).max() < 1e-4


def test_the_single_variant_is_exported_where_the_experts_can_be_mixed(tmp_path):
    for name, values, ids in (
        ("mixable", TINY, ["uint8", "float32", "uint8-single"]),
        ("routers", {**TINY, "routers": 2}, ["uint8", "float32"]),
    ):
        arguments, _ = saved(tmp_path / name, values)
        assert main(["export", "dhnet-edge", *arguments, "--out", str(tmp_path / name), "--tile", "64"]) == 0
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert [v["id"] for v in manifest["variants"]] == ids
        assert all(row["ok"] for row in verify.verify(tmp_path / name, None))
        assert {row["variant"] for row in verify.verify(tmp_path / name, None)} == set(ids)


def test_the_manifest_names_the_slim_checkpoint_which_is_never_scaled_twice(tmp_path):
    arguments, _ = saved(tmp_path, {**TINY, "routers": 2})
    assert main(["export", "dhnet-edge", *arguments, "--out", str(tmp_path), "--tile", "64"]) == 0
    slim = tmp_path / "checkpoint.safetensors"
    digest = checkpoint.file_sha256(slim)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["checkpoint"] == {"file": slim.name, "sha256": digest, "bytes": slim.stat().st_size}
    again = ["export", "dhnet-edge", "--checkpoint", str(slim), "--out", str(tmp_path), "--tile", "64"]
    assert main([*again, "--strength", "0.5"]) == 1
    assert checkpoint.file_sha256(slim) == digest
    assert main(again) == 0


def test_webgpu_gets_no_group_whose_outputs_exceed_four_without_being_a_multiple_of_four():
    for values in ({"routers": 5, "shared_pointwise": False}, {"routers": 6}, {"rank": 4}):
        model = build(ModelConfig(**{**TINY, **values}))
        for bytes_in, wrong in ((False, False), (True, True)):
            proto = graph.build(model, bytes_in=bytes_in, half=False)
            shapes = {t.name: t.dims for t in proto.graph.initializer}
            groups = [
                shapes[node.input[1]][0] // next(a.i for a in node.attribute if a.name == "group")
                for node in proto.graph.node
                if node.op_type == "Conv" and any(a.name == "group" and a.i > 1 for a in node.attribute)
            ]
            assert any(size > 4 and size % 4 for size in groups) is wrong


def test_a_float16_graph_holds_no_float32_weights_but_the_flows(tmp_path):
    _, model = saved(tmp_path, {**SMALL, "prior": "ufpnet"})
    proto = graph.build(model, bytes_in=True, half=True, kind=HALF)
    wide = [t for t in proto.graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) > 1]
    flow = sum(p.numel() for p in model.prior.network.flow.net.parameters())
    assert 0 < sum(np.prod(t.dims) for t in wide) <= flow + 10
    kinds = {t.name: t.data_type for t in proto.graph.initializer}
    convolutions = [kinds[n.input[1]] for n in proto.graph.node if n.op_type == "Conv" and n.input[1] in kinds]
    assert convolutions.count(TensorProto.FLOAT16) > 50


def test_dhnet_b_at_full_width_exports_with_its_prior_beside_it(tmp_path, capsys):
    values = {"width": 64, "encoder": (1, 1, 1, 1), "prior": "ufpnet", "prior_encoder": (1, 1, 1, 1)}
    arguments, model = saved(tmp_path, values)
    out = tmp_path / "dhnet-b"
    export_arguments = ["export", "dhnet-b", *arguments, "--out", str(out), "--tile", "64", "--dtype", "float16"]
    assert main([*export_arguments, "--url-base", "https://models.example.com/b"]) == 0
    assert "dhnet-b.prior.bin" in capsys.readouterr().out
    manifest = json.loads((out / "manifest.json").read_text())
    frozen = sum(p.numel() for p in model.prior.parameters())
    assert manifest["parameters"] == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert manifest["macs_256"] > 250e9
    assert manifest["prior"] == {"network": "ufpnet", "sha256": checkpoint.file_sha256(tmp_path / "prior.pth")}
    assert [v["id"] for v in manifest["variants"]] == ["uint8-float16", "float32-float16"]
    for v in manifest["variants"]:
        assert (v["dtype"], v["weights_dtype"]) == ("float16", "float16")
        [beside] = v["external_data"]
        assert [v["url"], beside["url"]] == [f"https://models.example.com/b/{f['file']}" for f in (v, beside)]
        assert hashlib.sha256((out / beside["file"]).read_bytes()).hexdigest() == beside["sha256"]
        assert beside["bytes"] == (out / beside["file"]).stat().st_size
        # Both variants share the file: float16, except the flow in float32 and the first convolutions of each variant.
        assert 2 * 0.99 * (frozen - 1_080_000) < beside["bytes"] < 2 * 1.03 * frozen
    x = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), np.uint8)
    got = runtime.Model(out, "uint8-float16").run(x).astype(float)
    answer = verify.expected(model, x)
    assert np.abs(answer - x).max() > 3
    assert np.abs(got - answer).max() <= 2
    (out / "dhnet-b.prior.bin").write_bytes(b"other")
    with pytest.raises(UserError, match=r"prior.bin: its SHA-256 differs"):
        verify.verify(out, None, tmp_path / "prior.pth")


def test_variants_for_the_cpu_and_for_gpus_share_one_prior(tmp_path):
    arguments, _ = saved(tmp_path, {**SMALL, "prior": "ufpnet"})
    out = tmp_path / "b"
    assert main(["export", "b", *arguments, "--out", str(out), "--tile", "64", "--dtype", "float32", "float16"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    found = {v["id"]: (v["input"]["type"], v["output"]["type"], v["dtype"]) for v in manifest["variants"]}
    assert found == {
        "uint8": ("uint8", "uint8", "float32"),
        "float32": ("float32", "float32", "float32"),
        "uint8-float16": ("uint8", "uint8", "float16"),
        "float32-float16": ("float32", "float32", "float16"),
    }
    assert {f["file"] for v in manifest["variants"] for f in v["external_data"]} == {"b.prior.bin"}
    assert "url" not in json.dumps(manifest)
    for v in manifest["variants"]:
        kinds = {t.data_type for t in onnx.load(out / v["file"]).graph.initializer}
        assert TensorProto.FLOAT16 in kinds  # stored so, whatever the graph computes in
    assert all(row["ok"] for row in verify.verify(out, None, tmp_path / "prior.pth"))


def test_verify_takes_the_prior_and_refuses_another_one(tmp_path, capsys):
    arguments, model = saved(tmp_path, {**SMALL, "prior": "nafnet"})
    out = str(tmp_path / "b")
    assert main(["export", "b", *arguments, "--out", out, "--tile", "64", "--weights", "float32"]) == 0
    assert main(["verify", "--model", out, *arguments[2:]]) == 0
    assert main(["verify", "--model", out]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--prior must name its checkpoint" in error
    # verify refuses a prior that differs from the one that training read.
    for parameter in model.prior.network.parameters():
        parameter.data.mul_(1.3)
    external = External("b.prior.bin")
    proto = graph.build(model, bytes_in=True, half=False, external=external)
    (tmp_path / "b" / "b.uint8.onnx").write_bytes(proto.SerializeToString())
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    (tmp_path / "b" / "b.prior.bin").write_bytes(external.data)
    manifest["variants"] = [{**manifest["variants"][0], **export.described(tmp_path / "b" / "b.uint8.onnx")}]
    manifest["variants"][0]["external_data"] = [export.described(tmp_path / "b" / "b.prior.bin")]
    export.write_json(tmp_path / "b" / "manifest.json", manifest)
    assert main(["verify", "--model", out, *arguments[2:]]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_fixed_graph_takes_one_size_and_smaller_batches_are_filled_up(tmp_path):
    arguments, model = saved(tmp_path, TINY)
    out = tmp_path / "tiny"
    assert main(["export", "tiny", *arguments, "--out", str(out), "--tile", "40", "--batch", "2", "--fixed"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["input_shape"], manifest["max_batch"]) == ([2, 40, 40, 3], 2)
    dims = onnx.load(out / "tiny.uint8.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [2, 40, 40, 3]
    assert main(["verify", "--model", str(out)]) == 0
    x = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3), np.uint8)
    restored = runtime.Model(out).run(x)
    assert restored.shape == x.shape
    assert np.abs(restored - verify.expected(model, x)).max() <= 1
    picture = np.random.default_rng(0).integers(0, 256, (9, 45, 3), np.uint8)
    assert runtime.Model(out).restore(picture).shape == picture.shape


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tile": 30}, "multiple of 8"),
        ({"tile": 32}, "above 32"),
        ({"batch": 0}, "at least 1"),
        ({"strength": 0}, "above 0"),
        ({"dtypes": ("float32", "float16"), "weights": "float32"}, "stores float16 weights"),
        ({"url_base": "models/dhnet-b"}, "--url-base must be a URL"),
        ({"url_base": "ftp://models.example.com"}, "--url-base must be a URL"),
        ({"url_base": "https://models.example.com/b?token=x"}, "--url-base must be a URL"),
    ],
)
def test_options_that_do_not_fit_give_one_line_of_error(options, said):
    with pytest.raises(UserError, match=said):
        export.Options(**options).check(ModelConfig(**TINY))


@pytest.mark.parametrize(
    "values", [{"prior": "nafnet", **SMALL}, {**SMALL, "network": "nafnet"}, {**TINY, "window": 384}]
)
def test_a_tile_beyond_the_pooling_window_is_refused(values):
    export.Options(tile=384).check(ModelConfig(**values))
    with pytest.raises(UserError, match="pooling window"):
        export.Options(tile=512).check(ModelConfig(**values))


def corrupt(kind: str, path) -> None:
    good = {
        "config": configs.to_dict(configs.Config()),
        "ema": {},
        "step": 0,
        "patches": 0,
        "seconds": 0,
        "device": "cpu",
    }
    full = {**good, "history": []}
    if kind == "truncated":
        torch.save(full, path)
        path.write_bytes(path.read_bytes()[:-200])
    else:
        torch.save({"list": [1], "tensor": torch.ones(2), "no history": good, "no weights": full, "bad config": {
            **full, "config": {"model": {"widht": 1}}}}[kind], path)  # fmt: skip


@pytest.mark.parametrize("kind", ["truncated", "list", "tensor", "no history", "no weights", "bad config"])
def test_a_corrupt_checkpoint_gives_one_line_of_error(kind, tmp_path, capsys):
    corrupt(kind, tmp_path / "bad.pt")
    assert main(["export", "x", "--checkpoint", str(tmp_path / "bad.pt"), "--out", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
