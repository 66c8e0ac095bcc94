"""Optional fused CPU kernels for training, compiled with the C compiler at first use.

The kernels compute the same as the PyTorch code in `vblock.py` and `ddre.py`, several times faster on a CPU with
512-bit vectors. They are optional: without a compiler `available()` is False and the PyTorch code runs. Exported graphs
never use the kernels. On a CPU the network in PyTorch uses them, in training or not, unless `DHNET_NATIVE=0`.
"""

import ctypes
import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("kernels.c")
LANES = 16  # channels that a kernel filters at once
FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]


@cache
def library() -> ctypes.CDLL | None:
    """Returns the compiled kernels, or None where they cannot be built."""
    text = SOURCE.read_bytes()
    digest = hashlib.sha256(text + " ".join(FLAGS).encode()).hexdigest()[:16]
    # In a shared temporary folder anyone could have put a library of that name; beside the source nobody can.
    built = SOURCE.with_name(f"kernels-{digest}.so")
    if not built.exists():
        partial = built.with_suffix(f".{os.getpid()}")
        command = [os.environ.get("CC", "cc"), *FLAGS, str(SOURCE), "-o", str(partial)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        partial.replace(built)
    return ctypes.CDLL(str(built))


def available() -> bool:
    """Returns True where there is a compiler and the kernels are not switched off."""
    return os.environ.get("DHNET_NATIVE", "1") != "0" and library() is not None


@contextmanager
def switched(wanted: bool) -> Iterator[None]:
    """Switches the native kernels on or off inside a `with` block."""
    before = os.environ.get("DHNET_NATIVE")
    os.environ["DHNET_NATIVE"] = str(int(wanted))
    try:
        yield
    finally:
        if before is None:
            del os.environ["DHNET_NATIVE"]
        else:
            os.environ["DHNET_NATIVE"] = before


def usable(channels: int, tensor: torch.Tensor) -> bool:
    """Returns True if the kernels can filter a map with `channels` channels."""
    kinds = (torch.float32, torch.bfloat16)
    return tensor.device.type == "cpu" and channels % LANES == 0 and tensor.dtype in kinds and available()


def _nhwc(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _at(x: torch.Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.data_ptr())


def _lanes(weight: torch.Tensor) -> torch.Tensor:
    """[..., C, K] → [..., C/16, K, 16] float32, the layout of the kernels."""
    *head, channels, taps = weight.shape
    return weight.float().reshape(*head, channels // LANES, LANES, taps).transpose(-1, -2).contiguous()


def _unlanes(weight: torch.Tensor) -> torch.Tensor:
    """The inverse of `_lanes`."""
    *head, blocks, taps, lanes = weight.shape
    return weight.transpose(-1, -2).reshape(*head, blocks * lanes, taps)


class _Volterra(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f, weight, bias):
        f = _nhwc(f)
        n, twice, h, w = f.shape
        c = twice // 2
        # [9C, 2, 3, 3], grouped per channel → [C, (tap, half, response)]
        packed = _lanes(weight.detach().reshape(c, 9, 2, 9).permute(0, 3, 2, 1).reshape(c, 162))
        offset = _lanes(bias.detach().reshape(c, 9))
        out = torch.empty((n, c, h, w), dtype=f.dtype, memory_format=torch.channels_last)
        half = int(f.dtype == torch.bfloat16)
        library().volterra_forward(_at(f), _at(packed), _at(offset), _at(out), n, c, h, w, half)
        ctx.save_for_backward(f, packed, offset)
        return out

    @staticmethod
    def backward(ctx, grad):
        f, packed, offset = ctx.saved_tensors
        n, twice, h, w = f.shape
        c = twice // 2
        grad = _nhwc(grad.to(f.dtype))
        threads = max(torch.get_num_threads(), int(os.environ.get("OMP_NUM_THREADS", 0) or 0), os.cpu_count() or 1)
        gf = torch.empty_like(f)
        gw = torch.zeros((threads, *packed.shape))
        gb = torch.zeros((threads, *offset.shape))
        half = int(f.dtype == torch.bfloat16)
        library().volterra_backward(
            _at(f), _at(packed), _at(offset), _at(grad), _at(gf), _at(gw), _at(gb), n, c, h, w, half
        )
        weight = _unlanes(gw.sum(0)).reshape(c, 9, 2, 9).permute(0, 3, 2, 1).reshape(9 * c, 2, 3, 3)
        return gf, weight, _unlanes(gb.sum(0)).reshape(9 * c)


class _Routed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kernel):
        x = _nhwc(x)
        n, c, h, w = x.shape
        packed = _lanes(kernel.detach().reshape(n, c, 81))
        out = torch.empty_like(x)
        library().routed_forward(_at(x), _at(packed), _at(out), n, c, h, w, 0, int(x.dtype == torch.bfloat16))
        ctx.save_for_backward(x, packed)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, packed = ctx.saved_tensors
        n, c, h, w = x.shape
        grad = _nhwc(grad.to(x.dtype))
        gx, gw = torch.empty_like(x), torch.empty_like(packed)
        half = int(x.dtype == torch.bfloat16)
        library().routed_forward(_at(grad), _at(packed), _at(gx), n, c, h, w, 1, half)
        library().routed_weight_gradient(_at(x), _at(grad), _at(gw), n, c, h, w, half)
        return gx, _unlanes(gw).reshape(n, c, 9, 9)


def volterra(f: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Eq. (3) with Q = 4. f: [N, 2C, H, W] with the channel pairs (i, i+C); weight: [9C, 2, 3, 3]; → [N, C, H, W]."""
    return _Volterra.apply(f, weight, bias)


def routed(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Depth-wise 9×9 convolution, one kernel per image. x: [N, C, H, W]; kernel: [N, C, 9, 9]; → [N, C, H, W]."""
    return _Routed.apply(x, kernel)
