"""VBlock: local features, a rank-Q second-order Volterra filter, channel attention (eqs 2, 3, 9)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.blocks import LayerNorm2d, scaled
from ..layers.local_pooling import LocalMean
from . import native


class Volterra(nn.Module):
    """Eq. (3): F_v = W_1∗F + Σ_q (W_2a^q∗F) ⊙ (W_2b^q∗F). [N, 2C, H, W] → [N, C, H, W].

    The 1+2Q kernels are 3×3, 2C→C with C groups, and are one convolution here: for channel c its
    outputs c·(1+2Q)… are W_1, W_2a^1, W_2b^1, W_2a^2, …; group c reads channels 2c and 2c+1.
    Q = 0 is NAFNet's SimpleGate on those pairs.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.channels, self.rank = channels, rank
        if rank:
            self.filters = nn.Conv2d(2 * channels, channels * (1 + 2 * rank), 3, padding=1, groups=channels)

    def forward(self, f: Tensor) -> Tensor:
        n, _, h, w = f.shape
        if not self.rank:
            a, b = f.reshape(n, self.channels, 2, h, w).unbind(2)
            return a * b
        first, *factors = self.filters(f).reshape(n, self.channels, 1 + 2 * self.rank, h, w).unbind(2)
        return second_order(first, factors)


def second_order(first: Tensor, factors: list[Tensor]) -> Tensor:
    """Returns first + Σ_q factors[2q] ⊙ factors[2q + 1]."""
    for a, b in zip(factors[::2], factors[1::2], strict=True):
        first = first + a * b
    return first


class VBlock(nn.Module):
    """X + β ⊙ PW(F_v ⊙ PW'(GAP(F_v))), F_v = Volterra(DW3(PW(LN(X)))) (eqs 2, 3, 9). [N, C, H, W] → the same.

    β starts at 0 as in NAFNet, so that the block starts as the identity.
    pool: GAP, or its local form at test time (TLC).
    """

    def __init__(self, channels: int, rank: int, ffn: bool, pool: LocalMean | None = None) -> None:
        super().__init__()
        self.pool = pool or LocalMean()
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.local = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.volterra = Volterra(channels, rank)
        self.attention = nn.Conv2d(channels, channels, 1)
        nn.init.ones_(self.attention.bias)  # attention starts near 1 instead of 0, which short runs need
        self.project = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.ffn = FeedForward(channels) if ffn else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.filtered(self.norm(x))
        y = y * self.attention(self.pool(y))
        x = x + scaled(self.project, y, self.beta)
        return x if self.ffn is None else self.ffn(x)

    def filtered(self, x: Tensor) -> Tensor:
        """Eqs (2) and (3). [N, C, H, W] → [N, C, H, W]."""
        fast = self.volterra.rank == 4 and native.usable(self.beta.shape[1], x)
        if not fast:
            return self.volterra(self.local(self.expand(x)))
        # The kernels read pairs as (i, i+C); ordering the expanding weights is cheaper than ordering the maps.
        order = torch.arange(2 * x.shape[1]).reshape(-1, 2).t().reshape(-1)
        y = F.conv2d(x, self.expand.weight[order], self.expand.bias[order])
        y = F.conv2d(y, self.local.weight[order], self.local.bias[order], padding=1, groups=len(order))
        return native.volterra(y, self.volterra.filters.weight, self.volterra.filters.bias)


class FeedForward(nn.Module):
    """NAFBlock's second half: x + γ ⊙ PW(SG(PW(LN(x)))). The paper's text does not mention it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.expand(self.norm(x)).split(x.shape[1], 1)
        return x + scaled(self.project, a * b, self.gamma)


class VolterraLayer(nn.Module):
    """MR-VNet's block (Roheda et al., CVPR 2024), for the ablation: eq. (3), dense. [N, C, H, W] → the same.

    No norm, no attention, no residual. The factors are clipped to [-1, 1], as its unofficial code does for
    stability. The outputs of `filters` are W_1, W_2a^1, W_2b^1, …, of C channels each.
    """

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.filters = nn.Conv2d(channels, channels * (1 + 2 * rank), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first, *factors = self.filters(x).chunk(1 + 2 * self.rank, 1)
        return second_order(first, [factor.clamp(-1, 1) for factor in factors])
