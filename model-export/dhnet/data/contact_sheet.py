"""Draws a contact sheet of training pairs: inputs above targets, eight in a row."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..config import Config
from .training_pairs import source


def sheet(config: Config, data: Path, out: Path, rows: int, columns: int = 8) -> None:
    """Writes `rows` batches of the run's training pairs as one PNG."""
    made = source(data, config.data, config.train.seed)
    strips = []
    for index in range(rows):
        for pictures in made.batch(index, columns):
            strips.append(torch.cat(list(pictures), 2))
    pixels = torch.cat(strips, 1).permute(1, 2, 0).numpy()
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(out)
