"""Trains one run in several processes of one machine, each with its part of every batch.

Threads meet at every operator. On a machine with other work they wait for the thread that is not running; processes
meet only once per step.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

import torch
import torch.distributed as dist

from .train import train


def end_with_parent() -> None:
    """Ends this process soon after its parent has ended, because a rank that waits in a collective would wait
    forever.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _enter(index: int, meeting: str, count: int, arguments: dict) -> None:
    end_with_parent()
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=index, world_size=count)
    train(**arguments, share=(index, count))
    dist.barrier()
    dist.destroy_process_group()


def train_in(count: int, arguments: dict) -> None:
    """Runs `train(**arguments)` in `count` processes."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        torch.multiprocessing.spawn(_enter, (meeting, count, arguments), nprocs=count)
