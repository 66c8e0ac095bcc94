"""Reads and writes evaluation.json, which holds the measured figures of an exported model beside its weights.

All figures in documents come from this file. Every part of the file belongs to one version of the weights: the first
part of a new version drops the parts of the old version.
"""

import json
from pathlib import Path

from ..errors import UserError
from ..json_files import write_json
from . import runtime


def load(folder: Path) -> dict:
    """Returns the parts that were measured of the exported version; only `version` if nothing was measured yet."""
    version = runtime.read_manifest(folder)["version"]
    path = folder / "evaluation.json"
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    return found if found.get("version") == version else {"version": version}


def store(folder: Path, parts: dict) -> None:
    """Adds or replaces parts; `sets` also becomes the manifest's `measured`."""
    write_json(folder / "evaluation.json", {**load(folder), **parts})
    if "sets" in parts:
        manifest = runtime.read_manifest(folder)
        manifest["measured"] = [{k: row[k] for k in ("set", "images", "input", "output")} for row in parts["sets"]]
        write_json(folder / "manifest.json", manifest)
