"""Imports the weights that the authors of NAFNet or UFPNet published, as a model that the service can run."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .. import config as configs
from ..config import Config, ModelConfig
from ..errors import UserError
from ..network import checkpoint
from ..network.model import build
from ..priors import load_published, published_state
from .export import export

NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Authors:
    """The address where a network was published, and the licence of its weights as the authors state it."""

    source: str
    licence: str


AUTHORS = {
    "nafnet": Authors("https://github.com/megvii-research/NAFNet", "MIT"),
    "ufpnet": Authors("https://github.com/Fangzhenxuan/UFPDeblur", "none stated"),
}


def import_published(
    network: str, file: Path, out: Path, name: str | None = None, source: str | None = None, licence: str | None = None
) -> dict:
    """Exports the weights in `file` as model `name` into folder `out` and returns the manifest.

    network: a key of AUTHORS. file: as the authors publish it, `{"params": …}` of torch.save. name: by default the
    network's. source, licence: for the manifest, by default those of AUTHORS.

    UserError, with nothing written, where the name is malformed or the file is not such a checkpoint.
    """
    name = name or network
    if not NAME.fullmatch(name):
        raise UserError(f"import: the name `{name}` may hold only a-z, 0-9 and -")
    weights, authors = published_state(file), AUTHORS[network]
    model = build(shape(network, weights, file))
    load_published(weights, model, str(file))
    facts = {
        "source": source or authors.source,
        "sha256": checkpoint.file_sha256(file),
        "licence": licence or authors.licence,
    }
    slim = out / "checkpoint.safetensors"
    state = {"step": 0, "patches": 0, "seconds": 0, "device": "", "history": [], "published": facts}
    config = configs.to_dict(Config(name=name, model=model.config))
    checkpoint.save_slim(slim, {**state, "config": config, "ema": model.state_dict()})
    return export(name, slim, out)


def shape(network: str, weights: Mapping[str, Tensor], file: Path) -> ModelConfig:
    """Returns the configuration of a network with these weights; width and blocks follow from names and shapes."""
    intro = weights.get("intro.weight")
    if not isinstance(intro, Tensor) or intro.ndim != 4:
        raise UserError(f"{file}: holds no weights of {network}: `intro.weight` is missing")
    encoder = blocks(weights, "encoders")
    decoder = blocks(weights, "decoders")
    try:
        return ModelConfig(
            network=network,
            width=intro.shape[0],
            encoder=encoder,
            middle=count(weights, "middle_blks"),
            decoder=decoder,
        )
    except UserError as error:
        raise UserError(f"{file}: holds no weights of {network}: {error}") from None


def blocks(weights: Mapping[str, Tensor], part: str) -> tuple[int, ...]:
    """Returns the number of blocks of every level of an encoder or decoder."""
    return tuple(count(weights, f"{part}.{level}") for level in range(count(weights, part)))


def count(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Returns the highest number that follows `prefix.` in the names of the weights, plus one; 0 where there is
    none.
    """
    numbers = (re.match(rf"{re.escape(prefix)}\.(\d{{1,3}})\.", key) for key in weights)
    return max((int(found[1]) + 1 for found in numbers if found), default=0)


def gateway_line(manifest: dict) -> str:
    """Returns a line for a shell that sets the variable by which a gateway knows the model."""
    facts = {key: value for key, value in manifest.items() if key != "variants"}
    return f"RUNNER_MODELS={shlex.quote(json.dumps([facts], separators=(',', ':')))}"
