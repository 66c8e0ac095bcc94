"""UFPNet (Fang et al., "Self-supervised Non-uniform Kernel Estimation with Flow-based Motion Prior for Blind Image
Deblurring", CVPR 2023): DHNet-B's prior.

A code network gives a code per pixel, a flow turns the code into a blur kernel, and the encoder of a NAFNet attends to
those kernels. Parameters are named as in the published checkpoints (Fangzhenxuan/UFPDeblur). Two things differ:
* The authors perturb the codes by noise at test time as well. Here the noise is zero, so that results are repeatable.
* The authors resize the kernels one time more than they use them. The weights of that convolution are kept, but the
  convolution does not run.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.local_pooling import WINDOW
from .flow import KernelPrior
from .nafnet import NAFBlock, NAFNet


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class ResBlock(nn.Module):
    """x + conv3(ReLU(conv3(ReLU(x)))). [N, C, H, W] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.ReLU(), _conv3(channels, channels), nn.ReLU(), _conv3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class CodeEncoder(nn.Module):
    """[N, inputs, H, W] → ([N, outputs, H/2, W/2], the skip [N, outputs, H, W])."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Conv_head = _conv3(inputs, outputs)
        self.ResBlock1 = ResBlock(outputs)
        self.ResBlock2 = ResBlock(outputs)
        self.downsample = nn.Conv2d(outputs, outputs, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = F.relu(self.ResBlock2(self.ResBlock1(self.Conv_head(x))))
        return self.downsample(skip), skip


class CodeMiddle(nn.Module):
    """Five conv3 with ReLU. [N, inputs, H, W] → [N, outputs, H, W]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * 5
        self.body = nn.Sequential(*[layer for a, b in pairwise(widths) for layer in (_conv3(a, b), nn.ReLU())])

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class CodeDecoder(nn.Module):
    """[N, inputs, H/2, W/2] and the skip [N, outputs, H, W] → [N, outputs, H, W], H and W even."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Conv_t = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.Conv_head = _conv3(2 * outputs, outputs)
        self.ResBlock1 = ResBlock(outputs)
        self.ResBlock2 = ResBlock(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.Conv_head(torch.cat([self.Conv_t(x), skip], 1))
        return F.relu(self.ResBlock2(self.ResBlock1(x)))


class CodeHeads(nn.Module):
    """[N, C, H, W] → (code [N, taps, H, W], summing to 1 over the taps; its uncertainty [N, 1, H, W] in [0, 1])."""

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(_conv3(channels, channels), nn.ReLU(), _conv3(channels, taps))
        self.var = nn.Sequential(_conv3(channels, channels), nn.ReLU(), _conv3(channels, taps))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(x).softmax(1), self.var(x).sigmoid().mean(1, keepdim=True)


class CodeNetwork(nn.Module):
    """Image [N, 3, H, W] → code and uncertainty per pixel (see `CodeHeads`). H and W: multiples of 4."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.Encoding_Block1 = CodeEncoder(3, width)
        self.Encoding_Block2 = CodeEncoder(width, 2 * width)
        self.Conv_mid = CodeMiddle(2 * width, 4 * width)
        self.Decoding_Block1 = CodeDecoder(4 * width, 2 * width)
        self.Decoding_Block2 = CodeDecoder(2 * width, width)
        self.Conv_tail = CodeHeads(width, taps)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, skip1 = self.Encoding_Block1(image)
        x, skip2 = self.Encoding_Block2(x)
        x = self.Decoding_Block1(self.Conv_mid(x), skip2)
        return self.Conv_tail(self.Decoding_Block2(x, skip1))


class KernelAttention(nn.Module):
    """x + x1 ⊙ sigmoid(conv3([x1, k])), x1 = GELU(conv3(x)), k from the kernels. [N, C, H, W] → the same."""

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.conv_1 = nn.Sequential(_conv3(channels, channels), nn.GELU())
        self.conv_kernel = nn.Sequential(_conv3(taps, channels), nn.GELU(), _conv3(channels, channels), nn.GELU())
        self.conv_2 = nn.Sequential(_conv3(2 * channels, channels), nn.Sigmoid())

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        y = self.conv_1(x)
        return x + y * self.conv_2(torch.cat([y, self.conv_kernel(kernels)], 1))


class KernelBlock(NAFBlock):
    """NAFBlock whose first residual, but not its sum, reads what the kernel attention returns."""

    def __init__(self, channels: int, taps: int, scale: int, window: int | None) -> None:
        super().__init__(channels, scale, window)
        self.kernel_atttion = KernelAttention(channels, taps)  # the published keys have three t's

    def forward(self, x: Tensor, kernels: Tensor) -> Tensor:
        return self.gated(x + self.spatial(self.kernel_atttion(x, kernels)))


class UFPNet(NAFNet):
    """sRGB [N, 3, H, W] in [0, 1] → the same, clipped as the authors do. H and W: multiples of `pad_multiple`.

    Encoder levels of one block attend to the kernels; the other arguments are NAFNet's.
    size: taps of a kernel along an axis; code_width, hidden: of the code network and the flow.
    """

    def __init__(
        self,
        width: int = 64,
        encoder: tuple[int, ...] = (1, 1, 1, 28),
        middle: int = 1,
        decoder: tuple[int, ...] = (1, 1, 1, 1),
        window: int | None = WINDOW,
        size: int = 19,
        code_width: int = 64,
        hidden: int = 25,
    ) -> None:
        super().__init__(width, encoder, middle, decoder, window)
        taps = size * size
        self.kernel_extra = CodeNetwork(code_width, taps)
        self.flow = KernelPrior(size, hidden=hidden)
        self.kernel_down = nn.ModuleList(nn.Conv2d(taps, taps, 2, stride=2) for _ in encoder)
        for level, (blocks, channels) in enumerate(zip(encoder, self.channels, strict=True)):
            if blocks == 1:
                self.encoders[level] = nn.Sequential(KernelBlock(channels, taps, 2**level, window))

    @torch.no_grad()
    def kernels(self, image: Tensor) -> Tensor:
        """Returns the blur kernel of every pixel, [N, size², H, W], 0 to 1; without gradient, as published."""
        code, sigma = self.kernel_extra(image)
        code = (code - code.mean(1, keepdim=True)) / code.std(1, keepdim=True).clamp_min(1e-12)
        return self.flow.kernels(code * torch.sqrt(1 - sigma**2))

    def encoded(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        kernels, at = self.kernels(image), 0  # `at` counts how often the kernel map was halved
        x, maps = self.intro(image), []
        for level, (encoder, down) in enumerate(zip(self.encoders, self.downs, strict=True)):
            if isinstance(encoder[0], KernelBlock):
                for halving in range(at, level):
                    kernels = self.kernel_down[halving](kernels)
                at = level
                x = encoder[0](x, kernels)
            else:
                x = encoder(x)
            maps.append(x)
            x = down(x)
        return maps, x

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).clamp(0, 1)
