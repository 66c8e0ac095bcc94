"""Reading photos and pairs from folders and archives."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..config import DataConfig
from ..errors import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
SETS = (("gopro_", "gopro-crops"), ("goproframe_", "gopro-frames"), ("reds_", "reds-frames"))


def read(path: Path) -> np.ndarray:
    """Reads a picture file as uint8 [H, W, 3]. UserError where it is not readable."""
    try:
        return np.array(Image.open(path).convert("RGB"))
    except OSError as error:
        raise UserError(f"{path}: not a readable picture: {error}") from None


def pictures(folder: Path) -> list[Path]:
    """Returns the picture files of a folder, sorted by name. UserError where there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"{folder}: holds no pictures")
    return found


def set_name(name: str, folder: str) -> str:
    """Returns the set that a pair belongs to by the prefix of its file name, or else its folder's name."""
    return next((label for prefix, label in SETS if name.startswith(prefix)), folder)


@dataclass(frozen=True)
class Pair:
    """One blurred picture with its sharp twin, by path."""

    name: str
    set: str
    blur: Path
    sharp: Path


def pairs(folder: Path) -> list[Pair]:
    """Returns the pairs of DIR/blur/X.* and DIR/sharp/X.*, matched by stem. UserError where a twin is missing."""
    twins = {p.stem: p for p in pictures(folder / "sharp")}
    out = []
    for p in pictures(folder / "blur"):
        if p.stem not in twins:
            raise UserError(f"{p}: there is no sharp twin of the same name in {folder / 'sharp'}")
        out.append(Pair(p.stem, set_name(p.name, folder.name), p, twins[p.stem]))
    return out


def photos(folder: Path, config: DataConfig, least: int, share: tuple[int, int] = (0, 1)) -> list[np.ndarray]:
    """Returns the sharp photos of DIR/sharp*.tar or DIR/sharp/, uint8 [H, W, 3].

    Each photo is there at its own size, at 2/3, at 1/2 and enlarged as the config says, if its sides have at least
    `least` pixels. share (i, n): every n-th photo from the i-th on. UserError where no photo is large enough.
    """
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
