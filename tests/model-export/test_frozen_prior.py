"""Tests DHNet-B's prior: frozen, absent from checkpoints, and read at the right places."""

import pytest
import torch
from conftest import lively
from dhnet import config as configs
from dhnet.config import ModelConfig
from dhnet.errors import UserError
from dhnet.network import checkpoint
from dhnet.network.model import DHNet, build, own_state
from dhnet.priors import NAFNet, Prior, UFPNet
from dhnet.training.train import train

SMALL = {"width": 8, "prior_width": 4, "encoder": (1, 1, 1, 2), "prior_encoder": (1, 1, 1, 2), "routers": 2}


@pytest.fixture
def photos(tmp_path, data):
    """A folder with the training photos and no pairs to measure."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sharp").symlink_to(data / "sharp")
    return tmp_path / "photos"


def with_prior(kind: str = "nafnet", **options) -> DHNet:
    torch.manual_seed(0)
    return lively(DHNet(ModelConfig(**{**SMALL, "prior": kind, **options})))


@pytest.mark.parametrize("kind", ["nafnet", "ufpnet"])
def test_no_gradient_optimizer_or_checkpoint_holds_the_prior(kind):
    config = configs.from_dict({"model": {**SMALL, "prior": kind}, "data": {"patch": 32}, "train": {"bf16": False}})
    torch.manual_seed(3)
    network = build(config.model).prior.network
    model = DHNet(config.model, Prior(network))
    model(torch.rand(1, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is None and not p.requires_grad for p in model.prior.parameters())
    assert all(p.grad is not None for name, p in model.named_parameters() if not name.startswith("prior."))
    assert not any(key.startswith("prior.") for key in own_state(model))
    assert not any(module.training for module in model.train().prior.modules())


@pytest.mark.parametrize("kind", [NAFNet, UFPNet])
def test_a_run_leaves_its_prior_unchanged(kind, tmp_path, photos):
    name = kind.__name__.lower()
    torch.manual_seed(3)
    network = kind(4, (1, 1, 1, 2))
    torch.save({"params": network.state_dict()}, tmp_path / "prior.pth")
    values = {
        "model": {**SMALL, "prior": name},
        "data": {"patch": 32},
        "train": {"bf16": False, "batch": 2, "gate_init": 0.3},
    }
    config = configs.from_dict({**values, "name": "b"})
    trainer = train(config, photos, tmp_path / "run", steps=2, prior=tmp_path / "prior.pth")
    for key, value in trainer.prior.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key
    for file in ("last.pt", "checkpoint.safetensors"):
        state = checkpoint.load(tmp_path / "run" / file)
        assert not any("prior" in key for key in state["ema"])
        model = checkpoint.network(state, tmp_path / "prior.pth")
        assert torch.equal(model.prior.network.intro.weight, network.intro.weight)
    optimised = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert not optimised & {id(p) for p in trainer.model.prior.parameters()}
    with pytest.raises(UserError, match="--prior must name"):
        checkpoint.network(state)
    torch.save({"params": {**network.state_dict(), "intro.bias": torch.ones(4)}}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not the prior that the network was trained with"):
        checkpoint.network(state, tmp_path / "other.pth")
    with pytest.raises(UserError, match="trained with another prior"):
        train(
            config, photos, tmp_path / "x", steps=3, prior=tmp_path / "other.pth", resume=tmp_path / "run" / "last.pt"
        )


def test_a_nafnet_trained_here_serves_as_a_prior(tmp_path, data):
    model = {"network": "nafnet", "width": 4, "encoder": (1, 1, 1, 2)}
    values = {
        "name": "n",
        "model": model,
        "data": {"patch": 32},
        "train": {"bf16": False, "batch": 2, "gate_init": 0.3},
    }
    trainer = train(configs.from_dict(values), data, tmp_path, steps=1)
    assert trainer.history[-1]["psnr"]
    for file, tolerance in (("last.pt", 0), ("checkpoint.safetensors", 1e-3)):
        prior = checkpoint.load_prior(ModelConfig(**SMALL, prior="nafnet"), tmp_path / file)
        assert torch.allclose(prior.network.intro.weight, trainer.ema["intro.weight"], atol=tolerance)


def test_the_maps_that_ddre_reads_depend_on_the_prior():
    model, x = with_prior(), torch.rand(1, 3, 32, 16)
    with torch.no_grad():
        y = model(x)
        for parameter in model.prior.parameters():
            parameter.mul_(1.5)
        assert not torch.allclose(model(x), y, atol=1e-4)


def test_each_stage_reads_the_map_of_the_same_place():
    model, x, seen = with_prior(), torch.rand(1, 3, 32, 16), []
    for block in [*model.encoders, *model.decoders]:
        block[-1].register_forward_hook(lambda _, given, __: seen.append(given[1]))
    with torch.no_grad():
        model(x)
        maps = model.prior(x)
    assert all(torch.equal(a, b) for a, b in zip(seen, [*maps.encoder, *maps.decoder], strict=True))
