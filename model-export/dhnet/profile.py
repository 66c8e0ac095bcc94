"""Size and cost of configurations: parameters, multiply-accumulates, time of a forward pass."""

import statistics
import time
from pathlib import Path

import torch

from . import config as configs
from .model import build, costs

# What the paper reports of a configuration, in GMACs at 3×256×256 and dB on GoPro; ours has no such figures.
PAPER = {
    "dhnet": (32, 33.28),
    "dhnet-b": (111, 34.75),
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
    """{name, parameters, trainable, macs, prior_macs, …} of a config file; nothing is computed but the times.

    parameters counts the frozen prior too, trainable and macs do not. With repeats > 0, forward_ms is the median of
    so many PyTorch forward passes of a picture on one thread, prior included, after one to warm up; cpu_ms is the
    processor time of the same, which other work on the machine hardly changes.
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
        facts["forward_ms"], facts["cpu_ms"] = medians(config.model, height, width, repeats)
    return facts


@torch.no_grad()
def medians(config: configs.ModelConfig, height: int, width: int, repeats: int) -> tuple[float, float]:
    """Medians, in ms, of wall time and processor time of `repeats` forward passes on one thread."""
    model, image = build(config).eval(), torch.rand(1, 3, height, width)
    threads, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for _ in range(repeats + 1):
        began = time.perf_counter(), time.process_time()
        model(image)
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    torch.set_num_threads(threads)
    wall, cpu = (round(1000 * statistics.median(kind), 1) for kind in zip(*times[1:], strict=True))
    return wall, cpu


def text(facts: dict) -> str:
    """One line for a person."""
    frozen, prior = facts["parameters"] - facts["trainable"], facts["prior_macs"]
    line = f"{facts['name']}: {facts['trainable'] / 1e6:.2f} M parameters, {facts['macs'] / 1e9:.2f} GMACs"
    line += f" at 3×{facts['height']}×{facts['width']}, sides in multiples of {facts['pad_multiple']}"
    if frozen:
        line += f"; its prior {frozen / 1e6:.2f} M, {prior / 1e9:.2f} GMACs"
    if "forward_ms" in facts:
        line += f"; {facts['forward_ms']} ms on one thread, {facts['cpu_ms']} ms of processor time"
    return line


def markdown(rows: list[dict]) -> str:
    """The table of docs/network.md: ours beside the paper's."""
    timed = "forward_ms" in rows[0]
    heads = [
        "config",
        "trainable, M",
        "prior, M",
        "GMACs",
        "prior GMACs",
        *(["CPU s"] if timed else []),
        "paper GMACs",
        "paper dB",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for r in rows:
        giga, decibels = PAPER.get(r["name"], (None, None))
        frozen = r["parameters"] - r["trainable"]
        cells = [
            f"`{r['name']}`",
            f"{r['trainable'] / 1e6:.2f}",
            f"{frozen / 1e6:.2f}" if frozen else "–",
            f"{r['macs'] / 1e9:.2f}",
            f"{r['prior_macs'] / 1e9:.2f}" if frozen else "–",
            *([f"{r['cpu_ms'] / 1000:.2f}"] if timed else []),
            str(giga or "–"),
            f"{decibels:.2f}" if decibels else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
