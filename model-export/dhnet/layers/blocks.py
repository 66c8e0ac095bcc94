"""Pieces that the blocks of DHNet and of NAFNet share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of every pixel, eps 1e-6. [N, C, H, W] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.bfloat16:  # layer_norm computes in float32 by itself; autocast would convert the whole map
            with torch.autocast(x.device.type, enabled=False):
                return self.normalised(x)
        return self.normalised(x)

    def normalised(self, x: Tensor) -> Tensor:
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return y.permute(0, 3, 1, 2)


def scaled(conv: nn.Conv2d, x: Tensor, scale: Tensor) -> Tensor:
    """Returns scale ⊙ conv(x) for a 1×1 convolution, with the scale [1, C, 1, 1] folded into its weights."""
    return F.conv2d(x, conv.weight * scale.reshape(-1, 1, 1, 1), conv.bias * scale.flatten())
