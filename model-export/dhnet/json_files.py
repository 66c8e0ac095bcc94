"""Writes JSON files in the form that the repository keeps."""

import json
from pathlib import Path


def write_json(path: Path, value: dict | list) -> None:
    """Writes indented JSON with a newline at its end."""
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
