"""Finds the pairs of published deblurring datasets in the folders that their authors distribute.

| name          | folder as published                                              | splits          |
|---------------|------------------------------------------------------------------|-----------------|
| gopro         | GOPRO_Large/{train,test}/GOPR*/{blur,sharp} (Nah et al. 2017)     | train, test     |
| gopro-gamma   | the same with blur_gamma                                         | train, test     |
| hide          | HIDE_dataset/{train,test/test-close-ups,test/test-long-shot,GT}  | train, test     |
| realblur-j    | RealBlur/RealBlur-J_ECC_IMCORR_centroid_itensity_ref and lists   | train, test     |
| realblur-r    | RealBlur/RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref, lists | train, test     |
| reds          | REDS/{train,val}/{train,val}_{blur,sharp}/000                    | train, val      |
| reds-jpeg     | the same with {train,val}_blur_jpeg                              | train, val      |

`folder` is the dataset's own folder (GOPRO_Large, HIDE_dataset, RealBlur, REDS) or its parent. The sharp frames of
REDS's test split are not published, so that split cannot be measured.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import UserError
from .pictures import Pair, pictures

Twins = Iterator[tuple[str, Path, Path]]  # name, blurred, sharp


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = sorted(p for p in folder.iterdir() if p.is_dir())
    if not found:
        raise UserError(f"{folder}: the folder holds no folders")
    return found


def _beside(blur: Path, sharp: Path, name: str) -> Twins:
    """Yields every picture of `blur` with the picture of the same stem in `sharp`; `name` begins the pairs' names."""
    twins = {p.stem: p for p in pictures(sharp)}
    for picture in pictures(blur):
        if picture.stem not in twins:
            raise UserError(f"{picture}: there is no sharp twin in {sharp}")
        yield f"{name}_{picture.stem}", picture, twins[picture.stem]


def _gopro(kind: str) -> Callable[[Path, str], Twins]:
    def read(root: Path, split: str) -> Twins:
        for clip in _folders(root / split):
            yield from _beside(clip / kind, clip / "sharp", clip.name)

    return read


def _hide(root: Path, split: str) -> Twins:
    parts = ["train"] if split == "train" else ["test/test-close-ups", "test/test-long-shot"]
    for part in parts:
        yield from _beside(root / part, root / "GT", Path(part).name)


def _realblur(letter: str) -> Callable[[Path, str], Twins]:
    def read(root: Path, split: str) -> Twins:
        listing = root / f"RealBlur_{letter}_{split}_list.txt"
        if not listing.is_file():
            raise UserError(f"{listing}: no such list")
        for number, line in enumerate(listing.read_text().splitlines(), 1):
            if not line.strip():
                continue
            files = [root / name for name in line.split()[:2]]  # sharp, blurred
            missing = [file for file in files if not file.is_file()]
            if len(files) < 2 or missing:
                raise UserError(
                    f"{listing} line {number}: {missing[0] if missing else 'two files expected'}: no such file"
                )
            sharp, blur = files
            yield f"{blur.parent.parent.name}_{blur.stem}", blur, sharp

    return read


def _reds(kind: str) -> Callable[[Path, str], Twins]:
    def read(root: Path, split: str) -> Twins:
        folder = root / split
        for clip in _folders(folder / f"{split}_{kind}"):
            yield from _beside(clip, folder / f"{split}_sharp" / clip.name, clip.name)

    return read


# Name → its folder's name, its splits (the last split is measured while training), its reader.
DATASETS: dict[str, tuple[str, tuple[str, str], Callable[[Path, str], Twins]]] = {
    "gopro": ("GOPRO_Large", ("train", "test"), _gopro("blur")),
    "gopro-gamma": ("GOPRO_Large", ("train", "test"), _gopro("blur_gamma")),
    "hide": ("HIDE_dataset", ("train", "test"), _hide),
    "realblur-j": ("RealBlur", ("train", "test"), _realblur("J")),
    "realblur-r": ("RealBlur", ("train", "test"), _realblur("R")),
    "reds": ("REDS", ("train", "val"), _reds("blur")),
    "reds-jpeg": ("REDS", ("train", "val"), _reds("blur_jpeg")),
}


def published(dataset: str, folder: Path, split: str | None = None) -> list[Pair]:
    """Returns the pairs of one split in their published order; `set` is "<dataset>-<split>".

    split: None is the split that models are measured on. UserError names the folder, list or picture that is missing.
    """
    if dataset not in DATASETS:
        raise UserError(f"{dataset}: no such dataset; known: {', '.join(DATASETS)}")
    own, splits, read = DATASETS[dataset]
    split = split or splits[-1]
    if split not in splits:
        raise UserError(f"{dataset}: no split `{split}` with sharp twins; known: {', '.join(splits)}")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    root = folder / own if (folder / own).is_dir() else folder
    found = [Pair(name, f"{dataset}-{split}", blur, sharp) for name, blur, sharp in read(root, split)]
    if not found:
        raise UserError(f"{root}: {dataset} has no pairs in its split {split}")
    return found


def measured(dataset: str, folder: Path, count: int) -> list[Pair]:
    """Returns `count` pairs, spread evenly over the split that is not trained on."""
    if not count:
        return []
    everything = published(dataset, folder)
    return everything[:: max(1, len(everything) // count)][:count]
