"""Triplets made ahead: a blurred picture, what the frozen prior makes of it, and its sharp twin.

The prior never changes, so it runs once per picture instead of once per training step. A triplet is one file, named by
its kind and number, whose content follows from seed, kind and number alone: making them can be stopped, resumed and
shared by processes.
"""

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..config import KINDS, DataConfig
from ..errors import UserError
from .blur_synthesis import camera, far_background, shallow, sharp_pair, synthesise
from .pictures import pairs, pictures, read
from .training_pairs import MARGIN

MEASURED = "measured"  # how the names of triplets begin that are not trained on
SIDE = 256  # of a triplet's pictures, in pixels: the prior's tile

# Scenes of pairs-train by the beginning of their names, and how often they are drawn. MAXIM has seen the GoPro scenes.
SCENES = (("reds_", 9), ("goproseq_", 5), ("gopro_GOPR", 4), ("gopro_", 3), ("reds320_", 3), ("", 1))


class Photos:
    """The sharp photos of DIR/sharp*.tar, kept as files and decoded one by one."""

    def __init__(self, folder: Path) -> None:
        self.files: list[bytes] = []
        for name in sorted(folder.glob("sharp*.tar")):
            with tarfile.open(name) as tar:
                self.files += [tar.extractfile(m).read() for m in tar if m.isfile()]
        if not self.files:
            raise UserError(f"{folder}: holds no sharp*.tar")

    def cut(self, size: int, rng: np.random.Generator, least: float, most: float) -> np.ndarray:
        """A square of a photo, uint8 [size, size, 3], scaled by a random factor from `least` to `most`."""
        image = Image.open(io.BytesIO(self.files[rng.integers(len(self.files))])).convert("RGB")
        least = max(least, size / min(image.size))
        side = size if least <= 1 and rng.random() < 0.4 else round(size / rng.uniform(least, max(least, most)))
        return scaled_cut([image], min(side, *image.size), size, rng)[0]


def scaled_cut(pictures: list[Image.Image], side: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The same square of `side` pixels of every picture, resized to `size`."""
    x, y = (int(rng.integers(n - side + 1)) for n in pictures[0].size)
    box = (x, y, x + side, y + side)
    kind = Image.Resampling.LANCZOS if side > size else Image.Resampling.BICUBIC
    cuts = [p.crop(box) if side == size else p.resize((size, size), kind, box) for p in pictures]
    return [np.asarray(c) for c in cuts]


class Kinds:
    """Makes (input, target), uint8 [3, SIDE, SIDE], of every kind of triplet."""

    def __init__(self, folder: Path, config: DataConfig) -> None:
        self.config, self.photos = replace(config, patch=SIDE), Photos(folder)
        self.real = pairs(folder / "pairs-train")
        self.weights = np.array([self._weight(p.name) for p in self.real])
        self.weights /= self.weights.sum()

    def _weight(self, name: str) -> float:
        prefix, weight = next(scene for scene in SCENES if name.startswith(scene[0]))
        return weight / sum(next(s for s, _ in SCENES if p.name.startswith(s)) == prefix for p in self.real)

    def soft(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A photo partly or wholly out of focus, which is to come back as it is."""
        blurred = shallow if rng.random() < 0.5 else far_background
        return sharp_pair(blurred(self.photos.cut(SIDE, rng, 0.6, 1.3), rng), self.config, rng)

    def sharp(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A sharp photo, which is to come back as it is."""
        return sharp_pair(self.photos.cut(SIDE, rng, 0.57, 1.6), self.config, rng)

    def synthetic(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A photo with synthetic blur."""
        cut = SIDE + MARGIN
        return synthesise(*(self.photos.cut(cut, rng, 0.68, 1.5) for _ in range(2)), self.config, rng)

    def real_(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A cut of a real pair, in half of the cases enlarged or reduced."""
        pair = self.real[rng.choice(len(self.real), p=self.weights)]
        images = [Image.open(p).convert("RGB") for p in (pair.blur, pair.sharp)]
        least = max(0.5, SIDE / min(images[0].size))
        scale = 1.0 if least <= 1 and rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(least), np.log(3))))
        cuts = scaled_cut(images, min(round(SIDE / scale), *images[0].size), SIDE, rng)
        blur, sharp = (torch.from_numpy(c.copy()).permute(2, 0, 1) for c in cuts)
        if rng.random() < 0.3:
            blur = (camera(blur.float() / 255, self.config, rng).clamp(0, 1) * 255).round().byte()
        return blur, sharp

    def still(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The sharp frame of a real pair, which is to come back as it is."""
        pair = self.real[rng.choice(len(self.real), p=self.weights)]
        image = Image.open(pair.sharp).convert("RGB")
        side = round(SIDE / rng.uniform(max(0.5, SIDE / min(image.size)), max(1.5, SIDE / min(image.size))))
        return sharp_pair(scaled_cut([image], min(side, *image.size), SIDE, rng)[0], self.config, rng)

    def make(self, kind: str, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(input, target) of a kind, one of `KINDS`."""
        return getattr(self, "real_" if kind == "real" else kind)(rng)


def path_of(folder: Path, kind: str, number: int) -> Path:
    """The file of a triplet."""
    return folder / f"{kind}-{number:05d}.npy"


def answered(blur: Tensor, sharp: Tensor, prior: Callable[[Tensor], Tensor]) -> np.ndarray:
    """A triplet, uint8 [3, SIDE, SIDE, 3]: blurred, the prior's answer clipped to a picture, sharp."""
    answer = (prior(blur[None].float() / 255)[0].clamp(0, 1) * 255).round().byte()
    return torch.stack([blur, answer, sharp]).permute(0, 2, 3, 1).numpy()


def store(path: Path, triplet: np.ndarray) -> None:
    """Write a triplet; its name appears when it is complete."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, triplet)
    partial.replace(path)


def make(
    data: Path,
    out: Path,
    config: DataConfig,
    prior: Callable[[Tensor], Tensor],
    wanted: list[tuple[str, int]],
    seed: int = 1,
    share: tuple[int, int] = (0, 1),
) -> int:
    """Write the triplets 0 … count - 1 of each (kind, count) `wanted` that are not there yet; how many were made.

    prior: pictures [N, 3, SIDE, SIDE] in [0, 1] → the prior's answer. share (i, n): every n-th from the i-th on.
    """
    out.mkdir(parents=True, exist_ok=True)
    made, kinds = 0, None
    for kind, count in wanted:
        for number in range(share[0], count, share[1]):
            path = path_of(out, kind, number)
            if path.exists():
                continue
            kinds = kinds or Kinds(data, config)
            pair = kinds.make(kind, np.random.default_rng((seed, KINDS.index(kind), number)))
            store(path, answered(*pair, prior))
            made += 1
    return made


def measure(data: Path, out: Path, prior: Callable[[Tensor], Tensor]) -> int:
    """Write triplets of DIR/pairs-dev and DIR/kodak, which are only measured; how many were made.

    Pictures of SIDE are one cut; larger ones are cut side by side, without a rest.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = [(p.set, p.name, p.blur, p.sharp) for p in pairs(data / "pairs-dev")]
    if (data / "kodak").is_dir():
        found += [("sharp", p.stem, p, p) for p in pictures(data / "kodak")]
    made = 0
    for label, name, *paths in found:
        blur, sharp = (torch.from_numpy(read(p)).permute(2, 0, 1) for p in paths)
        _, height, width = blur.shape
        for y in range(0, height - SIDE + 1, SIDE):
            for x in range(0, width - SIDE + 1, SIDE):
                path = out / f"{MEASURED}_{label}_{name}_{y}_{x}.npy"
                if not path.exists():
                    store(path, answered(*(p[:, y : y + SIDE, x : x + SIDE] for p in (blur, sharp)), prior))
                    made += 1
    return made


class Triplets:
    """Makes batch number i of a run from stored triplets: random cuts, flipped and transposed."""

    def __init__(self, folder: Path, config: DataConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        shares = dict(zip(KINDS, config.triplets, strict=True))
        files = {kind: sorted(folder.glob(f"{kind}-*.npy")) for kind in KINDS}
        self.kinds = [kind for kind in KINDS if shares[kind] and files[kind]]
        if not self.kinds:
            raise UserError(f"{folder}: holds no triplets; `triplets` makes them")
        self.stored = {kind: [np.load(path) for path in files[kind]] for kind in self.kinds}
        self.ends = np.cumsum([shares[kind] for kind in self.kinds])

    def triplet(self, place: float, rng: np.random.Generator) -> Tensor:
        """uint8 [3, 3, patch, patch]; `place` in [0, 1) chooses the kind.

        The prior's answer to a flipped picture is not quite its flipped answer, which is taken nevertheless.
        """
        kind = self.kinds[min(int(np.searchsorted(self.ends, place * self.ends[-1], "right")), len(self.kinds) - 1)]
        stored = self.stored[kind][rng.integers(len(self.stored[kind]))]
        size = self.config.patch
        y, x = (rng.integers(SIDE - size + 1) for _ in range(2))
        cut = torch.from_numpy(stored[:, y : y + size, x : x + size].copy()).permute(0, 3, 1, 2)
        cut = cut.transpose(2, 3) if rng.random() < 0.5 else cut
        if rng.random() < 0.2:
            cut = cut[:, torch.from_numpy(rng.permutation(3))]
        return cut.flip([axis for axis in (2, 3) if rng.random() < 0.5])

    def batch(self, index: int, size: int) -> tuple[Tensor, ...]:
        """Batch `index`: blurred, prior's answer and sharp, uint8 [size, 3, patch, patch] each, kinds by shares."""
        rng = np.random.default_rng((self.seed, index))
        places = (np.arange(size) + rng.random()) / size
        return torch.stack([self.triplet(place, rng) for place in places], 1).unbind(0)


def measured(folder: Path) -> list[tuple[str, str, np.ndarray]]:
    """The triplets that `measure` made: (set, picture, triplet)."""
    found = []
    for path in sorted(folder.glob(f"{MEASURED}_*.npy")):
        _, label, rest = path.stem.split("_", 2)
        found.append((label, rest.rsplit("_", 2)[0], np.load(path)))
    return found
