"""Tests every named configuration against the paper's numbers, and the errors of wrong ones."""

import json

import pytest
import torch
from conftest import ROOT, TINY, lively
from dhnet import config as configs
from dhnet.__main__ import main
from dhnet.config import ModelConfig
from dhnet.errors import UserError
from dhnet.layers import local_pooling
from dhnet.network.ddre import DDRE
from dhnet.network.model import DHNet, build, load_own_state, macs, own_state, restore
from dhnet.network.vblock import VolterraLayer
from dhnet.research import network_cost
from dhnet.training.train import Trainer

# Trainable and frozen parameters in M, GMACs of the trainable network and of the prior (what its maps need).
COUNTS = {
    "dhnet": (17.27, 0, 31.60, 0),
    "paper/dhnet-b": (64.72, 80.34, 109.91, 235.6),
    "dhnet-b": (1.42, 6.34, 1.899, 43.1),
    "dhnet-edge": (1.36, 0, 1.735, 0),
    "nafnet-32": (17.11, 0, 15.95, 0),
    "nafnet-64": (67.89, 0, 63.05, 0),
    "ufpnet": (80.34, 0, 235.6, 0),
    "table3-a": (67.89, 0, 63.05, 0),
    "table3-b": (44.19, 0, 38.94, 0),
    "table3-d": (64.72, 80.34, 109.91, 235.6),
    "table5-b": (64.02, 0, 107.8, 0),
    "table5-c": (64.72, 67.89, 109.91, 63.05),
    "table5-d": (64.72, 80.34, 109.91, 235.6),
    "table7-sg": (61.85, 80.34, 105.0, 235.6),
    "table7-q1": (62.81, 80.34, 106.6, 235.6),
    "table7-q2": (63.45, 80.34, 107.7, 235.6),
    "table7-q4": (64.72, 80.34, 109.91, 235.6),
    "table7-q8": (67.27, 80.34, 114.2, 235.6),
}


def test_profile_lists_every_configuration_to_the_papers_numbers(capsys):
    assert main(["profile", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    kept = json.loads((ROOT / "docs" / "network.json").read_text())
    assert [{key: value for key, value in row.items() if not key.endswith("cpu_ms")} for row in kept] == listed
    assert network_cost.markdown(kept) in (ROOT / "docs" / "network.md").read_text()
    rows = {row["name"]: row for row in listed}
    assert set(rows) >= set(COUNTS)
    assert set(rows) == {configs.load(path).name for path in configs.published()}
    for name, (trainable, frozen, giga, prior) in COUNTS.items():
        row = rows[name]
        assert row["trainable"] / 1e6 == pytest.approx(trainable, abs=0.005), name
        assert (row["parameters"] - row["trainable"]) / 1e6 == pytest.approx(frozen, abs=0.005), name
        assert row["macs"] / 1e9 == pytest.approx(giga, rel=0.003), name
        assert row["prior_macs"] / 1e9 == pytest.approx(prior, rel=0.01), name
    for fewer, more in (("eg", "d"), ("d", "fh")):
        assert max(rows[f"table5-{r}"]["macs"] for r in fewer) < min(rows[f"table5-{r}"]["macs"] for r in more)
    assert rows["table3-c"]["macs"] > rows["table3-d"]["macs"]


def test_profile_takes_names_and_prints_a_table(capsys):
    assert main(["profile", "dhnet-edge", "table5-b", "--markdown"]) == 0
    head, _, edge, ablation = capsys.readouterr().out.strip().split("\n")
    assert "paper GMACs" in head
    assert edge.startswith("| `dhnet-edge` | 1.36 |")
    assert "34.26" in ablation


def test_the_priors_time_is_separate_and_the_least_of_all_calls_stays(tmp_path, capsys):
    model = 'width = 8\nprior = "nafnet"\nprior_width = 4\nencoder = [1, 1, 1, 2]\nprior_encoder = [1, 1, 1, 2]'
    (tmp_path / "b.toml").write_text(f"[model]\n{model}")
    arguments = ["profile", "--config", str(tmp_path / "b.toml"), "--height", "32", "--width", "32", "--json"]
    assert main([*arguments, "--repeats", "2", "--out", str(tmp_path / "rows.json")]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["cpu_ms"] > 0
    assert row["prior_cpu_ms"] > 0
    assert json.loads((tmp_path / "rows.json").read_text()) == [row]
    other = {**row, "name": "other"}
    for times, least in (({"cpu_ms": 1e9}, row["cpu_ms"]), ({"cpu_ms": 0.5}, 0.5), ({}, 0.5)):
        given = {key: value for key, value in row.items() if not key.endswith("cpu_ms")} | times
        assert network_cost.kept(given, tmp_path / "rows.json")["cpu_ms"] == least
    network_cost.kept(other, tmp_path / "rows.json")
    assert [r["name"] for r in json.loads((tmp_path / "rows.json").read_text())] == ["b", "other"]
    changed = {**row, "macs": row["macs"] + 1, "cpu_ms": 7e9}
    assert network_cost.kept(changed, tmp_path / "rows.json")["cpu_ms"] == 7e9  # another network: its times say nothing


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_concatenated_experts_cost_one_more_mixing_per_router(n):
    # §7.5 H3: the experts' own pointwise stays, and each router adds a 1×1 convolution of n·C inputs.
    options = {"width": 16, "encoder": (1, 1), "decoder": (1, 1), "routers": 2, "experts": (1, 3, 5, 7, 9)[:n]}
    joined, added = (macs(ModelConfig(**options, combine=c), 64, 64) for c in ("concat", "sum"))
    assert joined - added == 4 * 2 * n * 16 * 16 * 64 * 64  # C²P is the same at every level


def test_concat_equals_the_written_out_experts():
    torch.manual_seed(1)
    block = DDRE(4, ModelConfig(experts=(1, 3), routers=2, combine="concat"))
    torch.nn.init.normal_(block.gamma)
    x = torch.randn(2, 4, 6, 5)
    z = block.fuse(x)
    a = block.weights(z)
    joined = []
    for j in range(2):
        for i in range(2):
            part = slice((j * 2 + i) * 4, (j * 2 + i) * 4 + 4)
            expert = torch.einsum("oc,nchw->nohw", block.experts.weight[part, :, 0, 0], block.depthwise[j](z)[:, i::2])
            joined.append(a[:, i, j][:, None] * (expert + block.experts.bias[part][None, :, None, None]))
    assert torch.allclose(block(x), x + block.gamma * block.pointwise(torch.cat(joined, 1)), atol=1e-5)


def test_mrvnets_layer_is_first_plus_second_order_with_clipped_factors():
    torch.manual_seed(0)
    layer, x = VolterraLayer(3, 2), 4 * torch.randn(1, 3, 5, 6)
    w1, a1, b1, a2, b2 = layer.filters(x).split(3, 1)
    assert (a1.abs() > 1).any()
    assert torch.allclose(layer(x), w1 + a1.clamp(-1, 1) * b1.clamp(-1, 1) + a2.clamp(-1, 1) * b2.clamp(-1, 1))


@pytest.mark.parametrize("options", [{"router": "pixel"}, {"combine": "concat"}, {"block": "mrvnet"}])
def test_every_reading_of_the_paper_trains(options):
    model = lively(DHNet(ModelConfig(**{**TINY, "shared_pointwise": False, **options})))
    x = torch.rand(2, 3, 16, 24)
    y = model(x)
    y.square().mean().backward()
    assert y.shape == x.shape
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_recomputed_maps_give_the_same_gradients():
    model = lively(DHNet(ModelConfig(**{**TINY, "routers": 2, "shared_pointwise": False}))).train()
    x, grads = torch.rand(1, 3, 16, 16), []
    for flag in (False, True):
        for module in model.modules():
            if isinstance(module, DDRE):
                module.recompute = flag
        model.zero_grad()
        model(x).square().mean().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("options", [{}, {"shared_pointwise": False, "routers": 3}])
@pytest.mark.parametrize(("size", "same"), [(32, True), (48, False)])
def test_local_pooling_is_global_within_its_window(options, size, same):
    torch.manual_seed(0)
    config = ModelConfig(**{**TINY, **options, "window": 32})
    model = lively(DHNet(config))
    torch.manual_seed(4)
    x = torch.rand(1, 3, size, size) * torch.linspace(0, 1, size)
    with torch.no_grad():
        local = model(x)
        local_pooling.set_window(model, None)
        assert torch.allclose(local, model(x), atol=1e-6) is same


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (2, 3), (15, 33), (16, 32)])
def test_pictures_of_every_size_are_restored(size, tiny):
    x = torch.rand(1, 3, *size)
    y = restore(tiny, x, tiny.config.pad_multiple)
    assert y.shape == x.shape
    assert torch.isfinite(y).all()
    assert restore(lambda padded: padded, x, 16).equal(x)


def test_padding_reflects_without_repeating_the_edge():
    row = torch.arange(3.0).repeat(1, 3, 1, 1)
    seen = []
    restore(lambda padded: seen.append(padded) or padded, row / 2, 8)
    assert (2 * seen[0][0, 0, 0]).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]


def test_extends_takes_missing_keys_from_the_other_file(tmp_path):
    (tmp_path / "base.toml").write_text('name = "base"\n[model]\nwidth = 8\nrank = 2\n[train]\nbatch = 3')
    (tmp_path / "run.toml").write_text('extends = "base.toml"\n[model]\nrank = 1')
    config = configs.load(tmp_path / "run.toml")
    assert (config.name, config.model.width, config.model.rank, config.train.batch) == ("run", 8, 1, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "run.toml"', "extends itself"),
        ('extends = "none.toml"', "no such config"),
        ("model = 3", "must be a table"),
        ('[model]\nwidth = "wide"', "width: must be int"),
        ("[model]\nencoder = 3", "encoder: must be a list"),
        ("[model]\nrank = true", "rank: must be int"),
        ("[model]\nencoder = [1, 1]", "same number of levels"),
        ("[model]\nexperts = [2]", "must be odd"),
        ("[model]\nexperts = []", "must be odd"),
        ("[model]\nwidth = 0", "at least 1"),
        ('[model]\nrouter = "top"', "must be one of gap, pixel"),
        ('[model]\nprior = "vgg"', "must be one of none, nafnet, ufpnet"),
        ('[model]\nprior = "nafnet"\nddre = false', "no block reads the prior"),
        ('[model]\nprior = "nafnet"\nunshuffle = 2', "unshuffle = 1"),
        ('[model]\nblock = "mrvnet"\nrank = 0', "rank of at least 1"),
        ('[model]\ncombine = "concat"\nshared_pointwise = true', "own pointwise"),
        ("[data]\npatch = 100", "multiple of 16"),
        ('[train]\noptimizer = "sgd"', "must be one of adam, adamw"),
        ("[train]\nema = 1.5", "lie in [0, 1)"),
        ("[train\n", "not valid TOML"),
        ("name = 3", "name: must be str"),
    ],
)
def test_a_wrong_config_gives_one_line_that_says_why(tmp_path, capsys, text, said):
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert main(["profile", "--config", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error


def test_an_unknown_name_lists_the_known_ones(capsys):
    assert main(["profile", "dhnet-xl"]) == 1
    error = capsys.readouterr().err
    assert "dhnet-b" in error
    assert error.count("\n") == 1


def test_the_config_of_dhnet_trains_by_the_papers_recipe():
    config = configs.load(configs.named("dhnet"))
    t = config.train
    assert (config.data.dataset, config.data.patch, t.batch, t.optimizer) == ("gopro", 256, 32, "adam")
    assert (t.lr, t.lr_end, t.betas, t.weight_decay, t.edge) == (1e-3, 1e-7, (0.9, 0.999), 0.0, 0.05)
    # λ = 0.1 of an unnormalised transform of 256×256, in units of ten times the unitary one.
    assert 10 * t.frequency == pytest.approx(0.1 * 256)
    assert (t.compile, t.channels_last, t.bf16) == (True, True, True)
    trainer = Trainer(configs.from_dict({"model": TINY, "data": {"patch": 32}, "train": {"optimizer": "adam"}}), "cpu")
    assert type(trainer.optimizer) is torch.optim.Adam
    assert trainer.forward is trainer.model  # compiled on a GPU only


def test_weights_of_another_network_are_named():
    model = build(ModelConfig(**TINY))
    state = own_state(model)
    with pytest.raises(UserError, match=r"x: weights do not fit its config: `extra` is left over"):
        load_own_state(model, {**state, "extra": torch.zeros(1)}, "x")
    state.pop("intro.bias")
    with pytest.raises(UserError, match=r"`intro.bias` is missing"):
        load_own_state(model, state, "x")
