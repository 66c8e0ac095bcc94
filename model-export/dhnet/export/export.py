"""Exports a checkpoint as ONNX files, a manifest and the slim checkpoint that the repository keeps."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import onnx
import torch
from torch import nn

from ..config import ModelConfig
from ..errors import UserError
from ..json_files import write_json
from ..layers.local_pooling import WINDOW
from ..network import checkpoint
from ..network.checkpoint import file_sha256
from ..network.ddre import DDRE
from ..network.model import costs, own_state, parameters
from ..priors.maxim_package import PACKAGE, VERSION
from . import graph, graph_body
from .onnx_graph import FLOAT, HALF, External

PAPERS = {"dhnet": "arXiv:2502.19677", "nafnet": "arXiv:2204.04676", "ufpnet": "Fang et al., CVPR 2023"}
MAXIM = {"paper": "arXiv:2201.02973", "source": f"npm:{PACKAGE}@{VERSION}", "licence": "Apache-2.0"}
OVERLAP = 32  # pixels over which neighbouring tiles hand over
ALIGN = 16  # pixels: the body sees every tile in the same phase of its strides
LARGEST = 6_000_000  # bytes of a weights file that the repository keeps


@dataclass(frozen=True)
class Options:
    """The options of an export.

    tile: side, in pixels, of the tiles that the service runs: larger ones see more at once, smaller ones need less
    memory. It changes what comes out, so it is part of the version.
    strength in (0, 1] scales the residual, in the files and in the slim checkpoint alike. A network trained for the
    least error loses only the (1 − strength)² part of its gain, while what it wrongly does to sharp pictures shrinks
    in proportion.
    dtypes: what the graphs compute in; every one makes variants of its own, and float16 is meant for GPUs.
    weights: how weights are stored.
    batch: fixed number of pictures, None for any. fixed: height and width are the tile's, not free.
    url_base: folder on the web from which the files will be fetched; None where they stay beside the manifest.
    """

    tile: int = 256
    strength: float = 1.0
    dtypes: tuple[str, ...] = ("float32",)
    weights: str = "float16"
    batch: int | None = None
    fixed: bool = False
    url_base: str | None = None

    def check(self, config: ModelConfig) -> None:
        """Raises UserError if these options do not fit the network."""
        if not 0 < self.strength <= 1:
            raise UserError("export: --strength must be above 0 and at most 1")
        if self.tile <= OVERLAP or self.tile % config.pad_multiple:
            raise UserError(f"export: --tile must be a multiple of {config.pad_multiple} above {OVERLAP}")
        if self.batch is not None and self.batch < 1:
            raise UserError("export: --batch must be at least 1")
        if "float16" in self.dtypes and self.weights != "float16":
            raise UserError("export: a graph that computes in float16 stores float16 weights")
        if self.url_base is not None and not is_web_address(self.url_base):
            raise UserError("export: --url-base must be a URL such as https://models.example.com/dhnet-b/")
        own = WINDOW if config.prior != "none" or config.network != "dhnet" else self.tile
        if self.tile > min(config.window or own, own):
            raise UserError(
                "export: a graph pools over its whole tile, so --tile must not exceed the pooling window (TLC)"
            )

    @property
    def size(self) -> tuple[int | None, int | None, int | None]:
        """(batch, height, width) of the graph's input, None where any will do."""
        return (self.batch, self.tile, self.tile) if self.fixed else (self.batch, None, None)


def is_web_address(text: str) -> bool:
    """Returns True if `text` is an http or https URL to which a file's name can be added."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)


@dataclass(frozen=True)
class Form:
    """The form of one file of a model: type of samples, type of arithmetic, kernels mixed at run time or not."""

    kind: str
    dtype: str
    mixed: bool = False

    @property
    def id(self) -> str:
        """The variant's name in the manifest."""
        return "-".join([self.kind, *(["float16"] if self.dtype == "float16" else []), *(["single"] * self.mixed)])


def forms(model: nn.Module, options: Options) -> list[Form]:
    """The variants of a model; the mixed one for single-threaded WebAssembly, where the network allows it."""
    found = [Form(kind, dtype) for dtype in options.dtypes for kind in ("uint8", "float32")]
    experts = [block for block in model.modules() if isinstance(block, DDRE)]
    mixed = (
        model.config.prior != "maxim"
        and bool(experts)
        and all(graph_body.mixable(block) for block in experts)
        and "float32" in options.dtypes
    )
    return [*found, Form("uint8", "float32", mixed=True)] if mixed else found


def variant(
    folder: Path,
    name: str,
    form: Form,
    model: nn.Module,
    options: Options,
    external: External | None,
    answers: graph.Answers | None,
) -> dict:
    """Writes one ONNX file and returns its entry in the manifest. external, answers: see `graph.build`."""
    kind, dtype, label = form.kind, form.dtype, form.id
    path, half = folder / f"{name}.{label}.onnx", options.weights == "float16"
    compute = HALF if dtype == "float16" else FLOAT
    size = (1, *options.size[1:]) if form.mixed else options.size
    proto = graph.build(model, kind == "uint8", half, compute, size, external, form.mixed, answers)
    path.write_bytes(proto.SerializeToString())
    return {
        "id": label,
        **described(path, options.url_base),
        "dtype": dtype,
        "weights_dtype": options.weights,
        "input": {"name": "image", "type": kind, "layout": "NHWC"},
        "output": {"name": "restored", "type": kind, "layout": "NHWC"},
    }


def described(path: Path, url_base: str | None = None) -> dict:
    """Returns a file's entry in the manifest."""
    entry = {"file": path.name, "sha256": file_sha256(path), "bytes": path.stat().st_size}
    return entry if url_base is None else {**entry, "url": f"{url_base.rstrip('/')}/{path.name}"}


def export(
    name: str, source: Path, out: Path, tile: int = 256, strength: float = 1.0, prior: Path | None = None, **options
) -> dict:
    """Exports the EMA weights of `source` as model `name` into folder `out`; returns the manifest.

    prior: published checkpoint of the frozen prior, where the network has one; its weights go to a file of their own,
    which all variants read. tile, strength and further options: see `Options`. What the manifest may say is defined by
    shared/protocol/model-manifest.ts.
    """
    state, chosen = checkpoint.load(source), Options(tile, strength, **options)
    chosen.check(checkpoint.model_config(state))
    slim = out / "checkpoint.safetensors"
    if strength != 1 and source.resolve() == slim.resolve():
        raise UserError(f"export: --strength would scale {slim} a second time; export from its original checkpoint")
    model = checkpoint.network(state, prior)
    with torch.no_grad():
        for parameter in model.ending.parameters():
            parameter.mul_(strength)
    state = {**state, "ema": own_state(model)}
    out.mkdir(parents=True, exist_ok=True)
    answers = None
    if model.config.prior == "maxim":
        answers = graph.Answers(prior, f"{name}.prior.safetensors")
        copied(prior, out / answers.file)
    external = External(f"{name}.{'body' if answers else 'prior'}.bin") if prior else None
    variants = [variant(out, name, form, model, chosen, external, answers) for form in forms(model, chosen)]
    files = []
    if external:
        (out / external.file).write_bytes(external.data)
        files = [described(out / f.file, chosen.url_base) for f in (answers, external) if f]
        for v in variants:
            v["external_data"] = files
            onnx.checker.check_model(str(out / v["file"]), full_check=True)
    if source.resolve() != slim.resolve():
        checkpoint.save_slim(slim, state)
    manifest = described_model(name, model, chosen, variants, files) | {
        "checkpoint": described(slim, chosen.url_base),
        "trained": trained(state, strength),
        "measured": [],
    }
    if prior:
        manifest["prior"] = described_prior(model.config, prior)
    write_json(out / "manifest.json", manifest)
    return manifest


def copied(source: Path, target: Path) -> None:
    """Copy a file, unless it is there already."""
    if source.resolve() != target.resolve():
        target.write_bytes(source.read_bytes())


def described_prior(config: ModelConfig, path: Path) -> dict:
    """What the manifest says of the frozen prior."""
    facts = {"network": config.prior, "sha256": file_sha256(path)}
    return facts | {"stages": config.prior_stages, **MAXIM} if config.prior == "maxim" else facts


def described_model(name: str, model: nn.Module, options: Options, variants: list[dict], files: list[dict]) -> dict:
    """The manifest but for training and quality. `macs_256` counts all that runs, the frozen prior too."""
    identity = "".join(f["sha256"] for f in [*variants, *files]) + f"tile={options.tile}/{OVERLAP}"
    return {
        "schema_version": 1,
        "name": name,
        "version": hashlib.sha256(identity.encode()).hexdigest(),
        "paper": PAPERS[model.config.network],
        "parameters": parameters(model),
        "macs_256": sum(costs(model.config)[-2:]),
        "opset": graph.OPSET_WITH_ANSWERS if model.config.prior == "maxim" else graph.OPSET,
        "pad_multiple": model.config.pad_multiple,
        "tile": tiles(model.config, options),
        "max_batch": options.batch,
        **({"input_shape": [*options.size, 3]} if any(options.size) else {}),
        "variants": variants,
    }


def tiles(config: ModelConfig, options: Options) -> dict:
    """The manifest's `tile`: MAXIM is at home in one size, other networks in many."""
    sides = {"size": options.tile, "overlap": OVERLAP}
    return sides | {"max": options.tile, "fixed": True, "align": ALIGN} if config.prior == "maxim" else sides


def trained(state: dict, strength: float) -> dict | None:
    """Returns the manifest's facts about the training, or None for an untrained network.

    For weights that others published these are source, SHA-256 and licence.
    """
    if state.get("published"):
        return state["published"]
    if not state["patches"]:
        return None
    facts = {key: state[key] for key in ("patches", "seconds", "device")}
    return {**facts, "config": f"{state['config']['name']}.toml", "strength": strength}
