"""Counts parameters and multiply-accumulates of configurations, and times a forward pass."""

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import config as configs
from ..config import ModelConfig
from ..json_files import write_json
from ..network.model import build, costs, frozen
from ..priors import Features

# The paper's figures of a configuration: GMACs at 3×256×256, and dB on GoPro.
PAPER = {
    "dhnet": (32, 33.28),
    "paper/dhnet-b": (111, 34.75),
    "nafnet-32": (None, 32.83),
    "nafnet-64": (None, 33.62),
    "ufpnet": (None, 34.06),
    "mrvnet-block": (None, 34.51),
    "table3-a": (None, 33.62),
    "table3-b": (None, 34.05),
    "table3-c": (None, 34.32),
    "table3-d": (111, 34.75),
    "table5-a": (None, 34.05),
    "table5-b": (None, 34.26),
    "table5-d": (111, 34.75),
    "table7-sg": (106, 34.12),
    "table7-q1": (107, 34.25),
    "table7-q2": (109, 34.42),
    "table7-q4": (111, 34.75),
    "table7-q8": (119, 34.76),
}


def profile(path: Path, height: int = 256, width: int = 256, repeats: int = 0) -> dict:
    """Returns {name, parameters, trainable, macs, prior_macs, …} of a config file; only times need computation.

    parameters counts the frozen prior too, trainable and macs do not. With repeats > 0, cpu_ms is the processor time of
    one picture through PyTorch on one thread without its prior, and prior_cpu_ms that of the prior's maps.
    """
    config = configs.load(path)
    facts = {
        "name": config.name,
        **costs(config.model, height, width)._asdict(),
        "height": height,
        "width": width,
        "pad_multiple": config.model.pad_multiple,
    }
    if repeats:
        facts |= times(config.model, height, width, repeats)
    return facts


def kept(row: dict, path: Path) -> dict:
    """Stores `row` in the JSON list in `path`, keeping times that were lower before; returns the stored row."""
    rows = {r["name"]: r for r in json.loads(path.read_text())} if path.is_file() else {}
    before = rows.get(row["name"], {})
    if all(before.get(key) == row[key] for key in ("macs", "prior_macs", "height", "width")):
        row |= {key: min(before[key], row.get(key, before[key])) for key in ("cpu_ms", "prior_cpu_ms") if key in before}
    write_json(path, list((rows | {row["name"]: row}).values()))
    return row


class Known(nn.Module):
    """A prior that returns maps computed before."""

    def __init__(self, maps: Features | Tensor) -> None:
        super().__init__()
        self.maps = maps
        self.channels = [m.shape[1] for m in maps.encoder] if isinstance(maps, Features) else []

    def forward(self, _: Tensor) -> Features | Tensor:
        return self.maps


@cache
def times(config: ModelConfig, height: int, width: int, repeats: int) -> dict[str, float]:
    """Returns {cpu_ms, prior_cpu_ms} with random weights; equal networks are measured once."""
    image = torch.rand(1, 3, height, width)
    if config.prior == "none":
        model, prior = build(config), 0.0
    else:
        # The ablations share their prior, which takes most of the time.
        kind = ("prior", "prior_stages", "prior_width", "prior_encoder")
        alike = ModelConfig(**{name: getattr(config, name) for name in kind})
        maps, prior = prior_time(alike, height, width, repeats)
        model = build(config, Known(maps))
    mine, _ = least(model.eval(), image, repeats)
    return {"cpu_ms": mine, "prior_cpu_ms": prior}


@cache
def prior_time(config: ModelConfig, height: int, width: int, repeats: int) -> tuple[Features | Tensor, float]:
    """Returns the maps that a configuration's prior makes of a picture, and their processor time in ms."""
    took, maps = least(frozen(config), torch.rand(1, 3, height, width), repeats)
    return maps, took


@torch.no_grad()
def least(model: nn.Module, image: Tensor, repeats: int) -> tuple[float, Any]:
    """Returns the least processor time (user and system) in ms of `repeats` passes on one thread, and the last result.

    Other work on the machine affects processor time only through caches and memory.
    """
    threads, taken = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for _ in range(repeats):
        began = time.process_time()
        result = model(image)
        taken.append(time.process_time() - began)
    torch.set_num_threads(threads)
    return round(1000 * min(taken), 1), result


def text(facts: dict) -> str:
    """Returns one line of text about a configuration."""
    frozen, prior = facts["parameters"] - facts["trainable"], facts["prior_macs"]
    line = f"{facts['name']}: {facts['trainable'] / 1e6:.2f} M parameters, {facts['macs'] / 1e9:.2f} GMACs"
    line += f" at 3×{facts['height']}×{facts['width']}, sides in multiples of {facts['pad_multiple']}"
    if frozen:
        line += f"; its prior {frozen / 1e6:.2f} M, {prior / 1e9:.2f} GMACs"
    if "cpu_ms" in facts:
        line += f"; {facts['cpu_ms']} ms of processor time"
        line += f" and {facts['prior_cpu_ms']} ms of the prior's" if frozen else ""
    return line


def markdown(rows: list[dict]) -> str:
    """Returns the table of docs/network.md: our figures beside the paper's, with times if any row has one."""
    timed = any("cpu_ms" in row for row in rows)
    times = ("CPU s", "prior CPU s") if timed else ()
    heads = ("config", "trainable, M", "prior, M", "GMACs", "prior GMACs", *times, "paper GMACs", "paper dB")
    lines = [f"| {' | '.join(heads)} |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row, timed))} |" for row in rows)])


def _cells(row: dict, timed: bool) -> list[str]:
    """Returns the cells of a row, with a dash for every missing figure."""
    giga, decibels = PAPER.get(row["name"], (None, None))
    frozen = row["parameters"] - row["trainable"]
    figures = [
        row["trainable"] / 1e6,
        frozen / 1e6,
        row["macs"] / 1e9,
        row["prior_macs"] / 1e9,
        *((row.get("cpu_ms", 0) / 1e3, row.get("prior_cpu_ms", 0) / 1e3) if timed else ()),
    ]
    shown = (f"{value:.2f}" if value else "–" for value in figures)
    return [f"`{row['name']}`", *shown, str(giga or "–"), f"{decibels:.2f}" if decibels else "–"]
