"""Checkpoints: a full one (.pt) resumes a run exactly; a slim one (.safetensors) holds float16 EMA weights."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import config as configs
from ..config import ModelConfig
from ..errors import UserError
from ..priors import Answers, Prior, load_published
from .model import build, frozen, load_own_state, prior_network

KEYS = ("config", "step", "patches", "seconds", "device", "history")  # of both kinds, beside the weights `ema`
MALFORMED = (RuntimeError, EOFError, KeyError, IndexError, AttributeError, TypeError, ValueError)


def save(path: Path, state: dict) -> None:
    """Writes a full checkpoint; the old one stays in place until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def save_slim(path: Path, state: dict) -> None:
    """Writes the EMA weights of a full checkpoint in float16, with its config, patches and seconds.

    prior: SHA-256 of the frozen prior's checkpoint. published: where weights come from that others trained.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {key: json.dumps(state[key]) for key in KEYS}
    facts |= {key: json.dumps(state[key]) for key in ("prior", "published") if state.get(key)}
    weights = {name: value.half().contiguous() for name, value in state["ema"].items()}
    partial = path.with_suffix(".partial")
    save_file(weights, str(partial), metadata=facts)
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    os.replace(partial, path)


def load(path: Path) -> dict:
    """Reads either kind of checkpoint as a state dict; a slim one lacks `model` and `optimizer`."""
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            with safe_open(str(path), "pt") as file:
                facts = {key: json.loads(value) for key, value in file.metadata().items()}
                facts |= {key: facts[key] for key in KEYS}  # a KeyError names what is missing
                ema: dict[str, Tensor] = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            return {**facts, "ema": ema}
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {**state, "ema": dict(state["ema"]), **{key: state[key] for key in KEYS}}
    except (SafetensorError, pickle.UnpicklingError, *MALFORMED) as e:
        reason = (
            f"no `{e.args[0]}`" if isinstance(e, KeyError) else str(e).splitlines()[0] if str(e) else type(e).__name__
        )
        raise UserError(f"{path}: not a checkpoint: {reason}") from None


def model_config(state: dict) -> ModelConfig:
    """Returns the [model] table of a checkpoint's network."""
    return configs.from_dict(state["config"], "checkpoint").model


def network(state: dict, prior: Path | None = None) -> nn.Module:
    """Returns the network of a checkpoint with its EMA weights, in evaluation mode.

    prior: published checkpoint of the frozen prior, where the network has one; the one that it was trained with.
    """
    config = model_config(state)
    frozen = load_prior(config, prior)
    if state.get("prior") and state["prior"] != file_sha256(prior):
        raise UserError(f"{prior}: not the prior that the network was trained with (SHA-256 {state['prior']})")
    model = build(config, frozen)
    load_own_state(model, state["ema"], "checkpoint")
    return model.eval()


def load_prior(config: ModelConfig, path: Path | None) -> Prior | Answers | None:
    """The frozen prior of a configuration from its published checkpoint; None where it has none."""
    if config.prior == "none":
        if path:
            raise UserError(f"{path}: a prior is given, but the network has none")
        return None
    if path is None:
        raise UserError(f"model.prior: the network reads {config.prior}'s maps; --prior must name its checkpoint")
    return frozen(config, load_published(path, prior_network(config)))


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
