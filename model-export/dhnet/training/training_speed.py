"""How fast a configuration trains: patches per second, before tuning and after each step of it.

Counted in processor time where there is no GPU, so that what else the machine does matters little.
"""

import time
from dataclasses import replace

import torch

from ..config import Config
from ..network import native
from .train import Trainer

# Each keeps what those before it switched on: label, options of [train], native kernels, torch.compile.
PLAIN = {"bf16": False, "channels_last": False, "compile": False}
TUNED = (
    ("PyTorch, float32", PLAIN, False),
    ("and channels-last", {**PLAIN, "channels_last": True}, False),
    ("and bfloat16", {**PLAIN, "channels_last": True, "bf16": True}, False),
)
NATIVE = ("and native kernels", {**PLAIN, "channels_last": True, "bf16": True}, True)
COMPILED = ("and torch.compile", {"channels_last": True, "bf16": True, "compile": True}, False)


def measure(config: Config, device: str, steps: int, compiled: bool) -> list[dict]:
    """[{"setting", "patches_per_second"}] of training steps on random pictures on one thread; the fastest of `steps`.

    compiled: on a CPU also with torch.compile, in place of the native kernels, which it does not see into.
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
    """Of the fastest of `steps` steps, after one to warm up: in processor time, on a GPU in wall time."""
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
        trainer.update(blur, sharp, 0.0)  # ends by reading the loss, so a GPU has finished
        taken.append(clock() - began)
    return config.train.batch / min(taken[1:])


def markdown(rows: list[dict]) -> str:
    """The table, as multiples of the first row too."""
    first = rows[0]["patches_per_second"]
    lines = [
        f"| {r['setting']} | {r['patches_per_second']:.2f} | ×{r['patches_per_second'] / first:.1f} |" for r in rows
    ]
    return "\n".join(["| setting | patches/s | |", "|---|--:|--:|", *lines])
