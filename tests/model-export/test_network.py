"""Tests the network's size, cost, special cases and shapes."""

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY, lively
from dhnet import config as configs
from dhnet.evaluation import tiling
from dhnet.layers.blocks import LayerNorm2d
from dhnet.network import native
from dhnet.network.ddre import DDRE
from dhnet.network.model import DHNet, macs, parameters
from dhnet.network.vblock import VBlock, Volterra


def test_dhnet_has_the_size_and_cost_that_the_papers_macs_imply():
    c = configs.load(ROOT / "configs" / "dhnet.toml").model
    with torch.device("meta"):
        assert parameters(DHNet(c)) == pytest.approx(17.27e6, rel=0.001)
    assert macs(c) == pytest.approx(31.60e9, rel=0.001)


@pytest.mark.parametrize("rank", [1, 2, 8])
def test_each_rank_costs_36_macs_per_value_and_the_first_order_18(rank):
    # A block's maps hold C·P values: 2^21 / 2^i at 256×256, level i, here with 1, 1, 1, 28 + 1 and the decoder's.
    values = 2 * (2**21 + 2**20 + 2**19) + 29 * 2**18 + 2**17
    assert macs(configs.ModelConfig(rank=rank)) - macs(configs.ModelConfig(rank=0)) == (18 + 36 * rank) * values


def test_the_edge_variant_keeps_its_bounds_of_size_and_cost():
    c = configs.load(ROOT / "configs" / "dhnet-edge.toml").model
    with torch.device("meta"):
        assert parameters(DHNet(c)) <= 2.5e6
    assert macs(c) <= 2.0e9


def test_macs_scale_with_the_picture():
    c = configs.ModelConfig(**TINY)
    large, small = macs(c, 128, 256), macs(c, 64, 128)
    assert large == pytest.approx(4 * small, rel=0.01)


def test_simple_gate_is_the_volterra_filter_of_rank_1_with_deltas():
    filters, gate = Volterra(6, 1), Volterra(6, 0)
    with torch.no_grad():
        filters.filters.weight.zero_()
        filters.filters.bias.zero_()
        filters.filters.weight[1::3, 0, 1, 1] = 1  # W_2a takes the first of a pair
        filters.filters.weight[2::3, 1, 1, 1] = 1  # W_2b the second
        x = torch.randn(2, 12, 9, 7)
        assert torch.equal(filters(x), gate(x))


def test_layer_norm_normalises_the_channels_of_each_pixel():
    y = LayerNorm2d(8)(torch.randn(2, 8, 5, 6) * 3 + 7)
    assert torch.allclose(y.mean(1), torch.zeros(2, 5, 6), atol=1e-5)
    assert torch.allclose(y.var(1, unbiased=False), torch.ones(2, 5, 6), atol=1e-4)


@pytest.mark.parametrize("router", ["gap", "pixel"])
@pytest.mark.parametrize("routers", [1, 3])
def test_router_weights_sum_to_one_over_the_experts(router, routers):
    block = DDRE(8, configs.ModelConfig(experts=(1, 3, 5), routers=routers, router=router))
    z = torch.randn(2, 8, 6, 7)
    a = block.weights(z)
    assert a.shape == (2, routers, 3, *((6, 7) if router == "pixel" else (1, 1)))
    assert torch.allclose(a.sum(2), torch.ones_like(a.sum(2)), atol=1e-6)


def test_own_pointwise_equals_the_written_out_sum_of_routers_and_experts():
    torch.manual_seed(1)
    block = DDRE(4, configs.ModelConfig(experts=(1, 3), routers=2))
    torch.nn.init.normal_(block.gamma)
    torch.nn.init.normal_(block.expert_bias)
    x = torch.randn(2, 4, 6, 5)
    z = block.fuse(x)
    a = block.weights(z)
    total = torch.zeros_like(x)
    weight = block.pointwise.weight.reshape(4, 2, 4, 2)  # out, expert, channel, router
    for i in range(2):
        for j in range(2):
            maps = block.depthwise[j](z)[:, i::2]
            expert = torch.einsum("oc,nchw->nohw", weight[:, j, :, i], maps)
            expert = expert + block.expert_bias[i * 2 + j][None, :, None, None]
            total = total + a[:, i, j, 0, 0][:, None, None, None] * expert
    assert torch.allclose(block(x), x + block.gamma * total, atol=1e-5)


def test_an_untrained_network_returns_its_input():
    model = DHNet(configs.ModelConfig(**TINY)).eval()
    x = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(model(x), x)


@pytest.mark.parametrize(
    "options",
    [{}, {"rank": 0}, {"ffn": True}, {"ddre": False}, {"router": "pixel"}, {"routers": 3, "shared_pointwise": False}],
)
def test_every_option_gives_finite_output_and_gradients(options):
    torch.manual_seed(0)
    model = lively(DHNet(configs.ModelConfig(**{**TINY, **options})))
    x = torch.rand(2, 3, 16, 24)
    y = model(x)
    y.square().mean().backward()
    assert y.shape == x.shape
    assert torch.isfinite(y).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (8, 8), (33, 70), (71, 40)])
def test_pictures_of_every_size_are_restored_by_tiles(tiny, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)

    def run(tile):
        with torch.no_grad():
            y = tiny(torch.from_numpy(tile).permute(0, 3, 1, 2) / 255)
        return (y.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()

    assert tiling.apply(image, run, 32, 8, tiny.config.pad_multiple).shape == image.shape


# The kernels only speed training up. Without a compiler they do not run, so that there is nothing to compare.
needs_kernels = pytest.mark.skipif(not native.available(), reason="no C compiler")


@needs_kernels
@pytest.mark.parametrize("size", [(6, 9), (8, 8), (1, 1)])
def test_native_volterra_equals_torch(monkeypatch, size):
    torch.manual_seed(0)
    block = VBlock(32, 4, ffn=False)
    x = torch.randn(2, 32, *size)
    grad = torch.randn(2, 32, *size)
    results = []
    for flag in ("0", "1"):
        monkeypatch.setenv("DHNET_NATIVE", flag)
        block.zero_grad()
        given = x.clone().requires_grad_()
        y = block.filtered(given)
        y.backward(grad)
        results.append([y, given.grad, block.volterra.filters.weight.grad, block.expand.weight.grad])
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * a.abs().max().item())


@needs_kernels
def test_native_routed_convolution_equals_torch(monkeypatch):
    torch.manual_seed(0)
    block = DDRE(16, configs.ModelConfig(routers=1, shared_pointwise=True))
    torch.nn.init.normal_(block.gamma)
    x = torch.randn(2, 16, 7, 11)
    results = []
    for flag in ("0", "1"):
        monkeypatch.setenv("DHNET_NATIVE", flag)
        block.zero_grad()
        given = x.clone().requires_grad_()
        y = block(given)
        y.square().sum().backward()
        results.append([y, given.grad, block.depthwise[4].weight.grad, block.router.weight.grad])
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * a.abs().max().item())
