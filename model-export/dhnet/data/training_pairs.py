"""Makes training batches of synthetic and real pairs, or of the pairs of a published dataset."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..config import DataConfig
from ..errors import UserError
from .blur_synthesis import sharp_pair, synthesise
from .pictures import pairs, photos, read
from .published_datasets import published

MARGIN = 48  # pixels of a photo kept around a patch, over which the camera moves


class Source:
    """Makes batch number i of a run; the batch depends on config, seed and data only."""

    def __init__(self, folder: Path, config: DataConfig, seed: int, share: tuple[int, int] = (0, 1)) -> None:
        """share (i, n): use every n-th photo from the i-th on, for one of n processes."""
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder")
        self.config, self.seed = config, seed
        self.cut = config.patch + MARGIN
        self.photos = photos(folder, config, self.cut, share)
        real = folder / "pairs-train"
        self.real = [(read(p.blur), read(p.sharp)) for p in pairs(real)] if config.real and real.is_dir() else []

    def _photo(self, rng: np.random.Generator) -> np.ndarray:
        photo = self.photos[rng.integers(len(self.photos))]
        y, x = (rng.integers(n - self.cut + 1) for n in photo.shape[:2])
        return photo[y : y + self.cut, x : x + self.cut]

    def _reduced(self, rng: np.random.Generator) -> np.ndarray:
        """Returns a random square of a photo, at least as large as a patch, reduced to one patch."""
        photo = self.photos[rng.integers(len(self.photos))]
        side = int(rng.uniform(self.config.patch, min(photo.shape[:2])))
        y, x = (rng.integers(n - side + 1) for n in photo.shape[:2])
        size = (self.config.patch, self.config.patch)
        return np.asarray(Image.fromarray(photo[y : y + side, x : x + side]).resize(size, Image.Resampling.LANCZOS))

    def _real(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        blur, sharp = self.real[rng.integers(len(self.real))]
        size = self.config.patch
        y, x = (rng.integers(n - size + 1) for n in blur.shape[:2])
        pair = [torch.from_numpy(p[y : y + size, x : x + size].copy()).permute(2, 0, 1) for p in (blur, sharp)]
        if rng.random() < self.config.identity:
            pair[0] = pair[1]
        order = torch.from_numpy(rng.permutation(3)) if rng.random() < 0.3 else torch.arange(3)
        swap = rng.random() < 0.5
        return tuple((p.transpose(1, 2) if swap else p)[order] for p in pair)

    def pair(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Returns (input, target), uint8 [3, patch, patch], flipped at random."""
        if self.real and rng.random() < self.config.real:
            pair = self._real(rng)
        elif self.config.reduced and rng.random() < self.config.reduced:
            pair = sharp_pair(self._reduced(rng), self.config, rng)
        else:
            pair = synthesise(self._photo(rng), self._photo(rng), self.config, rng)
        axes = [axis for axis in (1, 2) if rng.random() < 0.5]
        return tuple(p.flip(axes) for p in pair)

    def batch(self, index: int, size: int) -> tuple[Tensor, Tensor]:
        """Returns batch `index`: two uint8 tensors [size, 3, patch, patch]."""
        rng = np.random.default_rng((self.seed, index))
        made = [self.pair(rng) for _ in range(size)]
        return tuple(torch.stack(p) for p in zip(*made, strict=True))


class Published:
    """Makes batch number i of a run on a published dataset: random crops with flips, every pair once in every epoch."""

    def __init__(self, folder: Path, config: DataConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.pairs = published(config.dataset, folder, "train")

    def pair(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Returns (input, target) of pair number `index` since the start of the run, uint8 [3, patch, patch]."""
        epoch, at = divmod(index, len(self.pairs))
        pair = self.pairs[np.random.default_rng((self.seed, epoch, 1)).permutation(len(self.pairs))[at]]
        made, size = [read(pair.blur), read(pair.sharp)], self.config.patch
        if made[0].shape != made[1].shape or min(made[0].shape[:2]) < size:
            raise UserError(f"{pair.blur}: must have its twin's size and at least {size} pixels a side")
        y, x = (rng.integers(n - size + 1) for n in made[0].shape[:2])
        axes = [axis for axis in (1, 2) if rng.random() < 0.5]
        cuts = [torch.from_numpy(p[y : y + size, x : x + size].copy()).permute(2, 0, 1) for p in made]
        return tuple(p.flip(axes) for p in cuts)

    def batch(self, index: int, size: int) -> tuple[Tensor, Tensor]:
        """Returns batch `index`: two uint8 tensors [size, 3, patch, patch]."""
        rng = np.random.default_rng((self.seed, index))
        made = [self.pair(index * size + i, rng) for i in range(size)]
        return tuple(torch.stack(p) for p in zip(*made, strict=True))


def source(folder: Path, config: DataConfig, seed: int, share: tuple[int, int] = (0, 1)) -> Source | Published:
    """Returns the maker of a run's batches: from photos and pairs of a folder, or from a published dataset."""
    if config.dataset:  # every process makes other batches, so that each may use all pairs
        return Published(folder, config, seed)
    return Source(folder, config, seed, share)
