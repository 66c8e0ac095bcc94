"""Compares variants of a network: trained from scratch for equal processor time, measured on the same pairs.

Every variant is one config file and one process of one thread, so that a busy machine makes a variant slower but not
different. A slower network trains for fewer steps, which is part of the comparison; `patches` counts them.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from PIL import Image

from .. import config as configs
from ..config import Config
from ..data.pictures import Pair, pairs
from ..data.training_pairs import Source
from ..errors import UserError
from ..evaluation.evaluate import dev_scores
from ..evaluation.markdown_tables import table
from ..export import graph
from ..json_files import write_json
from ..network.model import build, costs, load_own_state
from ..training.train import train

REFERENCE = "reference"  # stem of the config that the others are compared with
AGAIN = f"{REFERENCE}-again"  # the same with another seed: the two differ by chance only
HELD_OUT, SIDE = 64, 128  # pairs that all variants are measured on, and their side in pixels
JUDGES, PICTURES = "held-out", 40  # photos after those that the reference trains on
ROUNDS, TILE = 15, 256  # timed passes of inference, and the side of their picture


def held_out(config: Config, data: Path, out: Path) -> list[Pair]:
    """Returns the pairs that all variants are measured on: the reference's task on other photos.

    The pairs are written to OUT/held-out once.
    """
    folder = out / JUDGES
    if not (folder / "done").is_file():
        if not config.data.photos:
            raise UserError(f"{config.name}: data.photos must leave photos to judge by")
        task = replace(config.data, patch=SIDE, first_photo=config.data.photos, photos=PICTURES, real=0.0)
        source = Source(data, task, config.train.seed)
        for kind in ("blur", "sharp"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(HELD_OUT):
            for kind, picture in zip(("blur", "sharp"), source.batch(i, 1), strict=True):
                Image.fromarray(picture[0].permute(1, 2, 0).numpy()).save(folder / kind / f"{i:03}.png")
        (folder / "done").touch()
    return pairs(folder)


def fingerprint(config: Config, cpu_minutes: float) -> str:
    """Returns a digest of what a result depends on besides code and data."""
    return hashlib.sha256(json.dumps([configs.to_dict(config), cpu_minutes]).encode()).hexdigest()


def finished(config: Config, out: Path, cpu_minutes: float | None) -> dict | None:
    """Returns the row of OUT/NAME/result.json if it belongs to this config and, unless None, to `cpu_minutes`."""
    path = out / config.name / "result.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    minutes = known.get("cpu_minutes")
    wanted = minutes is not None and cpu_minutes in (None, minutes)
    return known if wanted and known["fingerprint"] == fingerprint(config, minutes) else None


def cost(config: Config) -> dict:
    """Returns the part of a row that needs no training."""
    found = costs(config.model)
    return {"name": config.name, "parameters": found.trainable, "macs": found.macs, "psnr": {}}


def measured(config: Config, data: Path, out: Path, cpu_minutes: float, judges: list[Pair]) -> dict:
    """Returns the row of one variant, which is trained if it is not finished yet."""
    if known := finished(config, out, cpu_minutes):
        return known
    trainer = train(config, data, out / config.name, cpu_minutes=cpu_minutes)
    model = trainer.network()
    load_own_state(model, trainer.ema, config.name)
    scores = dev_scores(model.eval(), judges, "cpu", config.train.bf16)
    scores |= trainer.history[-1]["psnr"] if trainer.history else {}
    row = cost(config) | {
        "fingerprint": fingerprint(config, cpu_minutes),
        "cpu_minutes": cpu_minutes,
        "patches": trainer.patches,
        "patch": config.data.patch,
        "psnr": {name: [round(value, 4) for value in pair] for name, pair in scores.items()},
    }
    write_json(out / config.name / "result.json", row)
    return row


def session(config: Config) -> ort.InferenceSession:
    """Returns a session of a variant as it would be exported, with random weights, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    proto = graph.build(build(config.model).eval(), bytes_in=True, half=True)
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def inference(sessions: dict[str, ort.InferenceSession]) -> dict[str, float]:
    """Returns the processor time in ms of a picture of TILE² for each session: the least of ROUNDS passes, in turns."""
    tile = np.random.default_rng(0).integers(0, 256, (1, TILE, TILE, 3), np.uint8)
    least = dict.fromkeys(sessions, float("inf"))
    for _ in range(ROUNDS):
        for name, one in sessions.items():
            began = time.process_time()
            one.run(None, {"image": tile})
            least[name] = min(least[name], time.process_time() - began)
    return {name: round(1000 * seconds, 2) for name, seconds in least.items()}


def apart(one: Callable[[Config], dict], variants: list[Config], processes: int) -> list[dict]:
    """Returns `one` of every variant, each computed in a process of its own."""
    with torch.multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
        return list(pool.imap(one, variants))


def compare(folder: Path, data: Path, out: Path, cpu_minutes: float | None, processes: int = 1) -> list[dict]:
    """Returns the rows of all configs in `folder`, the reference first, and writes them to OUT/choice.json.

    processes: variants that run at once. Without `cpu_minutes` nothing is trained, and unfinished variants have only
    their cost.
    """
    files = sorted(folder.glob("*.toml"), key=lambda path: (path.stem != REFERENCE, path.stem != AGAIN, path.stem))
    if not files or files[0].stem != REFERENCE:
        raise UserError(f"{folder}: holds no {REFERENCE}.toml")
    variants = [configs.load(path) for path in files]
    if cpu_minutes is None:
        rows = [finished(config, out, None) or cost(config) for config in variants]
    else:
        judges = held_out(variants[0], data, out)
        one = partial(measured, data=data, out=out, cpu_minutes=cpu_minutes, judges=judges)
        rows = [one(config) for config in variants] if processes == 1 else apart(one, variants, processes)
    times = inference({config.name: session(config) for config in variants})
    rows = [{**row, "cpu_ms": times[row["name"]]} for row in rows]
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "choice.json", rows)
    return rows


def markdown(rows: list[dict]) -> str:
    """Returns a Markdown table of gains in dB and costs; times are multiples of the reference's time."""
    sets = list(rows[0]["psnr"])
    heads = ("variant", *(f"{name}, dB" for name in sets), "patches", "parameters, M", "GMACs", "inference")
    return table(heads, (_row(row, rows[0]["cpu_ms"], sets) for row in rows))


def _row(row: dict, reference_ms: float, sets: list[str]) -> tuple[str, ...]:
    known = (row["psnr"].get(name) for name in sets)
    gains = (f"{pair[1] - pair[0]:+.2f}" if pair else "–" for pair in known)
    cells = (f"{row['patches']:,}" if "patches" in row else "–", f"{row['parameters'] / 1e6:.2f}")
    return (f"`{row['name']}`", *gains, *cells, f"{row['macs'] / 1e9:.2f}", f"×{row['cpu_ms'] / reference_ms:.2f}")
