"""The one interface of priors: image → one feature map per level, from a network that never changes."""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn


class Features(NamedTuple):
    """Maps of every level, [N, C_l, H/2^(l-1), W/2^(l-1)] each, in the order in which DHNet's stages run."""

    encoder: list[Tensor]  # e1..e4, the outputs of the encoder's stages before down-sampling
    decoder: list[Tensor]  # d4..d1, the outputs of the decoder's stages


class Prior(nn.Module):
    """A frozen network as a source of features: no gradient reaches it, `train()` leaves it in evaluation mode.

    network: has `features(image) -> Features` and `channels`; it is frozen in place.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train()

    @property
    def channels(self) -> list[int]:
        """Channels C_1..C_4 of the levels, the same in encoder and decoder."""
        return self.network.channels

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode whatever the network around asks for: a prior does not depend on `mode`."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Features:
        """Image [N, 3, H, W] in [0, 1], sRGB, H and W multiples of 16 → its maps, without gradient."""
        return self.network.features(image)


class Answers(Prior):
    """A frozen network as a source of answers: the whole picture as that network restores it, clipped to [0, 1]."""

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Image [N, 3, H, W] in [0, 1], H and W multiples of the network's `pad_multiple` → the same shape."""
        return self.network(image).clamp(0, 1)


def multiply_accumulates(network: nn.Module, height: int = 256, width: int = 256) -> int:
    """Multiply-accumulates of the convolutions for one 3×height×width picture, biases not counted.

    Runs the network on its own device: make it under `torch.device("meta")` and nothing is computed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    device = next(network.parameters()).device
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.empty(1, 3, height, width, device=device))
    return sum(v for k, v in counter.get_flop_counts()["Global"].items() if "conv" in str(k)) // 2
