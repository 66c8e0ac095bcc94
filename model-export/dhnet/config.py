"""A run is one TOML file: tables [model], [data], [train]. An unknown key is an error that names it.

`extends = "other.toml"` starts from another file, by its path from this file; keys of this file win.
"""

import math
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import UserError

KINDS = ("soft", "sharp", "still", "synthetic", "real")  # of triplets (data/triplets.py)
PRIOR_MULTIPLE = 64  # MAXIM takes heights and widths that are multiples of this
ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
CACHE = ROOT / "cache"  # what commands fetch
TRIPLETS = ROOT / "triplets"


def _choice(where: str, value: str, *known: str) -> None:
    if value not in known:
        raise UserError(f"{where}: must be one of {', '.join(known)}, not {value}")


def _at_least(where: str, least: float, *values: float) -> None:
    for value in values:
        if value < least:
            raise UserError(f"{where}: must be at least {least}, not {value}")


@dataclass(frozen=True)
class ModelConfig:
    """The network's shape. Defaults are DHNet (width 32, no prior) of the paper.

    Of a `network` other than dhnet only width, encoder, middle and decoder count.
    """

    network: str = "dhnet"  # "nafnet": the baseline; "ufpnet": the prior by itself, not trained here
    width: int = 32  # channels at the first level; doubled at every level below
    encoder: tuple[int, ...] = (1, 1, 1, 28)  # VBlocks per encoder level
    middle: int = 1
    decoder: tuple[int, ...] = (1, 1, 1, 1)  # VBlocks per decoder level, lowest resolution first
    block: str = "vblock"  # "mrvnet": MR-VNet's Volterra layer in place of every VBlock
    rank: int = 4  # Q of eq. (3); 0 = SimpleGate
    experts: tuple[int, ...] = (1, 3, 5, 7, 9)  # kernel sizes of the depth-wise experts
    routers: int = 5
    router: str = "gap"  # "gap": one weight per image and expert; "pixel": one per pixel
    combine: str = "sum"  # a router's experts are added, or joined ("concat") and mixed by a 1×1 convolution
    shared_pointwise: bool = False  # the experts of a router share one 1×1 convolution
    ddre: bool = True
    ffn: bool = False  # NAFBlock's second half
    unshuffle: int = 1  # the picture is folded into channels by this factor first
    prior: str = "none"  # frozen network that DDRE reads (eq. 10): "nafnet", "ufpnet" (maps), "maxim" (its answer)
    prior_stages: int = 1  # of MAXIM, 1 to 3
    prior_width: int = 64  # of NAFNet or UFPNet
    prior_encoder: tuple[int, ...] = (1, 1, 1, 28)
    window: int = 0  # pixels over which attention and routers pool at test time (TLC); 0 = the whole picture

    def __post_init__(self) -> None:
        _choice("model.network", self.network, "dhnet", "nafnet", "ufpnet")
        _choice("model.block", self.block, "vblock", "mrvnet")
        _choice("model.router", self.router, "gap", "pixel")
        _choice("model.combine", self.combine, "sum", "concat")
        _choice("model.prior", self.prior, "none", "nafnet", "ufpnet", "maxim")
        _at_least("model.width", 1, self.width, self.prior_width)
        _at_least("model.routers", 1, self.routers)
        _at_least("model.unshuffle", 1, self.unshuffle)
        _at_least("model.rank", 0, self.rank)
        _at_least("model.window", 0, self.window)
        _at_least("model.encoder, middle, decoder", 0, self.middle, *self.encoder, *self.decoder)
        if not self.encoder or len(self.encoder) != len(self.decoder):
            raise UserError("model: encoder and decoder must have the same number of levels")
        if not self.experts or any(size % 2 == 0 or size < 1 for size in self.experts):
            raise UserError("model.experts: kernel sizes must be odd")
        if self.block == "mrvnet" and (not self.rank or self.ffn):
            raise UserError("model.block: mrvnet needs a rank of at least 1 and has no ffn")
        if self.combine == "concat" and self.shared_pointwise:
            raise UserError("model.combine: concat joins experts that have their own pointwise convolutions")
        if self.prior == "maxim":
            _choice("model.prior_stages", str(self.prior_stages), "1", "2", "3")
        elif self.prior != "none" and (len(self.prior_encoder) != len(self.encoder) or self.unshuffle != 1):
            raise UserError("model.prior: needs prior_encoder with as many levels as encoder, and unshuffle = 1")
        if self.prior != "none" and not (self.ddre and self.network == "dhnet"):
            raise UserError("model.prior: no block reads the prior without ddre")

    @property
    def pad_multiple(self) -> int:
        """Height and width must be multiples of this many pixels."""
        own = self.unshuffle * 2 ** len(self.encoder)
        return math.lcm(own, PRIOR_MULTIPLE) if self.prior == "maxim" else own


@dataclass(frozen=True)
class DataConfig:
    """The parts of training pairs. Shares are probabilities in [0, 1]; lengths are pixels."""

    patch: int = 128
    real: float = 0.22  # share of pairs cut from pairs-train
    identity: float = 0.12  # share of pairs whose input is already sharp
    reduced: float = 0.0  # share of photos reduced to the patch, as sharp as pixels can be, input and target alike
    shake_max: float = 26.0  # longest camera path
    shake_power: float = 1.7  # 1: all lengths alike; above: short paths are more frequent
    object_power: float = 1.3  # the same for moving layers
    turn: float = 1.0  # rotation and zoom along a path; 1 is a camera whose whole frame is the patch
    enlarge: float = 1.0  # above 1: photos also enlarged by so much, for targets as soft as frames of video
    objects: float = 0.35  # share with moving layers
    defocus: float = 0.05  # share of inputs that are also out of focus, with a target in focus
    soft: float = 0.0  # share of photos that are partly out of focus, in input and target alike
    soft_identity: float = 0.0  # the same of the pairs whose input is already sharp, where that is more
    highlights: float = 0.2
    noise: float = 0.35
    noise_max: float = 0.012  # standard deviation, of 1.0
    jpeg: float = 0.3
    gamma_space: float = 0.3  # share averaged without linearisation, as some cameras' tools do
    photos: int = 0  # use only so many sharp photos (0 = all)
    first_photo: int = 0  # from this one on
    triplets: tuple[float, ...] = ()  # shares of the kinds of triplets (triplets.py), in place of all above but `patch`
    dataset: str = ""  # a published dataset (datasets.py) in place of all of the above but `patch`
    workers: int = 1  # processes that make batches
    dev: int = 20  # pairs of the dataset's test split that are measured while training

    def __post_init__(self) -> None:
        _at_least("data.patch, workers", 1, self.patch, self.workers)
        _at_least("data.dev, photos, first_photo", 0, self.dev, self.photos, self.first_photo)
        _at_least("data.shake_power, object_power, turn", 0, self.shake_power, self.object_power, self.turn)
        _at_least("data.enlarge", 1, self.enlarge)
        _at_least("data.triplets", 0, *self.triplets)
        if self.triplets and (len(self.triplets) != len(KINDS) or not any(self.triplets)):
            raise UserError(f"data.triplets: needs the shares of {', '.join(KINDS)}")


@dataclass(frozen=True)
class TrainConfig:
    """The options of training."""

    seed: int = 1
    steps: int = 0  # length of the run where the command line says none
    batch: int = 8
    optimizer: str = "adamw"  # or "adam"
    lr: float = 1e-3
    lr_end: float = 1e-7
    hold: float = 0.0  # share of the run at full learning rate, before the cosine
    warmup: int = 300  # steps
    betas: tuple[float, ...] = (0.9, 0.99)
    weight_decay: float = 1e-4
    clip: float = 0.5  # gradient norm
    ema: float = 0.999
    edge: float = 0.05  # δ of eq. (22)
    frequency: float = 0.1  # λ of eq. (22), see losses.py for its unit
    relative: float = 0.0  # > 0: losses relative to the input's own, see losses.py
    gate_init: float = 0.0  # start of β and γ; the paper's kin start at 0, short runs gain from more
    ending_lr: float = 1.0  # learning rate of the last convolution, as a factor
    bf16: bool = True
    channels_last: bool = True
    compile: bool = True  # torch.compile, on a GPU only
    recompute: bool = False  # DDRE's maps once more in the backward pass instead of keeping them: w = 64 on one GPU
    threads: int = 2
    save_minutes: float = 3.0
    eval_minutes: float = 10.0
    log_steps: int = 200

    def __post_init__(self) -> None:
        _choice("train.optimizer", self.optimizer, "adam", "adamw")
        _at_least("train.batch, threads, log_steps", 1, self.batch, self.threads, self.log_steps)
        if len(self.betas) != 2 or not 0 <= self.hold < 1 or not 0 <= self.ema < 1:
            raise UserError("train: betas are two numbers, hold and ema lie in [0, 1)")


@dataclass(frozen=True)
class Config:
    """One experiment."""

    name: str = "dhnet"
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.data.patch % self.model.pad_multiple:
            raise UserError(f"data.patch: must be a multiple of {self.model.pad_multiple}, not {self.data.patch}")


def _typed(value: Any, default: Any, where: str) -> Any:
    """`value` as the type of `default`: whole numbers pass for fractions, lists for tuples."""
    kind = type(default)
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(_typed(item, default[0] if default else 0.0, where) for item in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UserError(f"{where}: must be {'a list' if kind is tuple else kind.__name__}, not {value!r}")
    return value


def _table(kind: type, values: Any, where: str):
    if not isinstance(values, dict):
        raise UserError(f"{where}: must be a table")
    known = {f.name: f for f in fields(kind)}
    for key in values:
        if key not in known:
            raise UserError(f"{where}: unknown key `{key}`; known: {', '.join(known)}")
    return kind(**{k: _typed(v, known[k].default, f"{where} {k}") for k, v in values.items()})


def from_dict(values: dict, where: str = "config") -> Config:
    """Nested plain values → Config."""
    values = dict(values)
    tables = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig}
    try:
        parts = {k: _table(kind, values.pop(k, {}), f"[{k}]") for k, kind in tables.items()}
        for key in values:
            if key != "name":
                raise UserError(f"unknown key `{key}`; known: name, model, data, train")
        return Config(**{k: _typed(v, "", k) for k, v in values.items()}, **parts)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _read(path: Path, below: tuple[Path, ...] = ()) -> dict:
    """A TOML file's values over those of the file that it extends; `below` are the files that led here."""
    path = path.resolve()
    if path in below:
        raise UserError(f"{path}: extends itself")
    try:
        values = tomllib.loads(path.read_text())
    except OSError:
        raise UserError(f"{path}: no such config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    extends = values.pop("extends", None)
    if extends is None:
        return values
    base = _read(path.parent / str(extends), (*below, path))
    base.pop("name", None)
    return base | {k: base[k] | v if isinstance(v, dict) and k in base else v for k, v in values.items()}


def load(path: str | Path) -> Config:
    """Read a TOML file; `name` defaults to the file's name."""
    path = Path(path)
    values = _read(path)
    values.setdefault("name", path.stem)
    return from_dict(values, str(path))


def named(name: str) -> Path:
    """The file of a configuration by its name, such as `dhnet-b`, `paper/dhnet-b` or `table3-a`."""
    found = next(
        (path for path in (CONFIGS / f"{name}.toml", CONFIGS / "ablations" / f"{name}.toml") if path.is_file()), None
    )
    if found is None:
        raise UserError(f"{name}: no such config; known: {', '.join(path.stem for path in published())}")
    return found


def published() -> list[Path]:
    """The configurations of the paper and of the product, those of its ablations last."""
    first = ("dhnet", "paper/dhnet-b", "dhnet-b", "dhnet-edge", "nafnet-32", "nafnet-64", "ufpnet")
    return [CONFIGS / f"{name}.toml" for name in first] + sorted((CONFIGS / "ablations").glob("*.toml"))


def to_dict(config: Config) -> dict:
    """Config → plain values, the inverse of `from_dict`."""
    return asdict(config)
