"""Writes NAFNet and UFPNet as parts of an ONNX graph: as DHNet-B's prior, or as a baseline by itself."""

import torch
from torch import nn

from ..priors import NAFNet, UFPNet
from ..priors.flow import KernelPrior, Normalisation
from ..priors.nafnet import NAFBlock
from ..priors.ufpnet import CodeNetwork, KernelAttention, KernelBlock, ResBlock
from .graph_blocks import expanded, gated, scaled
from .onnx_graph import HALF, External, Graph


def residual(g: Graph, model: NAFNet, image: str, white: float, external: External | None) -> str:
    """Adds the network for a picture [N, 3, H, W] in 0…`white`; returns the residual in the same range."""
    _, maps = features(g, model, image, white)
    return g.conv(maps[-1], model.ending.weight * white, model.ending.bias * white, pad=1)


def features(g: Graph, model: NAFNet, image: str, white: float) -> tuple[list[str], list[str]]:
    """Picture [N, 3, H, W] in 0…`white` → names of e1..e4 and of d4..d1."""
    kernels, at = kernel_map(g, model, image, white) if isinstance(model, UFPNet) else "", 0
    x, encoded, decoded = g.conv(image, model.intro.weight / white, model.intro.bias, pad=1), [], []
    for level, (encoder, down) in enumerate(zip(model.encoders, model.downs, strict=True)):
        if isinstance(encoder[0], KernelBlock):
            for halving in model.kernel_down[at:level]:
                kernels = g.conv(kernels, halving.weight, halving.bias, stride=2)
            at = level
        for block in encoder:
            x = nafblock(g, block, x, kernels)
        encoded.append(x)
        x = g.conv(x, down.weight, down.bias, stride=2)
    for block in model.middle_blks:
        x = nafblock(g, block, x)
    for up, decoder, skip in zip(model.ups, model.decoders, reversed(encoded), strict=True):
        x = g.op("Add", g.op("DepthToSpace", g.conv(x, up[0].weight, None), blocksize=2, mode="CRD"), skip)
        for block in decoder:
            x = nafblock(g, block, x)
        decoded.append(x)
    return encoded, decoded


def nafblock(g: Graph, block: NAFBlock, x: str, kernels: str = "") -> str:
    """Adds a NAFBlock, or UFPNet's block, whose first residual reads the kernels as well."""
    c = block.beta.shape[1]
    y = attended(g, block.kernel_atttion, x, kernels) if isinstance(block, KernelBlock) else x
    y = expanded(g, y, block.norm1, block.conv1, slice(None))
    y = g.conv(y, block.conv2.weight, block.conv2.bias, groups=2 * c, pad=1)
    y = g.op("Mul", *g.split(y, [c, c]))
    attention = g.conv(g.op("GlobalAveragePool", y), block.sca[1].weight, block.sca[1].bias)
    x = g.op("Add", x, scaled(g, g.op("Mul", y, attention), block.conv3.weight, block.conv3.bias, block.beta))
    return gated(g, x, block.norm2, block.conv4, block.conv5, block.gamma)


def conv3(g: Graph, conv: nn.Conv2d, x: str) -> str:
    return g.conv(x, conv.weight, conv.bias, stride=conv.stride[0], pad=1)


def gelu(g: Graph, x: str) -> str:
    """x/2 · (1 + erf(x/√2))."""
    error = g.op("Erf", g.op("Mul", x, g.scalar(0.5**0.5)))
    return g.op("Mul", g.op("Mul", x, g.scalar(0.5)), g.op("Add", error, g.scalar(1)))


def attended(g: Graph, block: KernelAttention, x: str, kernels: str) -> str:
    """x + x1 ⊙ sigmoid(conv3([x1, k]))."""
    y = gelu(g, conv3(g, block.conv_1[0], x))
    k = gelu(g, conv3(g, block.conv_kernel[2], gelu(g, conv3(g, block.conv_kernel[0], kernels))))
    gate = g.op("Sigmoid", conv3(g, block.conv_2[0], g.op("Concat", y, k, axis=1)))
    return g.op("Add", x, g.op("Mul", y, gate))


def kernel_map(g: Graph, model: UFPNet, image: str, white: float) -> str:
    """Adds the networks that return the blur kernel of every pixel, [N, size², H, W]."""
    code, sigma = code_network(g, model.kernel_extra, image, white)
    taps = model.kernel_extra.Conv_tail.mean[2].weight.shape[0]
    half = g.kind == HALF
    with g.single():
        code, sigma = (g.cast(x) if half else x for x in (code, sigma))
        centred = g.op("Sub", code, g.op("ReduceMean", code, axes=[1], keepdims=1))
        energy = g.op("Mul", g.op("ReduceSumSquare", centred, axes=[1], keepdims=1), g.scalar(1 / (taps - 1)))
        spread = g.op("Clip", g.op("Sqrt", energy), g.scalar(1e-12))
        certain = g.op("Sqrt", g.op("Sub", g.scalar(1), g.op("Mul", sigma, sigma)))
        kernels = flow(g, model.flow, g.op("Mul", g.op("Div", centred, spread), certain))
    return g.cast(kernels) if half else kernels


def code_network(g: Graph, net: CodeNetwork, image: str, white: float) -> tuple[str, str]:
    """Picture → the code of every pixel and its uncertainty."""

    def blocks(part: nn.Module, x: str) -> str:
        for block in (part.ResBlock1, part.ResBlock2):
            x = resblock(g, block, x)
        return g.op("Relu", x)

    head = net.Encoding_Block1.Conv_head
    skip1 = blocks(net.Encoding_Block1, g.conv(image, head.weight / white, head.bias, pad=1))
    x = conv3(g, net.Encoding_Block1.downsample, skip1)
    skip2 = blocks(net.Encoding_Block2, conv3(g, net.Encoding_Block2.Conv_head, x))
    x = conv3(g, net.Encoding_Block2.downsample, skip2)
    for conv in net.Conv_mid.body[::2]:
        x = g.op("Relu", conv3(g, conv, x))
    for part, skip in ((net.Decoding_Block1, skip2), (net.Decoding_Block2, skip1)):
        weights = g.weight(part.Conv_t.weight), g.weight(part.Conv_t.bias)
        shape = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}
        x = g.op("Concat", g.op("ConvTranspose", x, *weights, **shape), skip, axis=1)
        x = blocks(part, conv3(g, part.Conv_head, x))
    mean, var = (conv3(g, h[2], g.op("Relu", conv3(g, h[0], x))) for h in (net.Conv_tail.mean, net.Conv_tail.var))
    return g.op("Softmax", mean, axis=1), g.op("ReduceMean", g.op("Sigmoid", var), axes=[1], keepdims=1)


def resblock(g: Graph, block: ResBlock, x: str) -> str:
    y = conv3(g, block.body[1], g.op("Relu", x))
    return g.op("Add", x, conv3(g, block.body[3], g.op("Relu", y)))


def flow(g: Graph, prior: KernelPrior, code: str) -> str:
    """Codes → kernels, the flow backwards.

    A coupling leaves the masked half as it is: with the mask in the first layers of its networks and 1 − mask in the
    last, u ⊙ exp(s) + t leaves it by itself.
    """
    x = code
    for layer in reversed(prior.net):
        if isinstance(layer, Normalisation):
            gain = torch.exp(-layer.log_gamma) * torch.sqrt(layer.running_var + 1e-5)
            x = affine(g, x, gain, layer.running_mean - layer.beta * gain)
        else:
            scale, shift = (
                mlp(g, net, x, layer.mask, act) for net, act in ((layer.s_net, "Tanh"), (layer.t_net, "Relu"))
            )
            x = g.op("Add", g.op("Mul", x, g.op("Exp", scale)), shift)
    gain = prior.normalization / (1 - 2 * prior.alpha)
    return affine(g, g.op("Sigmoid", x), gain, -prior.alpha * gain)


def affine(g: Graph, x: str, gain: torch.Tensor, shift: torch.Tensor) -> str:
    """gain ⊙ x + shift, per channel."""
    return g.op("Add", g.op("Mul", x, g.weight(gain[:, None, None])), g.weight(shift[:, None, None]))


def mlp(g: Graph, layers: nn.Sequential, x: str, mask: torch.Tensor, act: str) -> str:
    """(1 − mask) ⊙ net(mask ⊙ x) on the channels of every pixel."""
    first, middle, last = layers[::2]
    x = g.op(act, g.conv(x, (first.weight * mask)[:, :, None, None], first.bias))
    x = g.op(act, g.conv(x, middle.weight[:, :, None, None], middle.bias))
    free = 1 - mask
    return g.conv(x, (last.weight * free[:, None])[:, :, None, None], last.bias * free)
