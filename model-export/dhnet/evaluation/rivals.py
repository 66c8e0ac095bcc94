"""Other models beside the one that is measured, on the same pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.pictures import read
from . import tiling
from .evaluate import Rivals, scores

Restore = Callable[[np.ndarray], np.ndarray]  # a uint8 picture [H, W, 3] → restored


def tiled(answer: Callable[[Tensor], Tensor], tile: int = 256, overlap: int = 32, align: int = 16) -> Restore:
    """A network for pictures [1, 3, tile, tile] in [0, 1], run over whole pictures as DHNet-B is."""

    def run(given: np.ndarray) -> np.ndarray:
        image = torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255
        return (answer(image).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()

    return lambda picture: tiling.apply(picture, run, tile, overlap, tile, align)


def beside(models: dict[str, Restore], more: Rivals | None = None) -> Rivals:
    """What `evaluate_pairs` takes: the pictures of all models as `beside`, and those of `more`."""

    def restored(blur: np.ndarray, sharp: np.ndarray) -> dict:
        pictures = {"beside": {name: restore(blur) for name, restore in models.items()}}
        return pictures | (more(blur, sharp) if more else {})

    return restored


def unharmed(models: dict[str, Restore], photos: list[Path]) -> dict[str, list[dict]]:
    """By model: how little sharp photos change, as `evaluate_sharp` says it."""
    pictures = {path.stem: read(path) for path in photos}
    return {
        model: [{"name": name, "fidelity": scores(restore(p), p)} for name, p in pictures.items()]
        for model, restore in models.items()
    }
