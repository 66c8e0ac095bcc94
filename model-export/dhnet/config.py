"""A run is one TOML file: tables [model], [data], [train]. An unknown key is an error that names it."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path


class UserError(Exception):
    """Something the caller can mend; printed as one line, without a traceback."""


@dataclass(frozen=True)
class ModelConfig:
    """The network's shape. Defaults are DHNet (width 32, no prior) of the paper."""

    width: int = 32  # channels at the first level; doubled at every level below
    encoder: tuple[int, ...] = (1, 1, 1, 28)  # VBlocks per encoder level
    middle: int = 1
    decoder: tuple[int, ...] = (1, 1, 1, 1)  # VBlocks per decoder level, lowest resolution first
    rank: int = 4  # Q of eq. (3); 0 = SimpleGate
    experts: tuple[int, ...] = (1, 3, 5, 7, 9)  # kernel sizes of the depth-wise experts
    routers: int = 5
    router: str = "gap"  # "gap": one weight per image and expert; "pixel": one per pixel
    shared_pointwise: bool = False  # the experts of a router share one 1×1 convolution
    ddre: bool = True
    ffn: bool = False  # NAFBlock's second half
    unshuffle: int = 1  # the picture is folded into channels by this factor first

    def __post_init__(self) -> None:
        if len(self.encoder) != len(self.decoder):
            raise UserError("model: encoder and decoder must have the same number of levels")
        if self.router not in ("gap", "pixel"):
            raise UserError(f"model.router: must be gap or pixel, not {self.router}")
        if any(size % 2 == 0 for size in self.experts):
            raise UserError("model.experts: kernel sizes must be odd")

    @property
    def pad_multiple(self) -> int:
        """Height and width must be multiples of this many pixels."""
        return self.unshuffle * 2 ** len(self.encoder)


@dataclass(frozen=True)
class DataConfig:
    """What training pairs are made of. Shares are probabilities in [0, 1]; lengths are pixels."""

    patch: int = 128
    real: float = 0.22  # share of pairs cut from pairs-train
    identity: float = 0.12  # share of pairs whose input is already sharp
    shake_max: float = 26.0  # longest camera path
    objects: float = 0.35  # share with moving layers
    defocus: float = 0.05
    highlights: float = 0.2
    noise: float = 0.35
    noise_max: float = 0.012  # standard deviation, of 1.0
    jpeg: float = 0.3
    gamma_space: float = 0.3  # share averaged without linearisation, as some cameras' tools do
    photos: int = 0  # use only the first so many sharp photos (0 = all)


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained."""

    seed: int = 1
    batch: int = 8
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
    threads: int = 2
    save_minutes: float = 3.0
    eval_minutes: float = 10.0
    log_steps: int = 200


@dataclass(frozen=True)
class Config:
    """One experiment."""

    name: str = "dhnet"
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def _table(kind: type, values: dict, where: str):
    known = {f.name: f for f in fields(kind)}
    for key in values:
        if key not in known:
            raise UserError(f"{where}: unknown key `{key}`; known: {', '.join(known)}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def from_dict(values: dict, where: str = "config") -> Config:
    """Nested plain values → Config."""
    values = dict(values)
    tables = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig}
    parts = {k: _table(kind, values.pop(k, {}), f"{where} [{k}]") for k, kind in tables.items()}
    for key in values:
        if key != "name":
            raise UserError(f"{where}: unknown key `{key}`; known: name, model, data, train")
    return Config(**values, **parts)


def load(path: str | Path) -> Config:
    """Read a TOML file; `name` defaults to the file's name."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such config") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    values.setdefault("name", path.stem)
    return from_dict(values, str(path))


def to_dict(config: Config) -> dict:
    """Config → plain values, the inverse of `from_dict`."""
    return asdict(config)
