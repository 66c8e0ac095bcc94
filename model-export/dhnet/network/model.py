"""DHNet: "Towards Differential Handling of Various Blur Regions for Accurate Image Deblurring",
Hu Gao and Depeng Dang, arXiv 2502.19677. Written from the paper's text; no code was published.

What differs from the paper, or is not said there:
* Block counts, number of routers and the lack of an FFN follow from the published MACs.
* DDRE ends in a scale γ that starts at 0, like NAFNet's β, so that training starts from the skeleton.
* `ending` starts at 0: the untrained network returns its input.
* DHNet-B's prior knowledge P is the map of the frozen network's stage at the same place: e_l in the encoder, d_l in
  the decoder. The paper names only the networks; their maps are what both have, in DHNet-B's own widths and sizes.
* Options of the edge variant: PixelUnshuffle first, fewer levels, experts that share a pointwise.
* With MAXIM as prior (the DHNet-B that we ship), P is what the frozen network would change, its restored picture minus
  the blurred one, folded to the level's size. The output is a routed sum: picture + (1 − g) ⊙ own residual + g ⊙ the
  prior's residual + correction, with a gate g in [0, 1] per pixel; gate, residual and correction come from the last
  map. The paper's DHNet-B has no such sum.
"""

from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import ModelConfig
from ..errors import UserError
from ..layers.local_pooling import LocalMean
from ..priors import Answers, Features, Maxim, NAFNet, Prior, UFPNet
from .ddre import DDRE
from .vblock import VBlock, VolterraLayer

PRIORS: dict[str, type[NAFNet]] = {"nafnet": NAFNet, "ufpnet": UFPNet}


def vblock(channels: int, c: ModelConfig, scale: int) -> nn.Module:
    """The block of a configuration. `scale`: pixels of the picture to one of the map, along an axis."""
    if c.block == "mrvnet":
        return VolterraLayer(channels, c.rank)
    return VBlock(channels, c.rank, c.ffn, LocalMean(scale, c.window or None))


class DHBlock(nn.Sequential):
    """Eq. (1): N VBlocks, then DDRE. [N, C, H, W] and the prior's map, `extra` channels → [N, C, H, W]."""

    def __init__(self, channels: int, blocks: int, c: ModelConfig, scale: int, extra: int = 0) -> None:
        layers = [vblock(channels, c, scale) for _ in range(blocks)]
        if c.ddre:
            layers.append(DDRE(channels, c, extra, LocalMean(scale, c.window or None)))
        super().__init__(*layers)

    def forward(self, x: Tensor, prior: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, prior) if isinstance(layer, DDRE) else layer(x)
        return x


class DHNet(nn.Module):
    """sRGB [N, 3, H, W] in [0, 1] → the same, not clipped. H and W: multiples of `config.pad_multiple`.

    prior: as `config.prior` says; without it one of random weights is made. With "maxim" it gives answers, restored
    pictures, and the output is a routed sum; `answer` is that picture where the caller has it already, in [0, 1].
    """

    def __init__(self, config: ModelConfig, prior: Prior | None = None) -> None:
        super().__init__()
        self.config = config
        planes, w = 3 * config.unshuffle**2, config.width
        levels = [w * 2**i for i in range(len(config.encoder))]
        scales = [config.unshuffle * 2**i for i in range(len(levels))]
        self.intro = nn.Conv2d(planes, w, 3, padding=1)
        self.prior = None if config.prior == "none" else prior or frozen(config)
        self.scales = scales
        self.routed = config.prior == "maxim"
        if self.routed:
            extra = [3 * scale**2 for scale in scales]
        else:
            extra = self.prior.channels if self.prior else [0] * len(levels)
        encoder = list(zip(levels, config.encoder, scales, extra, strict=True))
        decoder = list(zip(levels, reversed(config.decoder), scales, extra, strict=True))[::-1]
        self.encoders = nn.ModuleList(DHBlock(c, n, config, scale, e) for c, n, scale, e in encoder)
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in levels)
        self.middle = nn.Sequential(*[vblock(2 * levels[-1], config, 2 * scales[-1]) for _ in range(config.middle)])
        self.ups = nn.ModuleList(nn.Conv2d(2 * c, 4 * c, 1, bias=False) for c in reversed(levels))
        self.decoders = nn.ModuleList(DHBlock(c, n, config, scale, e) for c, n, scale, e in decoder)
        self.ending = nn.Conv2d(w, planes, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(self.ending.bias)
        if self.routed:
            self.gate = nn.Conv2d(w, planes // 3, 3, padding=1)
            self.correction = nn.Conv2d(w, planes, 3, padding=1)
            nn.init.zeros_(self.correction.weight)
            nn.init.zeros_(self.correction.bias)

    def forward(self, image: Tensor, answer: Tensor | None = None) -> Tensor:
        if not self.routed:
            return image + self.unfolded(self.ending(self.last_map(image, self.known(image))))
        change = (self.prior(image) if answer is None else answer) - image
        maps = [F.pixel_unshuffle(change, scale) for scale in self.scales]
        x = self.last_map(image, Features(maps, maps[::-1]))
        own, gate = self.unfolded(self.ending(x)), self.unfolded(self.gate(x)).sigmoid()
        return image + own + gate * (change - own) + self.unfolded(self.correction(x))

    def known(self, image: Tensor) -> Features:
        """The prior's maps, or none."""
        levels = len(self.encoders)
        return self.prior(image) if self.prior else Features([None] * levels, [None] * levels)

    def unfolded(self, x: Tensor) -> Tensor:
        """Planes of the last map to the picture's size."""
        return F.pixel_shuffle(x, self.config.unshuffle) if self.config.unshuffle > 1 else x

    def last_map(self, image: Tensor, known: Features) -> Tensor:
        """The last decoder's map, from which the output is made."""
        fold = self.config.unshuffle
        x = self.intro(F.pixel_unshuffle(image, fold) if fold > 1 else image)
        skips = []
        for encoder, down, prior in zip(self.encoders, self.downs, known.encoder, strict=True):
            x = encoder(x, prior)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for up, decoder, skip, prior in zip(self.ups, self.decoders, reversed(skips), known.decoder, strict=True):
            x = decoder(F.pixel_shuffle(up(x), 2) + skip, prior)
        return x


def frozen(config: ModelConfig, network: nn.Module | None = None) -> Prior | Answers:
    """The prior of a configuration: `network`, or one of random weights."""
    return (Answers if config.prior == "maxim" else Prior)(network or prior_network(config))


def prior_network(config: ModelConfig) -> nn.Module:
    """The network of `config.prior`, with random weights."""
    if config.prior == "maxim":
        return Maxim(config.prior_stages)
    return PRIORS[config.prior](config.prior_width, config.prior_encoder)


def build(config: ModelConfig, prior: Prior | None = None) -> nn.Module:
    """The network of a configuration, with random weights; `prior` as DHNet takes it."""
    if config.network == "dhnet":
        return DHNet(config, prior)
    window = {"window": config.window} if config.window else {}
    model = PRIORS[config.network](config.width, config.encoder, config.middle, config.decoder, **window)
    model.config = config
    return model


def own_state(model: nn.Module) -> dict[str, Tensor]:
    """Returns the weights that a checkpoint keeps: all except those of the frozen prior."""
    return {key: value for key, value in model.state_dict().items() if not key.startswith("prior.")}


def load_own_state(model: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Loads the weights of `own_state`. UserError where they belong to another network."""
    try:
        missing, left = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(f"{where}: weights do not fit its config: {str(error).splitlines()[-1].strip()}") from None
    wrong = [*left, *(key for key in missing if not key.startswith("prior."))]
    if wrong:
        raise UserError(f"{where}: weights do not fit its config: `{wrong[0]}` is {'left over' if left else 'missing'}")


@torch.no_grad()
def restore(model: nn.Module, image: Tensor, pad_multiple: int) -> Tensor:
    """sRGB [N, 3, H, W] in [0, 1] of any size from 1×1 up → restored, in [0, 1]. What `model` lacks is reflected."""
    h, w = image.shape[2:]
    rows, columns = (reflected(n, -(-n // pad_multiple) * pad_multiple).to(image.device) for n in (h, w))
    return model(image[:, :, rows][:, :, :, columns])[:, :, :h, :w].clamp(0, 1)


def reflected(length: int, padded: int) -> Tensor:
    """Indices 0 … length - 1, then back and forth without repeating the ends, `padded` in all."""
    period = max(2 * length - 2, 1)
    at = torch.arange(padded) % period
    return torch.minimum(at, period - at) if length > 1 else at


def parameters(model: nn.Module) -> int:
    """Returns the number of trainable values."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def macs(config: ModelConfig, height: int = 256, width: int = 256) -> int:
    """Multiply-accumulates of the trainable network's convolutions for one 3×height×width picture, without biases."""
    return costs(config, height, width).macs


class Costs(NamedTuple):
    """Values, and multiply-accumulates of convolutions without biases, of MAXIM's dense layers, too.

    Of the prior only what its maps need is counted.
    """

    parameters: int  # the frozen prior's too
    trainable: int
    macs: int  # of the trainable network
    prior_macs: int


@cache
def costs(config: ModelConfig, height: int = 256, width: int = 256) -> Costs:
    """Counts the costs of a configuration for one 3×height×width picture, without computing anything."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model, image = build(config).eval(), torch.empty(1, 3, height, width)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(image)

    def counted(name: str, *kinds: str) -> int:
        found = counter.get_flop_counts().get(name, {}).items()
        return sum(v for k, v in found if any(kind in str(k) for kind in kinds)) // 2

    frozen = f"{type(model).__name__}.prior"
    own = counted("Global", "conv") - counted(frozen, "conv")
    prior = counted(frozen, "conv", "mm") if config.prior == "maxim" else counted(frozen, "conv")
    return Costs(sum(p.numel() for p in model.parameters()), parameters(model), own, prior)
