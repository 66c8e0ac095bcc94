"""NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022): a prior and a baseline of DHNet.

Parameters are named as in the published checkpoints (megvii-research/NAFNet), so that these load unchanged.
GoPro and REDS: encoder 1, 1, 1, 28, middle 1, decoder 1, 1, 1, 1, width 32 or 64, local pooling at test time.
"""

import torch
from torch import Tensor, nn

from ..layers.blocks import LayerNorm2d, scaled
from ..layers.local_pooling import WINDOW, LocalMean
from .features import Features


class NAFBlock(nn.Module):
    """y = x + β ⊙ PW(SCA(SG(DW3(PW(LN(x)))))); out = y + γ ⊙ PW(SG(PW(LN(y)))). [N, C, H, W] → the same.

    SG multiplies the two halves of the channels, SCA(z) = z ⊙ PW(mean(z)); β and γ start at 0.
    scale: pixels of the picture to one pixel of this map along an axis.
    """

    def __init__(self, channels: int, scale: int = 1, window: int | None = None) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.sca = nn.Sequential(LocalMean(scale, window), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gated(x + self.spatial(x))

    def spatial(self, x: Tensor) -> Tensor:
        """Returns the first residual, β ⊙ PW(SCA(SG(DW3(PW(LN(x))))))."""
        a, b = self.conv2(self.conv1(self.norm1(x))).chunk(2, 1)
        y = a * b
        return scaled(self.conv3, y * self.sca(y), self.beta)

    def gated(self, y: Tensor) -> Tensor:
        """Returns the second half, y + γ ⊙ PW(SG(PW(LN(y))))."""
        a, b = self.conv4(self.norm2(y)).chunk(2, 1)
        return y + scaled(self.conv5, a * b, self.gamma)


class NAFNet(nn.Module):
    """sRGB [N, 3, H, W] in [0, 1] → the same, not clipped. H and W: multiples of `pad_multiple`.

    encoder, decoder: blocks per level, the decoder's lowest resolution first.
    window: of local pooling in evaluation mode, in pixels of the picture; None pools globally.
    """

    def __init__(
        self,
        width: int = 64,
        encoder: tuple[int, ...] = (1, 1, 1, 28),
        middle: int = 1,
        decoder: tuple[int, ...] = (1, 1, 1, 1),
        window: int | None = WINDOW,
    ) -> None:
        super().__init__()
        self.pad_multiple = 2 ** len(encoder)
        self.channels = [width * 2**i for i in range(len(encoder))]
        scales = [2**i for i in range(len(encoder))]

        def stage(blocks: int, channels: int, scale: int) -> nn.Sequential:
            return nn.Sequential(*[NAFBlock(channels, scale, window) for _ in range(blocks)])

        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoders = nn.ModuleList(map(stage, encoder, self.channels, scales))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in self.channels)
        self.middle_blks = stage(middle, 2 * self.channels[-1], self.pad_multiple)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * c, 4 * c, 1, bias=False), nn.PixelShuffle(2)) for c in reversed(self.channels)
        )
        self.decoders = nn.ModuleList(map(stage, decoder, reversed(self.channels), reversed(scales)))
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def encoded(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Returns e1..e4 of an image and the input of the middle, [N, 2·C_4, H/16, W/16]."""
        x, maps = self.intro(image), []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            maps.append(encoder(x))
            x = down(maps[-1])
        return maps, x

    def features(self, image: Tensor) -> Features:
        """Returns e1..e4 and d4..d1 of an image."""
        maps, x = self.encoded(image)
        x, out = self.middle_blks(x), []
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(maps), strict=True):
            x = decoder(up(x) + skip)
            out.append(x)
        return Features(maps, out)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.ending(self.features(image).decoder[-1])
