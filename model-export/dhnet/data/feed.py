"""Batches in the order of a run, made where they are used or by worker processes."""

import itertools
from pathlib import Path

import torch
from torch import Tensor

from ..config import DataConfig
from .training_pairs import Published, Source, source
from .triplets import Triplets


def made_from(
    folder: Path, config: DataConfig, seed: int, share: tuple[int, int] = (0, 1)
) -> Source | Published | Triplets:
    """What makes a run's batches: a folder of triplets, or what `source` says."""
    return Triplets(folder, config, seed) if config.triplets else source(folder, config, seed, share)


def _work(queue, folder: Path, config: DataConfig, seed: int, size: int, first: int) -> None:
    """Puts the batches `first`, `first` + workers, … into a queue, until the process is terminated."""
    torch.set_num_threads(1)
    try:
        made = made_from(folder, config, seed)
        for index in itertools.count(first, config.workers):
            queue.put(tuple(t.numpy() for t in made.batch(index, size)))
    except KeyboardInterrupt:
        pass
    except Exception as error:  # `Feed.next` raises the error in the trainer's process
        queue.put(error)


class Inline:
    """Makes a process's own share of the batches where they are used: batch·n + i for process i of n."""

    def __init__(self, folder: Path, config: DataConfig, seed: int, size: int, first: int, share: tuple[int, int]):
        self.source = made_from(folder, config, seed, share)
        self.size, self.index, self.step = size, first * share[1] + share[0], share[1]

    def next(self) -> tuple[Tensor, ...]:
        """Returns the next batch as float pictures in [0, 1], [size, 3, patch, patch] each, the target last."""
        made = self.source.batch(self.index, self.size)
        self.index += self.step
        return tuple(t.float() / 255 for t in made)

    def close(self) -> None:
        """Does nothing: there are no worker processes."""


class Feed:
    """Returns the batches `first`, `first` + 1, … in that order, made by `config.workers` processes."""

    def __init__(self, folder: Path, config: DataConfig, seed: int, size: int, first: int) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self.queues = [context.Queue(max(2, 8 // config.workers)) for _ in range(config.workers)]
        self.processes = [
            context.Process(target=_work, args=(queue, folder, config, seed, size, first + i), daemon=True)
            for i, queue in enumerate(self.queues)
        ]
        for process in self.processes:
            process.start()
        self.turn = itertools.cycle(self.queues)

    def next(self) -> tuple[Tensor, ...]:
        """Returns the next batch as float pictures in [0, 1], [size, 3, patch, patch] each, the target last."""
        item = next(self.turn).get()
        if isinstance(item, Exception):
            raise item
        return tuple(torch.from_numpy(t).float() / 255 for t in item)

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.join()
