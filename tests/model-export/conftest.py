"""Small data and small networks for the tests; nothing is read from outside the repository."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[2] / "model-export"
sys.path.insert(0, str(ROOT))
torch.set_num_threads(2)

from dhnet import config as configs
from dhnet.export import export
from dhnet.network import checkpoint
from dhnet.network.model import DHNet, build, own_state
from dhnet.training.train import Trainer

TINY = {
    "width": 16,
    "encoder": (1, 1),
    "middle": 1,
    "decoder": (1, 1),
    "routers": 1,
    "shared_pointwise": True,
    "unshuffle": 2,
}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns a smooth random picture with some edges, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).copy()
    smooth[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return smooth


def lively(model: DHNet, seed: int = 0) -> DHNet:
    """Gives every parameter that starts at 0 or 1 a random value, so that every branch contributes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(("beta", "gamma", "norm.weight", "norm.bias", "expert_bias")):
                value.copy_(torch.randn(value.shape, generator=generator) * 0.3 + (name.endswith("norm.weight")))
        model.ending.weight.copy_(torch.randn(model.ending.weight.shape, generator=generator) * 0.01)
    return model.eval()


def saved(folder: Path, values: dict, seed: int = 0, patches: int = 0) -> tuple[list[str], torch.nn.Module]:
    """Saves a lively network's full checkpoint and its prior's. Returns the arguments that name them, and the network.

    patches: number of patches in the checkpoint; a service offers no model that was trained on none.
    """
    torch.manual_seed(seed)
    config = configs.from_dict({"name": "run", "model": values, "data": {"patch": 32}})
    model = lively(build(config.model), seed)
    state = {"config": configs.to_dict(config), "ema": own_state(model), "history": [], "device": "cpu", "prior": None}
    arguments = ["--checkpoint", str(folder / "last.pt")]
    if config.model.prior != "none":
        torch.save({"params": model.prior.network.state_dict()}, folder / "prior.pth")
        state["prior"] = checkpoint.file_sha256(folder / "prior.pth")
        arguments += ["--prior", str(folder / "prior.pth")]
    checkpoint.save(folder / "last.pt", {**state, "step": 0, "patches": patches, "seconds": 0})
    return arguments, model


@pytest.fixture
def tiny() -> DHNet:
    torch.manual_seed(0)
    return lively(DHNet(configs.ModelConfig(**TINY)))


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Six photos and two pairs in the folder layout of the training data."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "sharp").mkdir()
    for i in range(6):
        Image.fromarray(picture(128, 144, i)).save(folder / "sharp" / f"{i}.png")
    for part in ("pairs-train", "pairs-dev"):
        for kind in ("blur", "sharp"):
            (folder / part / kind).mkdir(parents=True)
        for i, name in enumerate(("gopro_a", "reds_b")):
            sharp = Image.fromarray(picture(96, 112, 10 + i))
            sharp.save(folder / part / "sharp" / f"{name}.png")
            sharp.resize((56, 48)).resize((112, 96)).save(folder / part / "blur" / f"{name}.png")
    return folder


@pytest.fixture
def config() -> configs.Config:
    """A run of a few seconds."""
    return configs.from_dict(
        {
            "name": "tiny",
            "model": TINY,
            "data": {"patch": 32},
            "train": {"batch": 2, "bf16": False, "warmup": 2, "log_steps": 1, "gate_init": 0.3},
        }
    )


@pytest.fixture
def exported(tmp_path, config):
    """A random tiny network, exported."""
    trainer = Trainer(config, "cpu")
    trainer.ema = {k: v.detach().clone() for k, v in lively(trainer.model).state_dict().items()}
    checkpoint.save(tmp_path / "last.pt", trainer.state())
    export.export("tiny", tmp_path / "last.pt", tmp_path / "tiny")
    return tmp_path / "tiny"
