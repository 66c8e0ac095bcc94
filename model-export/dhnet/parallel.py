"""One run in several processes of one machine, each with its part of every batch.

On a machine with other work, threads that meet at every operator wait for whichever of them is not
running; processes meet once per step.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn


def rank() -> int:
    """Number of this process, 0 if it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share_gradients(model: nn.Module, loss: float, progress: float) -> tuple[float, float]:
    """Average the gradients and the loss over the processes; all get process 0's `progress`."""
    if size() == 1:
        return loss, progress
    grads = [p.grad for p in model.parameters() if p.requires_grad]
    facts = torch.tensor([loss, progress * size() if rank() == 0 else 0.0])
    flat = torch.cat([*(g.reshape(-1) for g in grads), facts])
    dist.all_reduce(flat)
    flat /= size()
    parts = flat.split([g.numel() for g in grads] + [2])
    for g, part in zip(grads, parts, strict=False):
        g.copy_(part.view_as(g))
    return float(parts[-1][0]), float(parts[-1][1])


def end_with_parent() -> None:
    """Ends this process soon after its parent has gone, however it went: a rank waiting in a collective never would."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _enter(index: int, meeting: str, count: int, arguments: dict) -> None:
    from .train import train

    end_with_parent()
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=index, world_size=count)
    train(**arguments, share=(index, count))
    dist.barrier()
    dist.destroy_process_group()


def train_in(count: int, arguments: dict) -> None:
    """`train(**arguments)` in `count` processes."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        torch.multiprocessing.spawn(_enter, (meeting, count, arguments), nprocs=count)
