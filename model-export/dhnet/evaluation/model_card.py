"""Writes the figures of MODEL_CARD.md between its markers; the rest of the document is written by hand.

A marker is `<!-- figures: MODEL TABLE -->` … `<!-- end -->`. TABLE is one of `markdown_tables.TABLES`, `facts`,
`curve`, or the name of a picture of the gallery. A table that was not measured for this version of the weights says so.
"""

import json
import re
from pathlib import Path

from ..errors import UserError
from . import markdown_tables, runtime, stored_results

MARKED = re.compile(r"(<!-- figures: (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def facts(folder: Path) -> str:
    """Returns a table of a model's size, cost and training, from its manifest."""
    m = runtime.read_manifest(folder)
    trained = m["trained"] or {"patches": 0, "seconds": 0, "device": "–", "config": "–", "strength": 1}
    sizes = ", ".join(f"`{v['file']}` {v['bytes'] / 1e6:.2f} MB" for v in m["variants"])
    rows = [
        ("version", f"`{m['version'][:12]}`"),
        ("parameters", f"{m['parameters'] / 1e6:.2f} M"),
        ("multiply–accumulates at 256×256", f"{m['macs_256'] / 1e9:.2f} G"),
        ("files", sizes),
        ("tiles", f"{m['tile']['size']} px, {m['tile']['overlap']} px of them shared"),
        ("training", f"{trained['patches']:,} patches in {trained['seconds'] / 3600:.1f} hours on {trained['device']}"),
        (
            "last configuration",
            f"`configs/{trained['config']}`, residual exported at {trained['strength']:g} of its size",
        ),
    ]
    return markdown_tables.table(("", ""), rows)


def section(model: str, name: str, home: Path) -> str:
    """Returns the text between the ends of a marker. UserError where there is no such table."""
    folder = runtime.model_folder(model)
    found = stored_results.load(folder)
    part = markdown_tables.PARTS.get(name, name)
    if name == "facts":
        return facts(folder)
    if name == "curve":
        path = home / f"{model}-learning-curve.md"
        return path.read_text().strip() if path.is_file() else "Not fitted yet."
    if name in markdown_tables.TABLES:
        return markdown_tables.TABLES[name](found) if part in found else "Not measured for this version of the weights."
    if name.endswith(".jpg"):
        captions = found.get("gallery", {}).get(name)
        return "\n".join(f"{i}. {c}" for i, c in enumerate(captions, 1)) if captions else "Not drawn for this version."
    raise UserError(f"card: no table `{name}`; known: facts, curve, {', '.join(markdown_tables.TABLES)}, and pictures")


def filled(text: str, home: Path) -> str:
    """Returns a document with the text between its markers renewed; `home` holds learning curves and pictures."""
    return MARKED.sub(lambda m: f"{m[1]}{section(m[2], m[3], home)}\n{m[4]}", text)


def write(path: Path, check: bool) -> bool:
    """Renews a document, or with `check` writes nothing. Returns True if the document was up to date.

    UserError where the document or a figure is missing.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such document")
    try:
        before, after = path.read_text(), filled(path.read_text(), path.parent / "docs")
    except (KeyError, json.JSONDecodeError) as error:
        raise UserError(f"card: evaluation.json lacks {error}; run `evaluate … --update-manifest` again") from None
    if not check and before != after:
        path.write_text(after)
    return before == after
