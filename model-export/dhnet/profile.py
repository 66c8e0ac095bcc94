"""Size and cost of a configuration."""

import time

import torch

from .config import Config
from .model import DHNet, macs, parameters


def profile(config: Config, height: int, width: int, repeats: int) -> dict:
    """Parameters, MACs of one picture, and (repeats > 0) the fastest PyTorch forward pass in milliseconds."""
    with torch.device("meta"):
        count = parameters(DHNet(config.model))
    facts = {
        "name": config.name,
        "parameters": count,
        "height": height,
        "width": width,
        "macs": macs(config.model, height, width),
        "pad_multiple": config.model.pad_multiple,
    }
    if repeats:
        facts["forward_ms"] = round(fastest(config, height, width, repeats), 1)
        facts["threads"] = torch.get_num_threads()
    return facts


@torch.no_grad()
def fastest(config: Config, height: int, width: int, repeats: int) -> float:
    """Milliseconds of the fastest of `repeats` forward passes, after one to warm up."""
    model, image = DHNet(config.model).eval(), torch.rand(1, 3, height, width)
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        model(image)
        times.append(1000 * (time.perf_counter() - began))
    return min(times[1:])
