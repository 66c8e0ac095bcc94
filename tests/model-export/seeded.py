"""Makes networks without training for tests of the service, and restores pictures with them by PyTorch.

seeded.py make FOLDER WIDTH: last.pt and prior.pth of a DHNet-B with one block per level; its own width is 64.
seeded.py make FOLDER CONFIG: the network of a TOML file, for benches, because speed does not depend on training.
seeded.py restore FOLDER MODEL PICTURE RESTORED: the picture by `FOLDER/prior.pth` and the exported model's own
checkpoint, tile by tile as its manifest says.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from conftest import saved
from dhnet import config
from dhnet.data import pictures
from dhnet.evaluation import runtime, tiling
from dhnet.export import verify
from dhnet.network import checkpoint
from PIL import Image

BLOCKS = (1, 1, 1, 1)


def make(folder: Path, size: str) -> None:
    """Makes a network whose prior has the same width, or the network of a TOML file."""
    if size.isdecimal():
        width = int(size)
        values = {"width": width, "encoder": BLOCKS, "prior": "ufpnet", "prior_width": width, "prior_encoder": BLOCKS}
    else:
        values = config.to_dict(config.load(Path(size)))["model"]
    folder.mkdir(parents=True, exist_ok=True)
    saved(folder, values, patches=1)


def restore(folder: Path, exported: Path, picture: Path, restored: Path) -> None:
    """Restores a picture as the product does, but with PyTorch in place of ONNX Runtime."""
    manifest = runtime.read_manifest(exported)
    state = checkpoint.load(exported / "checkpoint.safetensors")
    network = checkpoint.network(state, folder / "prior.pth")

    def run(tile: np.ndarray) -> np.ndarray:
        return np.round(verify.expected(network, tile)).astype(np.uint8)

    size, overlap = manifest["tile"]["size"], manifest["tile"]["overlap"]
    pixels = tiling.apply(pictures.read(picture), run, size, overlap, manifest["pad_multiple"])
    Image.fromarray(pixels).save(restored)


if __name__ == "__main__":
    torch.set_num_threads(1)  # several would wait for each other at every operator while the service runs beside them
    command, *paths = sys.argv[1:]
    if command == "make":
        make(Path(paths[0]), paths[1])
    else:
        restore(*map(Path, paths))
