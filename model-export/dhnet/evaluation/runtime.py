"""Runs an exported model by ONNX Runtime as the product runs it, and reads its manifest."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort

from ..errors import UserError
from . import scaled_restoration, tiling, working_scale

WEIGHTS = Path(__file__).parents[2] / "weights"


def model_folder(name: str) -> Path:
    """Returns the folder of a model, given as a folder or as a name under `weights/`. UserError where there is none."""
    folder = Path(name) if Path(name).is_dir() else WEIGHTS / name
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{name}: no exported model (no {folder / 'manifest.json'})")
    return folder


def read_manifest(folder: Path) -> dict:
    """Returns the manifest of an exported model."""
    try:
        return json.loads((folder / "manifest.json").read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{folder / 'manifest.json'}: not valid JSON: {error}") from None


class Model:
    """One variant of an exported model.

    threads: of ONNX Runtime, 0 for all cores. scale: `restore` works at 1/scale of the picture's size; None: at the
    scale that `working_scale.choose` finds.
    """

    def __init__(self, folder: Path, variant: str = "uint8", threads: int = 0, scale: int | None = 1) -> None:
        self.scale = scale
        self.manifest = read_manifest(folder)
        found = [v for v in self.manifest["variants"] if v["id"] == variant]
        if not found:
            raise UserError(f"{folder}: no variant `{variant}`")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Idle threads must not spin on cores that other work needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = folder / found[0]["file"]
        try:
            self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise UserError(f"{path}: ONNX Runtime cannot load it: {str(error).splitlines()[0]}") from None

    def run(self, image: np.ndarray) -> np.ndarray:
        """Restores pictures [N, H, W, 3] of the variant's type; their sides are multiples of `pad_multiple`.

        For a graph of fixed size, pictures are extended by reflection, the batch is filled up by repetition, and a
        batch that is too large is split.
        """
        wanted = self.session.get_inputs()[0].shape[:3]
        if isinstance(wanted[0], int) and len(image) > wanted[0]:
            return np.concatenate([self.run(image[i : i + wanted[0]]) for i in range(0, len(image), wanted[0])])
        missing = [
            max(side - n, 0) if isinstance(side, int) else 0 for side, n in zip(wanted, image.shape, strict=False)
        ]
        if not any(missing):
            return self.session.run(["restored"], {"image": image})[0]
        filled = np.pad(image, [(0, 0), *((0, n) for n in missing[1:]), (0, 0)], mode="reflect")
        filled = np.pad(filled, [(0, missing[0]), (0, 0), (0, 0), (0, 0)], mode="wrap")
        n, h, w = image.shape[:3]
        return self.session.run(["restored"], {"image": filled})[0][:n, :h, :w]

    def restore(self, image: np.ndarray) -> np.ndarray:
        """Restores a whole uint8 picture [H, W, 3] of any size at the model's working scale."""
        scale = self.scale or working_scale.choose(image)
        return scaled_restoration.restore(image, scale, self.restore_by_tiles)

    def restore_by_tiles(self, image: np.ndarray) -> np.ndarray:
        """Restores a whole uint8 picture [H, W, 3] of any size at its own size."""
        tile = self.manifest["tile"]
        size, overlap, align = tile["size"], tile["overlap"], tile.get("align", 1)
        pad_multiple = size if tile.get("fixed") else self.manifest["pad_multiple"]
        return tiling.apply(image, self.run, size, overlap, pad_multiple, align)
