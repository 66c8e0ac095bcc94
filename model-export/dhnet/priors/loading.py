"""Reads checkpoints as the authors of NAFNet and UFPNet publish them, or as `train` writes a NAFNet."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import UserError

Network = TypeVar("Network", bound=nn.Module)
HOLDERS = ("params", "state_dict", "ema")  # keys under which BasicSR, others and `train` keep the weights


def load_published(source: str | Path | Mapping, model: Network, where: str | None = None) -> Network:
    """Fills `model` from a published checkpoint and returns it.

    source: a file of torch.save, or what it holds, see `published_state`. where: its name in errors.
    Every weight must be there, none left over, all of the right shape; UserError names the first that is not.
    """
    where = where or ("weights" if isinstance(source, Mapping) else str(source))
    state = published_state(source)
    expected = model.state_dict()
    _refuse(where, "missing key", [key for key in expected if key not in state])
    _refuse(where, "left-over key", [key for key in state if key not in expected])
    for key, value in expected.items():
        if not isinstance(state[key], Tensor):
            raise UserError(f"{where}: `{key}` is not a tensor")
        if state[key].shape != value.shape:
            raise UserError(f"{where}: `{key}` has shape {list(state[key].shape)}, expected {list(value.shape)}")
    model.load_state_dict(state)
    return model


def published_state(source: str | Path | Mapping) -> dict:
    """Returns the weights by name.

    source: a file of torch.save, or what it holds: {"params": …}, {"state_dict": …} or bare weights. A leading
    `module.` of a name (DataParallel) is dropped. UserError where the file is not a checkpoint.
    """
    state = source if isinstance(source, Mapping) else _read(Path(source))
    for holder in HOLDERS:
        if isinstance(state.get(holder), Mapping):
            state = state[holder]
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _read(path: Path) -> Mapping:
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            return {key: value.float() for key, value in load_file(path).items()}
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        AttributeError,
        ValueError,
    ) as error:
        raise UserError(f"{path}: not a checkpoint: {str(error).splitlines()[0] if str(error) else 'empty'}") from None
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: not a checkpoint: holds a {type(state).__name__}")
    return state


def _refuse(where: str, what: str, keys: list[str]) -> None:
    if keys:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        raise UserError(f"{where}: {what} `{keys[0]}`{more}")
