"""Measures how fast a configuration trains: patches per second before tuning and after each step of tuning.

Without a GPU, processor time is counted, so that other work on the machine matters little.
"""

import time
from dataclasses import replace

import torch

from ..config import Config
from ..network import native
from .train import Trainer

# Label, options of [train], native kernels. Every setting keeps the options of the settings before it.
PLAIN = {"bf16": False, "channels_last": False, "compile": False}
TUNED = (
    ("PyTorch, float32", PLAIN, False),
    ("and channels-last", {**PLAIN, "channels_last": True}, False),
    ("and bfloat16", {**PLAIN, "channels_last": True, "bf16": True}, False),
)
NATIVE = ("and native kernels", {**PLAIN, "channels_last": True, "bf16": True}, True)
COMPILED = ("and torch.compile", {"channels_last": True, "bf16": True, "compile": True}, False)


def measure(config: Config, device: str, steps: int, compiled: bool) -> list[dict]:
    """Returns [{"setting", "patches_per_second"}] of training on random pictures on one thread, by the fastest of
    `steps`.

    compiled: also measure torch.compile on a CPU. It replaces the native kernels, which it cannot compile.
    """
    on_gpu = device.startswith("cuda")
    settings = [*TUNED, *([COMPILED] if on_gpu or compiled else []), *([] if on_gpu else [NATIVE])]
    rows = []
    for label, options, fast in settings:
        if not fast or native.available():
            with native.switched(fast):
                rate = patches_per_second(replace(config, train=replace(config.train, **options)), device, steps)
            rows.append({"setting": label, "patches_per_second": round(rate, 2)})
    return rows


def patches_per_second(config: Config, device: str, steps: int) -> float:
    """Returns the rate of the fastest of `steps` steps, after one step of warming up.

    The rate is taken in processor time, on a GPU in wall time.
    """
    torch.set_num_threads(1)
    trainer = Trainer(config, device)
    if config.train.compile and not device.startswith("cuda"):
        trainer.forward = torch.compile(trainer.model)
    shape = (config.train.batch, 3, config.data.patch, config.data.patch)
    blur, sharp = (torch.rand(shape, device=device) for _ in range(2))
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    taken = []
    for _ in range(steps + 1):
        began = clock()
        trainer.update((blur, sharp), 0.0)  # `update` reads the loss at its end, so that a GPU has finished
        taken.append(clock() - began)
    return config.train.batch / min(taken[1:])


def markdown(rows: list[dict]) -> str:
    """Returns a Markdown table with the rates, also as multiples of the first."""
    first = rows[0]["patches_per_second"]
    lines = [
        f"| {r['setting']} | {r['patches_per_second']:.2f} | ×{r['patches_per_second'] / first:.1f} |" for r in rows
    ]
    return "\n".join(["| setting | patches/s | |", "|---|--:|--:|", *lines])
