"""A frozen MAXIM run by ONNX Runtime, which is about twice as fast on a CPU as PyTorch."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort
import torch
from torch import Tensor

from ..config import ModelConfig
from ..errors import UserError
from ..priors import Maxim, load_published
from . import graph
from .stored_weights import entries


def answerer(config: ModelConfig, weights: Path) -> Callable[[Tensor], Tensor]:
    """The prior of a configuration: pictures [N, 3, H, W] in [0, 1] → restored ones, not clipped."""
    if config.prior != "maxim":
        raise UserError(f"model.prior: answers come from maxim, not from {config.prior}")
    return _opened(weights, config.prior_stages, threads=1)


def alone(weights: Path, threads: int) -> tuple[int, Callable[[Tensor], Tensor]]:
    """The number of stages in a file that `prior` wrote, and the network as `answerer` gives it."""
    found = {name.split("_")[1] for name in entries(weights) if name.startswith("stage_")}
    if found not in ({"0"}, {"0", "1"}, {"0", "1", "2"}):
        raise UserError(f"{weights}: holds no weights of MAXIM")
    return len(found), _opened(weights, len(found), threads)


def _opened(weights: Path, stages: int, threads: int) -> Callable[[Tensor], Tensor]:
    model = load_published(weights, Maxim(stages))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prior.onnx"
        target = Path(folder) / "prior.safetensors"
        shutil.copyfile(weights, target)  # ONNX Runtime refuses external data outside of the model's folder
        path.write_bytes(graph.prior_alone(model, graph.Answers(target, target.name)).SerializeToString())
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(image: Tensor) -> Tensor:
        given = image.permute(0, 2, 3, 1).contiguous().numpy()
        return torch.from_numpy(session.run(["restored"], {"image": given})[0]).permute(0, 3, 1, 2)

    return run
