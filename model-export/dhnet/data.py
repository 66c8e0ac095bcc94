"""Reading photos and pairs, and making training batches in worker processes."""

import io
import itertools
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .blur import sharp_pair, synthesise
from .config import DataConfig, UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
SETS = (("gopro_", "gopro-crops"), ("goproframe_", "gopro-frames"), ("reds_", "reds-frames"))
MARGIN = 48  # pixels of scenery kept around a patch for the camera to move over


def read(path: Path) -> np.ndarray:
    """A picture file → uint8 [H, W, 3]."""
    try:
        return np.array(Image.open(path).convert("RGB"))
    except OSError as error:
        raise UserError(f"{path}: not a readable picture: {error}") from None


def pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, sorted by name."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"{folder}: holds no pictures")
    return found


def set_name(name: str, folder: str) -> str:
    """The set a pair belongs to, by its file name's beginning."""
    return next((label for prefix, label in SETS if name.startswith(prefix)), folder)


@dataclass(frozen=True)
class Pair:
    """One blurred picture with its sharp twin, by path."""

    name: str
    set: str
    blur: Path
    sharp: Path


def pairs(folder: Path) -> list[Pair]:
    """DIR/blur/X.* with DIR/sharp/X.*, matched by stem."""
    twins = {p.stem: p for p in pictures(folder / "sharp")}
    out = []
    for p in pictures(folder / "blur"):
        if p.stem not in twins:
            raise UserError(f"{p}: has no sharp twin of the same name")
        out.append(Pair(p.stem, set_name(p.name, folder.name), p, twins[p.stem]))
    return out


def photos(folder: Path, config: DataConfig, least: int, share: tuple[int, int] = (0, 1)) -> list[np.ndarray]:
    """Sharp photos of DIR/sharp*.tar or DIR/sharp/, each also at 2/3 and 1/2 size where large enough, and enlarged."""
    first, last = config.first_photo, config.first_photo + config.photos if config.photos else None
    names = sorted(folder.glob("sharp*.tar"))
    files: list[bytes] = []
    for name in names:
        with tarfile.open(name) as tar:
            files += [tar.extractfile(m).read() for m in tar if m.isfile()]
    if not names:
        files = [p.read_bytes() for p in pictures(folder / "sharp")]
    out = []
    for data in files[first:last][share[0] :: share[1]]:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for scale in (1, 2 / 3, 1 / 2, *((config.enlarge,) if config.enlarge > 1 else ())):
            size = (round(image.width * scale), round(image.height * scale))
            if min(size) >= least:
                out.append(np.asarray(image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)))
    if not out:
        raise UserError(f"{folder}: no sharp photo of at least {least} pixels")
    return out


class Source:
    """Makes batch number i of a run, always the same for the same config, seed and data."""

    def __init__(self, folder: Path, config: DataConfig, seed: int, share: tuple[int, int] = (0, 1)) -> None:
        """`share` (i, n): use every n-th photo from the i-th on, for one of n processes."""
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
        """A square of a photo, of one to as many patches a side as it has, reduced to one patch."""
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
        """(input, target), uint8 [3, patch, patch], flipped at random."""
        if self.real and rng.random() < self.config.real:
            pair = self._real(rng)
        elif self.config.reduced and rng.random() < self.config.reduced:
            pair = sharp_pair(self._reduced(rng), self.config, rng)
        else:
            pair = synthesise(self._photo(rng), self._photo(rng), self.config, rng)
        axes = [axis for axis in (1, 2) if rng.random() < 0.5]
        return tuple(p.flip(axes) for p in pair)

    def batch(self, index: int, size: int) -> tuple[Tensor, Tensor]:
        """Batch `index`: two uint8 tensors [size, 3, patch, patch]."""
        rng = np.random.default_rng((self.seed, index))
        made = [self.pair(rng) for _ in range(size)]
        return tuple(torch.stack(p) for p in zip(*made, strict=True))


class Published:
    """Makes batch number i of a run on a published dataset: random crops with flips, every pair once an epoch."""

    def __init__(self, folder: Path, config: DataConfig, seed: int) -> None:
        from .datasets import published

        self.config, self.seed = config, seed
        self.pairs = published(config.dataset, folder, "train")

    def pair(self, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(input, target) of the epoch's pair `index`, uint8 [3, patch, patch]."""
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
        """Batch `index`: two uint8 tensors [size, 3, patch, patch]."""
        rng = np.random.default_rng((self.seed, index))
        made = [self.pair(index * size + i, rng) for i in range(size)]
        return tuple(torch.stack(p) for p in zip(*made, strict=True))


def source(folder: Path, config: DataConfig, seed: int, share: tuple[int, int] = (0, 1)) -> Source | Published:
    """What makes a run's batches: the photos and pairs of a folder, or a published dataset."""
    if config.dataset:  # processes make different batches of it, so each may know all pairs
        return Published(folder, config, seed)
    return Source(folder, config, seed, share)


def _work(queue, folder: Path, config: DataConfig, seed: int, size: int, first: int) -> None:
    """Batches `first`, `first` + workers, …"""
    torch.set_num_threads(1)
    try:
        made = source(folder, config, seed)
        for index in itertools.count(first, config.workers):
            queue.put(tuple(t.numpy() for t in made.batch(index, size)))
    except KeyboardInterrupt:
        pass
    except Exception as error:  # handed to the trainer, which reports it
        queue.put(error)


class Inline:
    """A process's own share of the batches, made where they are used: batch·n + i for process i of n."""

    def __init__(self, folder: Path, config: DataConfig, seed: int, size: int, first: int, share: tuple[int, int]):
        self.source = source(folder, config, seed, share)
        self.size, self.index, self.step = size, first * share[1] + share[0], share[1]

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch as float pictures in [0, 1], [size, 3, patch, patch]."""
        made = self.source.batch(self.index, self.size)
        self.index += self.step
        return tuple(t.float() / 255 for t in made)

    def close(self) -> None:
        """Nothing to stop."""


class Feed:
    """Batches `first`, `first`+1, … in that order, from `config.workers` processes."""

    def __init__(self, folder: Path, config: DataConfig, seed: int, size: int, first: int) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self.queues = [context.Queue(max(2, 8 // config.workers)) for _ in range(config.workers)]
        self.processes = [
            context.Process(target=_work, args=(queue, folder, config, seed, size, first + i), daemon=True)
            for i, queue in enumerate(self.queues)
        ]
        for process in self.processes:
            process.start()
        self.turn = itertools.cycle(self.queues)

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch as float pictures in [0, 1], [size, 3, patch, patch]."""
        item = next(self.turn).get()
        if isinstance(item, Exception):
            raise item
        return tuple(torch.from_numpy(t).float() / 255 for t in item)

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.join()
