"""DDRE: degradation-dependent routed experts (eqs 10–12).

Z = PW([X, P]);  a^i = softmax_j R_i(GAP(Z));  F^i = Σ_j a^i_j E^i_j(Z);  out = X + γ ⊙ Σ_i F^i
with E^i_j = PW ∘ DW_k (k = 1, 3, 5, 7, 9) and P the prior's map, if there is one. γ starts at 0.

Everything after the routing is linear, so that sums are taken before the 1×1 convolutions:
* own pointwise (the paper): all experts' depth-wise maps, scaled, go through one 1×1 convolution;
* shared pointwise: the scaled maps are added and go through one 1×1 convolution;
* concat: F^i = PW([a^i_1 E^i_1(Z), …]), so the experts' own convolutions come first, as one with groups.
"""

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..config import ModelConfig
from ..layers.blocks import scaled
from ..layers.local_pooling import LocalMean
from . import native


class DDRE(nn.Module):
    """X [N, C, H, W] and the prior's map [N, extra, H, W], if extra > 0 → [N, C, H, W].

    pool: GAP before the routers, or its local form at test time (TLC).
    """

    def __init__(self, channels: int, config: ModelConfig, extra: int = 0, pool: LocalMean | None = None) -> None:
        super().__init__()
        experts = config.experts
        n, r = len(experts), config.routers
        self.channels, self.sizes, self.routers = channels, experts, r
        self.pixel, self.shared, self.joined = (
            config.router == "pixel",
            config.shared_pointwise,
            config.combine == "concat",
        )
        self.mixable = self.shared and r == 1 and max(experts) == 9
        self.recompute = False
        self.pool = nn.Identity() if self.pixel else pool or LocalMean()
        self.fuse = nn.Conv2d(channels + extra, channels, 1)
        self.router = nn.Conv2d(channels, r * n, 1)
        self.depthwise = nn.ModuleList(
            nn.Conv2d(channels, channels * r, k, padding=k // 2, groups=channels) for k in experts
        )
        maps = channels * r * (1 if self.shared else n)
        own = self.joined or self.shared
        self.experts = nn.Conv2d(maps, maps, 1, groups=r * n) if self.joined else None
        self.pointwise = nn.Conv2d(maps, channels, 1, bias=own)
        # Experts with their own part of the pointwise convolution have a bias each.
        self.expert_bias = None if own else nn.Parameter(torch.zeros(r * n, channels))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def weights(self, z: Tensor) -> Tensor:
        """Eq. (11): [N, r, n, h, w], h = w = 1 where Z is pooled globally; sums to 1 over n."""
        logits = self.router(self.pool(z))
        n, _, h, w = logits.shape
        return logits.float().reshape(n, self.routers, len(self.sizes), h, w).softmax(2)

    def forward(self, x: Tensor, prior: Tensor | None = None) -> Tensor:
        z = self.fuse(x if prior is None else torch.cat([x, prior], 1))
        mixture = (
            checkpoint(self.mixture, z, use_reentrant=False) if self.recompute and self.training else self.mixture(z)
        )
        return x + mixture

    def mixture(self, z: Tensor) -> Tensor:
        """γ ⊙ Σ_i F^i. [N, C, H, W] → the same."""
        a = self.weights(z)
        if self.shared:
            mixable = self.mixable and a.shape[3:] == (1, 1) and native.usable(self.channels, z)
            y = self.mixed(z, a) if mixable else reduce(torch.add, self.maps(z, a))
            return scaled(self.pointwise, y, self.gamma)
        if self.experts is not None:
            return scaled(self.pointwise, self.expert_maps(z, a), self.gamma)
        bias = torch.einsum("nrjhw,rjc->nchw", a, self.expert_bias.unflatten(0, a.shape[1:3]))
        return self.gamma * (self.pointwise(torch.cat(self.maps(z, a), 1)) + bias)

    def maps(self, z: Tensor, a: Tensor) -> list[Tensor]:
        """Returns scaled depth-wise maps [N, C·r, H, W], one per expert; the r maps of a channel lie together."""
        out = []
        for j, conv in enumerate(self.depthwise):
            y = conv(z)
            scale = a[:, :, j].to(y.dtype)[:, None]  # [N, 1, r, h, w]
            out.append((y.unflatten(1, (self.channels, self.routers)) * scale).flatten(1, 2))
        return out

    def expert_maps(self, z: Tensor, a: Tensor) -> Tensor:
        """Returns the scaled outputs of the experts, joined: [N, n·r·C, H, W], expert by expert, then router by
        router.
        """
        c, r = self.channels, self.routers
        apart = [conv(z).unflatten(1, (c, r)).transpose(1, 2).flatten(1, 2) for conv in self.depthwise]
        y = self.experts(torch.cat(apart, 1))
        return (y.unflatten(1, (-1, c)) * a.transpose(1, 2).flatten(1, 2)[:, :, None].to(y.dtype)).flatten(1, 2)

    def mixed(self, z: Tensor, a: Tensor) -> Tensor:
        """Returns the sum of `maps` for one router and weights per picture, by one depth-wise 9×9 convolution per
        picture.

        The kernel is the weighted sum of the zero-padded kernels: 81 taps instead of 165. Only the native kernels gain
        from it; in ONNX Runtime it works for a batch of one only (see `graph_body.mixture`).
        """
        n, c = z.shape[:2]
        weight = a.reshape(n, len(self.sizes))
        padded = [F.pad(d.weight, [(9 - k) // 2] * 4) for d, k in zip(self.depthwise, self.sizes, strict=True)]
        kernel = (weight @ torch.stack(padded).reshape(len(padded), -1)).reshape(n, c, 9, 9)
        bias = weight @ torch.stack([d.bias for d in self.depthwise])
        y = native.routed(z, kernel)
        return y + bias.to(y.dtype)[:, :, None, None]
