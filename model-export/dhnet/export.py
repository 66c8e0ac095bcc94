"""Checkpoint → ONNX files, manifest and the slim checkpoint that the repository keeps."""

import hashlib
import json
from pathlib import Path

from . import checkpoint, graph
from .config import UserError
from .checkpoint import file_sha256
from .model import DHNet, macs, parameters

PAPER = "arXiv:2502.19677"
OVERLAP = 32  # pixels over which neighbouring tiles hand over
LARGEST = 6_000_000  # bytes of a weights file


def variant(folder: Path, name: str, kind: str, model: DHNet) -> dict:
    """Write one ONNX file; its entry in the manifest."""
    path = folder / f"{name}.{kind}.onnx"
    path.write_bytes(graph.build(model, kind == "uint8", half=True).SerializeToString())
    return {
        "id": kind,
        "file": path.name,
        "sha256": file_sha256(path),
        "bytes": path.stat().st_size,
        "dtype": "float32",
        "weights_dtype": "float16",
        "input": {"name": "image", "type": kind, "layout": "NHWC"},
        "output": {"name": "restored", "type": kind, "layout": "NHWC"},
    }


def export(name: str, source: Path, out: Path, tile: int = 256, strength: float = 1.0) -> dict:
    """Export the EMA weights of `source` as model `name` into folder `out`; returns the manifest.

    `tile` is the side, in pixels, of the tiles that the service runs: larger ones see more at once, smaller
    ones need less memory. It changes what comes out, so it is part of the version.
    `strength` in (0, 1] scales the residual, in the files and in the slim checkpoint alike. A network trained
    for the least error loses only the (1 − strength)² part of its gain, while what it wrongly does to sharp
    pictures shrinks in proportion.
    """
    if not 0 < strength <= 1:
        raise UserError("export: --strength must be above 0 and at most 1")
    state = checkpoint.load(source)
    residual = {key: state["ema"][key] * strength for key in ("ending.weight", "ending.bias")}
    state = {**state, "ema": {**state["ema"], **residual}}
    model = checkpoint.network(state)
    out.mkdir(parents=True, exist_ok=True)
    variants = [variant(out, name, kind, model) for kind in ("uint8", "float32")]
    if tile % model.config.pad_multiple:
        raise UserError(f"export: --tile must be a multiple of {model.config.pad_multiple}")
    identity = "".join(v["sha256"] for v in variants) + f"tile={tile}/{OVERLAP}"
    manifest = {
        "schema_version": 1,
        "name": name,
        "version": hashlib.sha256(identity.encode()).hexdigest(),
        "paper": PAPER,
        "parameters": parameters(model),
        "macs_256": macs(model.config),
        "opset": graph.OPSET,
        "pad_multiple": model.config.pad_multiple,
        "tile": {"size": tile, "overlap": OVERLAP},
        "max_batch": None,
        "variants": variants,
        "trained": trained(state, strength),
        "measured": [],
    }
    write_json(out / "manifest.json", manifest)
    slim = out / "checkpoint.safetensors"
    if source.resolve() != slim.resolve():
        checkpoint.save_slim(slim, state)
    return manifest


def trained(state: dict, strength: float) -> dict | None:
    """What the manifest says of the training, or None for an untrained network."""
    if not state["patches"]:
        return None
    facts = {key: state[key] for key in ("patches", "seconds", "device")}
    return {**facts, "config": f"{state['config']['name']}.toml", "strength": strength}


def write_json(path: Path, value: dict | list) -> None:
    """Indented JSON with a newline at its end."""
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
