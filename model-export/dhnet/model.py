"""DHNet: "Towards Differential Handling of Various Blur Regions for Accurate Image Deblurring",
Hu Gao and Depeng Dang, arXiv 2502.19677. Written from the paper's text; no code was published.

What differs from the paper, or is not said there:
* Block counts, number of routers and the lack of an FFN follow from the published MACs.
* DDRE ends in a scale γ that starts at 0, like NAFNet's β, so that training starts from the skeleton.
* `ending` starts at 0: the untrained network returns its input.
* Options of the edge variant: PixelUnshuffle first, fewer levels, experts that share a pointwise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .ddre import DDRE
from .vblock import VBlock


class DHBlock(nn.Sequential):
    """Eq. (1): N VBlocks, then DDRE. [N, C, H, W] → the same."""

    def __init__(self, channels: int, blocks: int, c: ModelConfig) -> None:
        layers: list[nn.Module] = [VBlock(channels, c.rank, c.ffn) for _ in range(blocks)]
        if c.ddre:
            layers.append(DDRE(channels, c.experts, c.routers, c.router, c.shared_pointwise))
        super().__init__(*layers)


class DHNet(nn.Module):
    """sRGB [N, 3, H, W] in [0, 1] → the same, not clipped. H and W: multiples of `config.pad_multiple`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        planes, w = 3 * config.unshuffle**2, config.width
        levels = [w * 2**i for i in range(len(config.encoder))]
        self.intro = nn.Conv2d(planes, w, 3, padding=1)
        self.encoders = nn.ModuleList(DHBlock(c, n, config) for c, n in zip(levels, config.encoder, strict=True))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in levels)
        self.middle = nn.Sequential(*[VBlock(2 * levels[-1], config.rank, config.ffn) for _ in range(config.middle)])
        self.ups = nn.ModuleList(nn.Conv2d(2 * c, 4 * c, 1, bias=False) for c in reversed(levels))
        self.decoders = nn.ModuleList(
            DHBlock(c, n, config) for c, n in zip(reversed(levels), config.decoder, strict=True)
        )
        self.ending = nn.Conv2d(w, planes, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(self.ending.bias)

    def forward(self, image: Tensor) -> Tensor:
        fold = self.config.unshuffle
        x = self.intro(F.pixel_unshuffle(image, fold) if fold > 1 else image)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            x = decoder(F.pixel_shuffle(up(x), 2) + skip)
        residual = self.ending(x)
        return image + (F.pixel_shuffle(residual, fold) if fold > 1 else residual)


def parameters(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def macs(config: ModelConfig, height: int = 256, width: int = 256) -> int:
    """Multiply-accumulates of all convolutions for one 3×height×width picture, biases not counted."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model, image = DHNet(config), torch.empty(1, 3, height, width)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(image)
    convolutions = {k: v for k, v in counter.get_flop_counts()["Global"].items() if "conv" in str(k)}
    return sum(convolutions.values()) // 2
