"""Checkpoints: a full one (.pt) resumes a run exactly; a slim one (.safetensors) holds float16 EMA weights."""

import json
import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from . import config as configs
from .config import UserError
from .model import DHNet


def save(path: Path, state: dict) -> None:
    """Write a full checkpoint; the old one stays in place until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def save_slim(path: Path, state: dict) -> None:
    """The EMA weights of a full checkpoint in float16, with its config, patches and seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ("config", "step", "patches", "seconds", "device", "history")
    facts = {key: json.dumps(state[key]) for key in keys}
    weights = {name: value.half().contiguous() for name, value in state["ema"].items()}
    partial = path.with_suffix(".partial")
    save_file(weights, str(partial), metadata=facts)
    partial.chmod(0o644)  # safetensors writes files that only their owner can read
    os.replace(partial, path)


def load(path: Path) -> dict:
    """Either kind of checkpoint → a state dict; a slim one lacks `model` and `optimizer`."""
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            with safe_open(str(path), "pt") as file:
                facts = {key: json.loads(value) for key, value in file.metadata().items()}
                ema: dict[str, Tensor] = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            return {**facts, "ema": ema}
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {**state, "ema": state["ema"], "config": state["config"]}
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError, ValueError) as e:
        raise UserError(f"{path}: not a checkpoint: {str(e).splitlines()[0] if str(e) else type(e).__name__}") from None


def network(state: dict) -> DHNet:
    """The network of a checkpoint with its EMA weights, in evaluation mode."""
    model = DHNet(configs.from_dict(state["config"], "checkpoint").model)
    try:
        model.load_state_dict(state["ema"])
    except RuntimeError as error:
        raise UserError(f"checkpoint: weights do not fit its config: {str(error).splitlines()[0]}") from None
    return model.eval()
