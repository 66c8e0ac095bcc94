"""The processes of one run, seen from one of them."""

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
