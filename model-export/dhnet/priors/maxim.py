"""MAXIM (Tu et al., "MAXIM: Multi-Axis MLP for Image Processing", CVPR 2022), the multi-stage restoration network.

Modules carry the names of Flax's scopes in the published network, so that `maxim_package` finds every weight by the
name of its module. Its blocks are in `maxim_blocks.py`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import PRIOR_MULTIPLE
from .maxim_blocks import LEVELS, Bottleneck, Conv, CrossGatingBlock, DecoderBlock, EncoderBlock

WIDTH = 32
SIZES = (16, 16, 8)  # windows of the levels; the bottleneck's are 8


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with half-pixel centres, anti-aliased where it shrinks. [N, H, W, C] → [N, h, w, C]."""
    y = x.permute(0, 3, 1, 2)
    return F.interpolate(y, size, mode="bilinear", antialias=True, align_corners=False).permute(0, 2, 3, 1)


class UpSampleRatio(nn.Module):
    """A map brought to another level: bilinear with anti-aliasing, then 1×1. [N, H, W, inputs] → [N, h, w, C]."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.Conv_0 = Conv(inputs, channels, 1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self.Conv_0(x if x.shape[1:3] == size else resized(x, size))


class Attended(NamedTuple):
    """What a supervised attention module gives."""

    picture: Tensor  # restored, [N, H, W, 3]
    features: Tensor  # for the next stage, [N, H, W, C]


class SupervisedAttention(nn.Module):
    """SAM: the restored picture of a level, and features that it has gated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = Conv(channels, channels, 3, padding=1)
        self.Conv_1 = Conv(channels, 3, 3, padding=1)
        self.Conv_2 = Conv(3, channels, 3, padding=1)

    def forward(self, x: Tensor, picture: Tensor) -> Attended:
        """x [N, H, W, C] and the input picture of that level, [N, H, W, 3]."""
        restored = self.Conv_1(x) + picture
        return Attended(restored, self.Conv_0(x) * self.Conv_2(restored).sigmoid() + x)


class Kept(NamedTuple):
    """Maps of one stage that the next one reads, by level."""

    features: list[Tensor]
    encoder: list[Tensor]
    decoder: list[Tensor]


class Maxim(nn.Module):
    """sRGB [N, 3, H, W] in [0, 1] → the same, not clipped. H and W: multiples of `pad_multiple`.

    stages: 1 to 3. With fewer than the published three, the output is that of the last one's supervised attention.
    """

    def __init__(self, stages: int = 3) -> None:
        super().__init__()
        self.stages, self.pad_multiple = stages, PRIOR_MULTIPLE
        channels = [WIDTH * 2**i for i in range(LEVELS)]
        for s in range(stages):
            last = s == 2
            for i, (c, size) in enumerate(zip(channels, SIZES, strict=True)):
                self.add_module(f"stage_{s}_input_conv_{i}", Conv(3, c, 3, padding=1))
                if s:
                    self.add_module(f"stage_{s}_input_fuse_sam_{i}", CrossGatingBlock(c, c, size))
                below = channels[i - 1] if i else c
                encoder = EncoderBlock(below + c, c, size, gated=s > 0, halved=True)
                self.add_module(f"stage_{s}_encoder_block_{i}", encoder)
                under = channels[min(i + 1, LEVELS - 1)]
                self.add_module(f"stage_{s}_cross_gating_block_{i}", CrossGatingBlock(LEVELS * c, c, size, below=under))
                self.add_module(f"stage_{s}_decoder_block_{i}", DecoderBlock(under, c, size))
                if not last:
                    self.add_module(f"stage_{s}_supervised_attention_module_{i}", SupervisedAttention(c))
            for i in range(2):
                self.add_module(f"stage_{s}_global_block_{i}", Bottleneck(channels[-1], SIZES[-1]))
            if last:
                self.add_module(f"stage_{s}_output_conv_0", Conv(WIDTH, 3, 3, padding=1))
            numbers = iter(range(18 * s, 18 * (s + 1)))
            for sources in (channels, channels[::-1]):
                for target in channels[::-1]:
                    for source in sources:
                        self.add_module(f"UpSampleRatio_{next(numbers)}", UpSampleRatio(source, target))

    def forward(self, image: Tensor) -> Tensor:
        return self.each(image)[-1]

    def each(self, image: Tensor) -> list[Tensor]:
        """The restored pictures of all stages, [N, 3, H, W] each."""
        full = image.permute(0, 2, 3, 1).contiguous()
        pictures = [full, full[:, 1::2, 1::2], full[:, 2::4, 2::4]]
        out, kept = [], None
        for s in range(self.stages):
            restored, kept = self.stage(s, pictures, kept)
            out.append(restored.permute(0, 3, 1, 2))
        return out

    def stage(self, s: int, pictures: list[Tensor], earlier: Kept | None) -> tuple[Tensor, Kept]:
        """Stage `s`: input pictures by level and the maps of the stage before → restored picture, own maps."""

        def part(name: str) -> nn.Module:
            return self.get_submodule(f"stage_{s}_{name}")

        sizes = [tuple(p.shape[1:3]) for p in pictures]
        inputs = [part(f"input_conv_{i}")(p) for i, p in enumerate(pictures)]
        if earlier:
            inputs = [part(f"input_fuse_sam_{i}")(x, earlier.features[i]).x for i, x in enumerate(inputs)]
        encoded, x = [], inputs[0]
        for i, skip in enumerate(inputs):
            block = part(f"encoder_block_{i}")
            known = earlier.encoder[i] + earlier.decoder[i] if earlier else None
            encoded.append(block(torch.cat([x, skip], -1), known))
            x = block.Conv_1(encoded[-1])
        for i in range(2):
            x = part(f"global_block_{i}")(x)
        bottleneck, skips, below = x, [], x
        for i in reversed(range(LEVELS)):
            joined = self.joined(18 * s + 3 * (LEVELS - 1 - i), encoded, sizes[i])
            skip, below = part(f"cross_gating_block_{i}")(joined, below)
            skips.append(skip)
        x, decoded, attended = bottleneck, {}, {}
        for i in reversed(range(LEVELS)):
            joined = self.joined(18 * s + 9 + 3 * (LEVELS - 1 - i), skips, sizes[i])
            x = decoded[i] = part(f"decoder_block_{i}")(x, joined)
            if s < 2:
                attended[i] = part(f"supervised_attention_module_{i}")(x, pictures[i])
        restored = attended[0].picture if s < 2 else part("output_conv_0")(x) + pictures[0]
        levels = range(LEVELS if attended else 0)
        return restored, Kept([attended[i].features for i in levels], encoded, [decoded[i] for i in levels])

    def joined(self, first: int, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The maps brought to `size` by UpSampleRatio number `first` and those after it, joined."""
        return torch.cat([getattr(self, f"UpSampleRatio_{first + i}")(x, size) for i, x in enumerate(maps)], -1)
