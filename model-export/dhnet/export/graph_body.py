"""Writes DHNet's own layers as an ONNX graph, operator by operator.

What can be folded is folded into the weights, and there is no shape arithmetic:
* PixelUnshuffle(f) + 3×3 convolution = one 3f×3f convolution with stride f;
* the layer norm's scale and shift go into the 1×1 convolution behind it;
* the DDRE's experts stay five depth-wise convolutions, weighted and summed before their pointwise, or, where
  `mixed` asks for it, become one whose kernel is mixed at run time: a seventh faster in WASM, but slower
  natively, which lays known kernels out anew, and for a batch of one only;
* β, γ, the divisions by 255 and the multiplication by 255 go into the neighbouring convolutions.
"""

from functools import partial, reduce

import numpy as np
import torch
from torch import Tensor, nn

from ..network.ddre import DDRE
from ..network.model import DHNet
from ..network.vblock import VBlock, VolterraLayer
from . import graph_priors
from .graph_blocks import expanded, gated, scaled
from .onnx_graph import External, Graph


def _pairs_apart(channels: int) -> list[int]:
    """Order in which pairs (2i, 2i+1) become (i, i+C)."""
    return [2 * i for i in range(channels)] + [2 * i + 1 for i in range(channels)]


def volterra(g: Graph, block: VBlock, x: str) -> str:
    """Eqs (2) and (3): [N, C, H, W] → F_v [N, C, H, W]."""
    c, rank = block.beta.shape[1], block.volterra.rank
    local = block.local
    if not rank:
        order = _pairs_apart(c)
        f = expanded(g, x, block.norm, block.expand, order)
        f = g.conv(f, local.weight[order], local.bias[order], groups=2 * c, pad=1)
        return g.op("Mul", *g.split(f, [c, c]))
    f = expanded(g, x, block.norm, block.expand, slice(None))
    f = g.conv(f, local.weight, local.bias, groups=2 * c, pad=1)
    return products(g, f, block.volterra.filters, c, rank)


def products(g: Graph, f: str, filters: nn.Conv2d, c: int, rank: int) -> str:
    """Eq. (3): all 1+2Q kernels in one convolution, its outputs taken apart by strided slices.

    onnxruntime-web 1.30's WebGPU Conv goes wrong with groups of 5, 6, 7 or 9 outputs: its vectors of four
    then straddle two groups and read the first one's inputs. So a group is filled up with zero kernels to
    a multiple of four, whose outputs nobody reads; `fours` asks for it, as it costs a CPU some per cent.
    """
    count = 1 + 2 * rank
    step = -(-count // 4) * 4 if g.fours and count > 4 else count
    weight, bias = (
        nn.functional.pad(value.reshape(c, count, -1), (0, 0, 0, step - count)).reshape(c * step, *value.shape[1:])
        for value in (filters.weight, filters.bias)
    )
    responses = g.conv(f, weight, bias, groups=c, pad=1)
    parts = [g.op("Slice", responses, g.shape(i), g.shape(step * c), g.shape(1), g.shape(step)) for i in range(count)]
    return second_order(g, parts)


def second_order(g: Graph, parts: list[str]) -> str:
    """First order + Σ of the products of the two factors of every q."""
    total = parts[0]
    for a, b in zip(parts[1::2], parts[2::2], strict=True):
        total = g.op("Add", total, g.op("Mul", a, b))
    return total


def volterra_layer(g: Graph, block: VolterraLayer, x: str) -> str:
    """MR-VNet's block."""
    count, c = 1 + 2 * block.rank, block.filters.weight.shape[1]
    first, *factors = g.split(g.conv(x, block.filters.weight, block.filters.bias, pad=1), [c] * count)
    return second_order(g, [first, *(g.op("Clip", factor, g.scalar(-1), g.scalar(1)) for factor in factors)])


def vblock(g: Graph, block: VBlock, x: str) -> str:
    y = volterra(g, block, x)
    attention = g.conv(g.op("GlobalAveragePool", y), block.attention.weight, block.attention.bias)
    x = g.op("Add", x, scaled(g, g.op("Mul", y, attention), block.project.weight, block.project.bias, block.beta))
    return x if block.ffn is None else gated(g, x, block.ffn.norm, block.ffn.expand, block.ffn.project, block.ffn.gamma)


def ddre(g: Graph, block: DDRE, x: str, prior: str | None) -> str:
    """Eqs (10)–(12)."""
    z = g.conv(g.op("Concat", x, prior, axis=1) if prior else x, block.fuse.weight, block.fuse.bias)
    a = routed(g, block, z)
    # WebGPU (see `products`) takes no more than four outputs to a group: there every router has its own convolutions.
    if block.joined or (g.fours and block.routers > 4):
        y, weight = router_maps(g, block, z, a), by_router(block)
    else:
        y, weight = maps(g, block, z, a), block.pointwise.weight
    out = g.op("Add", x, scaled(g, y, weight, block.pointwise.bias, block.gamma))
    if block.expert_bias is None:
        return out
    bias = (block.expert_bias.double() * block.gamma.double().flatten()).t()[:, :, None, None]
    return g.op("Add", out, g.conv(a, bias, None))


def routed(g: Graph, block: DDRE, z: str) -> str:
    """Eq. (11): the weights a, [N, r·n, 1, 1] or per pixel, router by router."""
    n, r = len(block.sizes), block.routers
    logits = g.conv(z if block.pixel else g.op("GlobalAveragePool", z), block.router.weight, block.router.bias)
    if r == 1:
        return g.op("Softmax", logits, axis=1)
    return g.op("Concat", *[g.op("Softmax", part, axis=1) for part in g.split(logits, [n] * r)], axis=1)


def router_maps(g: Graph, block: DDRE, z: str, a: str) -> str:
    """`maps`, or with "concat" the experts' outputs times their weights, whose channels lie router by router."""
    c, r, n = block.channels, block.routers, len(block.sizes)
    weights, out = g.split(a, [1] * (r * n)), []
    for j, conv in enumerate(block.depthwise):
        for i in range(r):
            y = g.conv(z, conv.weight[i::r], conv.bias[i::r], groups=c, pad=block.sizes[j] // 2)
            if block.experts is not None:
                part = slice((j * r + i) * c, (j * r + i + 1) * c)
                y = g.conv(y, block.experts.weight[part], block.experts.bias[part])
            out.append(g.op("Mul", y, weights[i * n + j]))
    if block.shared:
        out = [reduce(partial(g.op, "Add"), out[i::r]) for i in range(r)]
    return g.op("Concat", *out, axis=1)


def by_router(block: DDRE) -> Tensor:
    """The pointwise kernels for `router_maps`."""
    weight, c, r = block.pointwise.weight, block.channels, block.routers
    if block.joined:
        return weight
    return weight.reshape(c, -1, c, r).transpose(2, 3).reshape(weight.shape)


def maps(g: Graph, block: DDRE, z: str, a: str) -> str:
    """Every expert's depth-wise maps times its weight: joined, or summed if the pointwise is shared."""
    c, r, n = block.channels, block.routers, len(block.sizes)
    if g.mixed and mixable(block):
        return mixture(g, block, z, a)
    out = []
    for j, conv in enumerate(block.depthwise):
        y = g.conv(z, conv.weight, conv.bias, groups=c, pad=block.sizes[j] // 2)
        spread = np.zeros((c * r, r * n, 1, 1))  # map c·r+i takes the weight of router i, expert j
        for i in range(r):
            spread[i::r, i * n + j] = 1
        out.append(g.op("Mul", y, g.op("Conv", a, g.weight(spread), kernel_shape=[1, 1])))
    if not block.shared:
        return g.op("Concat", *out, axis=1)
    total = out[0]
    for y in out[1:]:
        total = g.op("Add", total, y)
    return total


def mixable(block: DDRE) -> bool:
    """Whether the weighted sum of the experts is one depth-wise convolution: they share router and pointwise."""
    return block.shared and block.routers == 1 and not block.pixel


def mixture(g: Graph, block: DDRE, z: str, a: str) -> str:
    """The experts of one picture as one convolution: Σ aⱼ·(Kⱼ * z + bⱼ) = (Σ aⱼ·Kⱼ) * z + Σ aⱼ·bⱼ."""
    c, n, k = block.channels, len(block.sizes), max(block.sizes)
    kernels = [nn.functional.pad(conv.weight, [(k - conv.weight.shape[-1]) // 2] * 4) for conv in block.depthwise]
    row = g.op("Reshape", a, g.shape(1, n))
    kernel = g.op("Reshape", g.op("MatMul", row, g.weight(torch.stack(kernels).flatten(1))), g.shape(c, 1, k, k))
    bias = g.op("Reshape", g.op("MatMul", row, g.weight(torch.stack([v.bias for v in block.depthwise]))), g.shape(c))
    return g.op("Conv", z, kernel, bias, group=c, kernel_shape=[k, k], pads=[k // 2] * 4)


def layer(g: Graph, block: nn.Module, x: str, prior: str | None = None) -> str:
    if isinstance(block, DDRE):
        return ddre(g, block, x, prior)
    return vblock(g, block, x) if isinstance(block, VBlock) else volterra_layer(g, block, x)


def folded_intro(model: DHNet) -> Tensor:
    """PixelUnshuffle(f) and the 3×3 convolution after it as one kernel [w, 3, 3f, 3f] with stride f."""
    f, weight = model.config.unshuffle, model.intro.weight.double()
    w = weight.shape[0]
    return weight.reshape(w, 3, f, f, 3, 3).permute(0, 1, 4, 2, 5, 3).reshape(w, 3, 3 * f, 3 * f)


def residual(g: Graph, model: DHNet, image: str, white: float, external: External | None) -> str:
    """Picture [N, 3, H, W] in 0…`white` → what is added to it, in the same range."""
    levels = len(model.encoders)
    above, below = [None] * levels, [None] * levels  # the prior's maps in the encoder and in the decoder
    if model.prior:
        with g.beside(external):
            above, below = graph_priors.features(g, model.prior.network, image, white)
    x = last_map(g, model, image, white, above, below)
    return unfolded(g, model, g.conv(x, model.ending.weight * white, model.ending.bias * white, pad=1))


def last_map(g: Graph, model: DHNet, image: str, white: float, above: list[str | None], below: list[str | None]) -> str:
    """Picture [N, 3, H, W] in 0…`white` and the prior's maps → the last decoder's map."""
    f = model.config.unshuffle
    x = g.conv(image, folded_intro(model) / white, model.intro.bias, stride=f, pad=f)
    skips = []
    for encoder, down, prior in zip(model.encoders, model.downs, above, strict=True):
        for block in encoder:
            x = layer(g, block, x, prior)
        skips.append(x)
        x = g.conv(x, down.weight, down.bias, stride=2)
    for block in model.middle:
        x = layer(g, block, x)
    for up, decoder, skip, prior in zip(model.ups, model.decoders, reversed(skips), below, strict=True):
        x = g.op("DepthToSpace", g.conv(x, up.weight, None), blocksize=2, mode="CRD")
        x = g.op("Add", x, skip)
        for block in decoder:
            x = layer(g, block, x, prior)
    return x


def unfolded(g: Graph, model: DHNet, x: str) -> str:
    """PixelShuffle to the picture's size."""
    f = model.config.unshuffle
    return g.op("DepthToSpace", x, blocksize=f, mode="CRD") if f > 1 else x
