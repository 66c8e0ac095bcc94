"""Writes MAXIM's stages as an ONNX graph.

Weights that nothing stands between are multiplied when the runtime loads the model: the 1×1 convolution that joins
maps goes into whatever makes each of them, that is the input convolutions, the 4×4 and the transposed convolutions, and
the resized maps, which it reduces before they are enlarged.
"""

from typing import NamedTuple

import numpy as np
from onnx import numpy_helper
from torch import nn

from ..priors.maxim import SIZES, Maxim
from ..priors.maxim_blocks import LEVELS, EncoderBlock
from .graph_maxim_blocks import Blocks, Level
from .onnx_graph import HALF, Graph
from .stored_weights import Stored, Weight, joined


def triangle(factor: int) -> np.ndarray:
    """The kernel [2·factor] of bilinear reduction with anti-aliasing."""
    taps = 1 - np.abs(np.arange(2 * factor) - factor + 0.5) / factor
    return taps / taps.sum()


class Resized:
    """Brings maps of the three levels to each other's size, as UpSampleRatio does, and joins them."""

    def __init__(self, blocks: Blocks, model: Maxim, levels: list[Level]) -> None:
        self.blocks, self.model, self.levels = blocks, model, levels
        self.g = blocks.g
        self.coverage: dict[tuple[int, int], str] = {}

    def reduced(self, x: str, channels: int, source: int, target: int) -> str:
        """Bilinear with anti-aliasing: weights that lie outside of the map are left out, the others sum to 1."""
        g, factor = self.g, 2 ** (target - source)
        kernel = np.outer(triangle(factor), triangle(factor))[None, None]
        if (source, target) not in self.coverage:
            kind = np.float16 if g.kind == HALF else np.float32
            one = numpy_helper.from_array(np.ones(1, kind))
            ones = g.op("ConstantOfShape", self.levels[source].plane, value=one)
            self.coverage[source, target] = self._convolved(ones, kernel, factor)
        y = self._convolved(self.levels[source].planar(x), np.repeat(kernel, channels, 0), factor)
        return self.levels[target].flat(g.op("Div", y, self.coverage[source, target]))

    def _convolved(self, x: str, kernel: np.ndarray, factor: int) -> str:
        k = kernel.shape[-1]
        options = {"group": len(kernel), "kernel_shape": [k, k], "strides": [factor] * 2, "pads": [factor // 2] * 4}
        return self.g.op("Conv", x, self.g.weight(kernel), **options)

    def joined(self, maps: dict[int, str], first: int, weight: Weight, target: int) -> str:
        """weight [C, Σ C_i] times the joined maps, each brought to level `target`; no bias.

        maps: by level, in the order of joining; UpSampleRatio number `first` and those after it are theirs.
        """
        g, total, above = self.g, None, None
        for order, (source, x) in enumerate(maps.items()):
            own, _ = self.blocks.stored.of(self.ratio(first + order))
            x = x if source >= target else self.reduced(x, own.shape[1], source, target)
            y = self.blocks.dense(x, weight.parts(1, LEVELS)[order] @ own.flat())
            if source > target:
                factor = 2 ** (source - target)
                scale = g.constant(np.array([1, 1, factor, factor], np.float32))
                y = g.op("Resize", self.levels[source].planar(y), "", scale, mode="linear")
                above = y if above is None else g.op("Add", above, y)
            else:
                total = y if total is None else g.op("Add", total, y)
        return total if above is None else g.op("Add", total, self.levels[target].flat(above))

    def bias(self, first: int, weight: Weight, bias: Weight) -> Weight:
        """What the biases of `joined` and `bias` come to."""
        own = joined([self.blocks.stored.of(self.ratio(first + i))[1] for i in range(LEVELS)])
        return weight @ own + bias

    def ratio(self, number: int) -> nn.Module:
        return self.model.get_submodule(f"UpSampleRatio_{number}").Conv_0


class Kept(NamedTuple):
    """Maps of one stage that the next one reads, by level."""

    features: dict[int, str]
    encoder: list[str]
    decoder: dict[int, str]


class Stages:
    """Writes the stages of a network: picture [N, 3, H, W] in 0…1 → restored pictures, [N, 3, H, W] each."""

    def __init__(self, g: Graph, model: Maxim, stored: Stored, image: str) -> None:
        """image: in what the graph computes in. stored: weights of `model`."""
        self.g, self.model, self.stored, self.blocks = g, model, stored, Blocks(g, stored)
        self.levels = [Level(g, image, 2**i, size) for i, size in enumerate((*SIZES, SIZES[-1]))]
        self.resized = Resized(self.blocks, model, self.levels)
        self.pictures = [image] + [
            g.op("Slice", image, g.shape(i, i), g.shape(2**31, 2**31), g.shape(2, 3), g.shape(2 * i, 2 * i))
            for i in (1, 2)
        ]

    def all(self) -> list[str]:
        """The restored picture of every stage."""
        out, earlier = [], None
        for s in range(self.model.stages):
            restored, earlier = self.stage(s, earlier)
            out.append(restored)
        return out

    def part(self, s: int, name: str) -> nn.Module:
        return self.model.get_submodule(f"stage_{s}_{name}")

    def stage(self, s: int, earlier: Kept | None) -> tuple[str, Kept]:
        encoded, bottom = self.encoder(s, earlier)
        skips = self.skips(s, encoded, bottom)
        return self.decoder(s, skips, bottom, encoded)

    def encoder(self, s: int, earlier: Kept | None) -> tuple[list[str], str]:
        """The encoders' maps, and the bottleneck's."""
        blocks, maps, below = self.blocks, [], None
        for i, level in enumerate(self.levels[:LEVELS]):
            block = self.part(s, f"encoder_block_{i}")
            x = blocks.encoded(self.entered(s, i, block, below, earlier), block, level)
            if earlier:
                gate = block.cross_gating_block
                known = self.g.op("Add", earlier.encoder[i], earlier.decoder[i])
                x, _ = blocks.cross_gated(blocks.linear(x, gate.Conv_0), blocks.linear(known, gate.Conv_1), gate, level)
            maps.append(x)
            below = level.planar(x)
        first, second = (self.part(s, f"global_block_{i}") for i in range(2))
        weight, bias = self.stored.of(first.input_proj)
        x = self.levels[LEVELS].flat(self.halved(below, block.Conv_1, weight.flat(), bias))
        x = blocks.bottleneck(x, first, self.levels[LEVELS])
        return maps, blocks.bottleneck(blocks.linear(x, second.input_proj), second, self.levels[LEVELS])

    def entered(self, s: int, i: int, block: EncoderBlock, below: str | None, earlier: Kept | None) -> str:
        """The map of an encoder's first 1×1 convolution, of the map from above joined with the level's input."""
        level, (weight, bias) = self.levels[i], self.stored.of(block.Conv_0)
        intro, shift = self.stored.of(self.part(s, f"input_conv_{i}"))
        channels, weight = intro.shape[0], weight.flat()
        split = weight.shape[1] - channels
        inner, own = weight.part(1, 0, split), weight.part(1, split, weight.shape[1])
        if below is None:  # the first level joins its input with itself
            own = own + inner
        if earlier is None:
            x = self.blocks.conv(self.pictures[i], intro.before(own), own @ shift + bias, pad=1)
        else:
            x = self.blocks.dense(self.fused(s, i, earlier), own, bias)
        if below is not None:
            y = self.halved(below, self.part(s, f"encoder_block_{i - 1}").Conv_1, inner)
            x = self.g.op("Add", y if earlier is None else level.flat(y), x)
        return level.flat(x) if earlier is None else x

    def fused(self, s: int, i: int, earlier: Kept) -> str:
        """A level's input from stage 1 on: the picture's map, gated by the features of the stage before."""
        fuse, level = self.part(s, f"input_fuse_sam_{i}"), self.levels[i]
        intro, shift = self.stored.of(self.part(s, f"input_conv_{i}"))
        weight, bias = self.stored.of(fuse.Conv_0)
        kept = self.blocks.conv(self.pictures[i], intro.before(weight.flat()), weight.flat() @ shift + bias, pad=1)
        known = self.blocks.linear(earlier.features[i], fuse.Conv_1)
        return self.blocks.cross_gated(level.flat(kept), known, fuse, level)[0]

    def halved(self, below: str, conv: nn.Conv2d, pointwise: Weight, more: Weight | None = None) -> str:
        """The 4×4 convolution with stride 2 of a planar map, and a 1×1 convolution after it."""
        weight, bias = self.stored.of(conv)
        total = pointwise @ bias if more is None else pointwise @ bias + more
        return self.blocks.conv(below, weight.before(pointwise), total, stride=2, pad=1)

    def skips(self, s: int, maps: list[str], bottom: str) -> dict[int, str]:
        """The skips by level, in the order in which they are made."""
        out, y, below = {}, bottom, self.levels[LEVELS]
        for order, i in enumerate(reversed(range(LEVELS))):
            block, first = self.part(s, f"cross_gating_block_{i}"), 18 * s + 3 * order
            weight, bias = self.stored.of(block.Conv_0)
            x = self.resized.joined(dict(enumerate(maps)), first, weight.flat(), i)
            x = self.g.op("Add", x, self.resized.bias(first, weight.flat(), bias).used())
            weight, bias = self.stored.of(block.Conv_1)
            kernel, shift = self.upward(block.ConvTranspose_0, weight.flat())
            kept = self.blocks.enlarged(y, kernel, shift + bias, below, self.levels[i])
            out[i], y = self.blocks.cross_gated(x, kept, block, self.levels[i])
            below = self.levels[i]
        return out

    def decoder(self, s: int, skips: dict[int, str], x: str, encoder: list[str]) -> tuple[str, Kept]:
        below, features, decoder = self.levels[LEVELS], {}, {}
        more = s + 1 < self.model.stages
        for order, i in enumerate(reversed(range(LEVELS))):
            block, level, first = self.part(s, f"decoder_block_{i}"), self.levels[i], 18 * s + 9 + 3 * order
            weight, bias = self.stored.of(block.UNetEncoderBlock_0.Conv_0)
            weight, c = weight.flat(), weight.shape[0]
            own, rest = weight.part(1, 0, c), weight.part(1, c, weight.shape[1])
            kernel, shift = self.upward(block.ConvTranspose_0, own)
            x = self.blocks.enlarged(x, kernel, shift + self.resized.bias(first, rest, bias), below, level)
            x = self.g.op("Add", x, self.resized.joined(skips, first, rest, i))
            x = decoder[i] = self.blocks.encoded(x, block.UNetEncoderBlock_0, level)
            below = level
            if i == 0 or (more and s < 2):
                restored, features[i] = self.attended(s, i, x, more)
        return restored, Kept(features, encoder, decoder)

    def upward(self, up: nn.ConvTranspose2d, pointwise: Weight) -> tuple[Weight, Weight]:
        """A transposed convolution and the 1×1 convolution after it as one, the latter without its bias."""
        weight, bias = self.stored.of(up)
        inputs, out, *_ = weight.shape
        by_place = weight.permute(0, 2, 3, 1).reshape(inputs * 4, out) @ pointwise.permute(1, 0)
        return by_place.reshape(inputs, 2, 2, pointwise.shape[0]).permute(0, 3, 1, 2), pointwise @ bias

    def attended(self, s: int, i: int, x: str, more: bool) -> tuple[str, str]:
        """SAM, or the last convolution: the level's restored picture, and the features for the next stage, if any."""
        g, level, planar, of = self.g, self.levels[i], self.levels[i].planar(x), self.stored.of
        if s == 2:
            return self.added(self.blocks.conv(planar, *of(self.part(s, "output_conv_0")), pad=1), i), ""
        module = self.part(s, f"supervised_attention_module_{i}")
        restored = self.added(self.blocks.conv(planar, *of(module.Conv_1), pad=1), i)
        if not more:
            return restored, ""
        gate = g.op("Sigmoid", self.blocks.conv(restored, *of(module.Conv_2), pad=1))
        y = g.op("Mul", self.blocks.conv(planar, *of(module.Conv_0), pad=1), gate)
        return restored, g.op("Add", level.flat(y), x)

    def added(self, residual: str, i: int) -> str:
        return self.g.op("Add", residual, self.pictures[i])
