"""Trains by one TOML file and writes checkpoints; a run is bounded by time or by steps, and can be resumed."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import config as configs
from ..config import Config, DataConfig, TrainConfig
from ..data.feed import Feed, Inline
from ..data.pictures import pairs
from ..data.published_datasets import measured
from ..data.triplets import measured as measured_triplets
from ..errors import UserError
from ..evaluation.evaluate import dev_scores, triplet_scores
from ..network import checkpoint
from ..network.ddre import DDRE
from ..network.model import build, load_own_state, own_state, parameters
from . import losses, processes


class Trainer:
    """The state of one run. Wall time of earlier parts of the run counts towards its schedule."""

    def __init__(self, config: Config, device: str, prior: Path | None = None) -> None:
        """`prior`: published checkpoint of the frozen prior, where the network has one."""
        c = config.train
        if config.model.network == "ufpnet":
            raise UserError("train: ufpnet is a frozen prior, its own training is not part of this project")
        torch.manual_seed(c.seed)
        self.config, self.device = config, device
        self.prior = checkpoint.load_prior(config.model, prior)
        self.prior_sha256 = checkpoint.file_sha256(prior) if prior else None
        self.model = self.network()
        for name, value in self.model.named_parameters():
            if name.endswith(("beta", "gamma")) and value.requires_grad:
                nn.init.constant_(value, c.gate_init)
        for module in self.model.modules():
            if isinstance(module, DDRE):
                module.recompute = c.recompute
        compiled = c.compile and device.startswith("cuda")
        self.forward = torch.compile(self.model) if compiled else self.model
        kind = torch.optim.Adam if c.optimizer == "adam" else torch.optim.AdamW
        self.optimizer = kind(groups(self.model, c), lr=c.lr, betas=c.betas, foreach=True)
        self.ema = {k: v.clone().float() for k, v in own_state(self.model).items()}
        self.step = self.patches = 0
        self.seconds = 0.0
        self.history: list[dict] = []

    def network(self) -> nn.Module:
        """A network of this run on its device, with random weights but for the prior, which all of them share."""
        kind = torch.channels_last if self.config.train.channels_last else torch.preserve_format
        return build(self.config.model, self.prior).to(self.device, memory_format=kind)

    def resume(self, path: Path, warm: bool) -> None:
        """Continues from a checkpoint; with `warm`, or from a slim one, only its weights are taken."""
        state = checkpoint.load(path)
        theirs = configs.from_dict(state["config"], str(path))
        if theirs.model != self.config.model:
            raise UserError(f"{path}: its [model] differs from the config's")
        if state.get("prior") and state["prior"] != self.prior_sha256:
            raise UserError(f"{path}: was trained with another prior (SHA-256 {state['prior']})")
        slim = "optimizer" not in state
        load_own_state(self.model, state["ema"] if warm or slim else state["model"], str(path))
        self.ema = {k: v.to(self.device).float() for k, v in state["ema"].items()}
        self.patches, self.history = state["patches"], list(state["history"])
        self.seconds = state["seconds"]
        if not warm and not slim:
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def say(self, text: str) -> None:
        """Prints a line in process 0 only."""
        if processes.rank() == 0:
            print(text, flush=True)

    def state(self) -> dict:
        """Returns all values and tensors that a run needs to be resumed."""
        return {
            "config": configs.to_dict(self.config),
            "model": own_state(self.model),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "patches": self.patches,
            "seconds": round(self.seconds),
            "device": self.device,
            "prior": self.prior_sha256,
            "history": self.history,
        }

    def update(self, pictures: tuple[Tensor, ...], progress: float) -> tuple[float, float, float]:
        """One step on what a feed gives; (loss, gradient norm, progress), the same in all processes of a run."""
        *inputs, sharp = pictures
        c = self.config.train
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=c.bf16):
            restored = self.forward(*inputs)
        loss = losses.total(restored, sharp, inputs[0], c.edge, c.frequency, c.relative)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        loss, progress = processes.share_gradients(self.model, loss.item(), progress)
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * rate(c, self.step, progress)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.step += 1
        self.patches += len(sharp) * processes.size()
        self.average()
        return loss, norm.item(), progress

    @torch.no_grad()
    def average(self) -> None:
        """Exponential moving average; young averages follow faster."""
        decay = min(self.config.train.ema, (1 + self.step) / (10 + self.step))
        values = [v.float() for v in own_state(self.model).values()]
        torch._foreach_lerp_(list(self.ema.values()), values, 1 - decay)


def groups(model: nn.Module, c: TrainConfig) -> list[dict]:
    """Parameter groups: weight decay for kernels only; `factor` scales the learning rate.

    The last convolution starts at 0 and sums hundreds of inputs: Adam's steps, equal for all weights,
    make it the noisiest layer, so it may be slowed down.
    """
    last = {id(p) for p in model.ending.parameters()}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in last]
    kernels = [p for p in rest if p.ndim == 4 and p.shape[0] > 1]
    others = [p for p in rest if not (p.ndim == 4 and p.shape[0] > 1)]
    return [
        {"params": kernels, "weight_decay": c.weight_decay, "factor": 1.0},
        {"params": others, "weight_decay": 0.0, "factor": 1.0},
        {"params": list(model.ending.parameters()), "weight_decay": 0.0, "factor": c.ending_lr},
    ]


def rate(c: TrainConfig, step: int, progress: float) -> float:
    """Learning rate: linear warm-up, full until `hold`, then cosine; `progress` runs from 0 to 1."""
    falling = min(max(progress - c.hold, 0) / (1 - c.hold), 1.0)
    cosine = c.lr_end + (c.lr - c.lr_end) * 0.5 * (1 + math.cos(math.pi * falling))
    return cosine * min(1.0, (step + 1) / max(c.warmup, 1))


@dataclass
class Bounds:
    """The end of a run: after `minutes` of wall time from now, at step `steps`, or after `cpu_minutes` of work.

    The last is processor time of this process and all its threads, whatever else the machine does: what the first
    step, batches and steps take, without reading photos (`start`) and without scoring (`aside`).
    """

    minutes: float | None
    steps: int | None
    cpu_minutes: float | None = None
    began: float = field(default_factory=time.monotonic)
    cpu_began: float = 0.0

    def start(self) -> None:
        """Starts the clock of processor time, after everything was loaded."""
        self.cpu_began = time.process_time()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Excludes the work inside a `with` block from the processor time of the run."""
        before = time.process_time()
        yield
        self.cpu_began += time.process_time() - before

    def progress(self, step: int) -> float:
        """0 at the start, 1 at the end."""
        if self.steps:
            return step / self.steps
        if self.cpu_minutes:
            return (time.process_time() - self.cpu_began) / (60 * self.cpu_minutes)
        return (time.monotonic() - self.began) / (60 * self.minutes)


def train(
    config: Config,
    data: Path,
    out: Path,
    minutes: float | None = None,
    steps: int | None = None,
    resume: Path | None = None,
    warm: bool = False,
    device: str = "cpu",
    share: tuple[int, int] = (0, 1),
    prior: Path | None = None,
    cpu_minutes: float | None = None,
) -> Trainer:
    """Train until `minutes`, `cpu_minutes` (see `Bounds`) or step number `steps`; the LR ends at `lr_end`.

    Without any, until the config's own number of steps. `prior`: see `Trainer`.
    `share` (i, n): this is process i of n, each with its part of every batch; process 0 reports and saves.
    """
    c = config.train
    if minutes is None and steps is None and cpu_minutes is None:
        steps = c.steps or None
    if sum(bound is not None for bound in (minutes, steps, cpu_minutes)) != 1:
        raise UserError("train: give one of --minutes, --cpu-minutes and --steps")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {device}: PyTorch finds no GPU")
    bounds = Bounds(minutes, steps, cpu_minutes)
    if c.batch % share[1]:
        raise UserError(f"train.batch: {c.batch} cannot be shared by {share[1]} processes")
    torch.set_num_threads(max(1, c.threads // share[1]))
    trainer = Trainer(config, device, prior)
    if resume:
        trainer.resume(resume, warm)
    dev = to_measure(config.data, data) if share[0] == 0 else []
    trainer.say(f"{config.name}: {parameters(trainer.model)} parameters, step {trainer.step}, {device}")
    first = trainer.step if steps else trainer.patches // c.batch
    if share[1] == 1 and cpu_minutes is None:
        feed = Feed(data, config.data, c.seed, c.batch, first)
    else:
        feed = Inline(data, config.data, c.seed, c.batch // share[1], first, share)
    try:
        _loop(trainer, feed, dev, out, bounds)
    finally:
        feed.close()
    if dev:
        score(trainer, dev)
    if share[0] == 0:
        checkpoint.save(out / "last.pt", trainer.state())
        checkpoint.save_slim(out / "checkpoint.safetensors", trainer.state())
    return trainer


def to_measure(config: DataConfig, folder: Path) -> list:
    """What is measured while training: triplets, some of a dataset's test split, or pairs-dev/ where it exists."""
    if config.triplets:
        return measured_triplets(folder)
    if config.dataset:
        return measured(config.dataset, folder, config.dev)
    return pairs(folder / "pairs-dev") if (folder / "pairs-dev").is_dir() else []


def _loop(trainer: Trainer, feed: Feed | Inline, dev: list, out: Path, bounds: Bounds) -> None:
    c, before = trainer.config.train, trainer.seconds
    saved = scored = time.monotonic()
    report = Report(c.batch)
    bounds.start()
    progress = bounds.progress(trainer.step)
    while progress < 1:
        began = time.monotonic()
        pictures = tuple(t.to(trainer.device) for t in feed.next())
        waited = time.monotonic() - began
        loss, norm, progress = trainer.update(pictures, bounds.progress(trainer.step + 1))
        now = time.monotonic()
        trainer.seconds = before + now - bounds.began
        report.add(loss, norm, waited)
        if trainer.step % c.log_steps == 0:
            trainer.say(f"step {trainer.step} {100 * progress:.1f}% {report.line()}")
        if dev and now - scored > 60 * c.eval_minutes and progress < 1:
            with bounds.aside():
                score(trainer, dev)
            scored = time.monotonic()
        if processes.rank() == 0 and now - saved > 60 * c.save_minutes:
            checkpoint.save(out / "last.pt", trainer.state())
            saved = time.monotonic()


class Report:
    """Means of loss, gradient norm and waiting since the last line."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.reset()

    def reset(self) -> None:
        self.began, self.steps, self.loss, self.norm, self.waited = time.monotonic(), 0, 0.0, 0.0, 0.0

    def add(self, loss: float, norm: float, waited: float) -> None:
        self.steps, self.loss, self.norm = self.steps + 1, self.loss + loss, self.norm + norm
        self.waited += waited

    def line(self) -> str:
        """The report as text; starts the next one."""
        took, n = time.monotonic() - self.began, self.steps
        text = f"loss {self.loss / n:.5f} norm {self.norm / n:.3f} {n * self.batch / took:.1f} patches/s"
        text += f" data {100 * self.waited / took:.0f}%"
        self.reset()
        return text


def score(trainer: Trainer, dev: list) -> None:
    """PSNR of the EMA weights on the development pairs, per set, appended to the history and printed."""
    model = trainer.network()
    load_own_state(model, trainer.ema, "average")
    judge = triplet_scores if trainer.config.data.triplets else dev_scores
    scores = judge(model.eval(), dev, trainer.device, trainer.config.train.bf16)
    trainer.history.append({"step": trainer.step, "seconds": round(trainer.seconds), "psnr": scores})
    text = ", ".join(f"{name} {a:.2f} → {b:.2f} ({b - a:+.2f})" for name, (a, b) in scores.items())
    print(f"dev at step {trainer.step}, {trainer.patches} patches, {trainer.seconds:.0f} s: {text}", flush=True)
