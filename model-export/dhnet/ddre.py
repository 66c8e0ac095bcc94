"""DDRE: degradation-dependent routed experts (eqs 10–12), without prior.

Z = PW(X);  a^i = softmax_j R_i(GAP(Z));  F^i = Σ_j a^i_j E^i_j(Z);  out = X + γ ⊙ Σ_i F^i
with E^i_j = PW ∘ DW_k (k = 1, 3, 5, 7, 9). γ starts at 0.

Everything after the routing is linear, so sums are taken before the 1×1 convolutions:
* own pointwise (the paper): all experts' depth-wise maps, scaled, go through one 1×1 convolution;
* shared pointwise: the scaled maps are added and go through one 1×1 convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import native
from .vblock import scaled


class DDRE(nn.Module):
    """[N, C, H, W] → the same."""

    def __init__(self, channels: int, experts: tuple[int, ...], routers: int, router: str, shared: bool) -> None:
        super().__init__()
        self.channels, self.sizes, self.routers = channels, experts, routers
        self.pixel, self.shared = router == "pixel", shared
        self.mixable = shared and router == "gap" and routers == 1 and max(experts) == 9
        n, r = len(experts), routers
        self.fuse = nn.Conv2d(channels, channels, 1)
        self.router = nn.Conv2d(channels, r * n, 1)
        self.depthwise = nn.ModuleList(
            nn.Conv2d(channels, channels * r, k, padding=k // 2, groups=channels) for k in experts
        )
        inputs = channels * r * (1 if shared else n)
        self.pointwise = nn.Conv2d(inputs, channels, 1, bias=shared)
        # One bias per expert where each has its own pointwise convolution.
        self.expert_bias = None if shared else nn.Parameter(torch.zeros(r * n, channels))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def weights(self, z: Tensor) -> Tensor:
        """Eq. (11): [N, r, n, h, w], h = w = 1 for the GAP router; sums to 1 over n."""
        logits = self.router(z if self.pixel else z.mean((2, 3), keepdim=True))
        n, _, h, w = logits.shape
        return logits.float().reshape(n, self.routers, len(self.sizes), h, w).softmax(2)

    def forward(self, x: Tensor) -> Tensor:
        z = self.fuse(x)
        a = self.weights(z)
        if self.mixable and native.usable(self.channels, z):
            return x + scaled(self.pointwise, self.mixed(z, a), self.gamma)
        if self.shared:
            return x + scaled(self.pointwise, self.maps(z, a), self.gamma)
        bias = torch.einsum("nrjhw,rjc->nchw", a, self.expert_bias.unflatten(0, a.shape[1:3]))
        return x + self.gamma * (self.pointwise(self.maps(z, a)) + bias)

    def maps(self, z: Tensor, a: Tensor) -> Tensor:
        """Scaled depth-wise maps: [N, n·C·r, H, W], or their sum over the experts [N, C·r, H, W] if shared."""
        c, r = self.channels, self.routers
        out = []
        for j, conv in enumerate(self.depthwise):
            y = conv(z)
            scale = a[:, :, j].to(y.dtype)[:, None]  # [N, 1, r, h, w]: a channel's r kernels lie together
            out.append((y.unflatten(1, (c, r)) * scale).flatten(1, 2))
        return sum(out[1:], out[0]) if self.shared else torch.cat(out, 1)

    def mixed(self, z: Tensor, a: Tensor) -> Tensor:
        """`maps` for a shared pointwise and one router, as one depth-wise 9×9 convolution per image.

        The kernel is the weighted sum of the zero-padded kernels: 81 taps instead of 165. Only the
        native kernels gain from it; in ONNX Runtime it is no faster and works for a batch of one only.
        """
        n, c = z.shape[:2]
        weight = a.reshape(n, len(self.sizes))
        padded = [F.pad(d.weight, [(9 - k) // 2] * 4) for d, k in zip(self.depthwise, self.sizes, strict=True)]
        kernel = (weight @ torch.stack(padded).reshape(len(padded), -1)).reshape(n, c, 9, 9)
        bias = weight @ torch.stack([d.bias for d in self.depthwise])
        y = native.routed(z, kernel)
        return y + bias.to(y.dtype)[:, :, None, None]
