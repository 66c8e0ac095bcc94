"""Tests local pooling at test time: global within the window, a moving mean beyond it."""

import pytest
import torch
from dhnet.layers import local_pooling
from dhnet.priors import NAFNet, Prior
from torch import Tensor, nn


def ramp(*shape: int) -> Tensor:
    return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float64) * 0.61).reshape(shape).float()


@pytest.mark.parametrize(("height", "width"), [(24, 24), (3, 24), (24, 1)])
def test_the_local_mean_is_global_within_the_window(height, width):
    x = ramp(2, 3, height, width)
    assert torch.equal(local_pooling.local_mean(x, 24), x.mean((2, 3), keepdim=True))
    assert torch.equal(local_pooling.local_mean(x, None), x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize(("height", "width", "window"), [(20, 31, 8), (20, 31, 7), (20, 31, 24), (9, 40, 1)])
def test_the_local_mean_is_the_mean_of_the_nearest_whole_window(height, width, window):
    x = ramp(1, 2, height, width)
    out = local_pooling.local_mean(x, window)
    assert out.shape == x.shape
    rows, columns = min(window, height), min(window, width)
    for y, x0 in ((0, 0), (height - 1, width - 1), (height // 2, width // 3), (4, width - 5)):
        top = min(max(y - (rows - 1) // 2, 0), height - rows)
        left = min(max(x0 - (columns - 1) // 2, 0), width - columns)
        expected = x[:, :, top : top + rows, left : left + columns].mean((2, 3))
        assert torch.allclose(out[:, :, y, x0], expected, atol=1e-5)


def test_a_large_offset_loses_no_digits():
    x = 1000 + ramp(1, 1, 300, 500)
    exact = x.double().unfold(2, 100, 1).unfold(3, 100, 1).mean((4, 5))
    out = local_pooling.local_mean(x, 100)[:, :, 100:251, 200:451]
    assert (out - exact[:, :, 50:201, 150:401]).abs().max() < 2e-3


def test_the_window_shrinks_with_the_level_and_training_pools_globally():
    layer, x = local_pooling.LocalMean(scale=4, window=32).eval(), ramp(1, 2, 12, 12)
    assert torch.equal(layer(x), local_pooling.local_mean(x, 8))
    assert layer(x).shape == x.shape
    assert layer.train()(x).shape == (1, 2, 1, 1)
    local_pooling.set_window(nn.Sequential(layer), None)
    assert layer.eval()(x).shape == (1, 2, 1, 1)


def test_an_exported_graph_pools_globally():
    layer, x = local_pooling.LocalMean(window=8).eval(), ramp(1, 2, 16, 16)
    program = torch.export.export(layer, (x,)).module()
    assert torch.equal(program(x), x.mean((2, 3), keepdim=True))


def test_a_network_differs_only_above_the_window():
    torch.manual_seed(1)
    network = NAFNet(4, (1, 1, 1, 1), window=64)
    for name, parameter in network.named_parameters():
        if name.endswith(("beta", "gamma")):
            torch.nn.init.normal_(parameter)
    prior = Prior(network)
    for size, same in ((64, True), (80, False)):
        image = ramp(1, 3, size, size)
        local_pooling.set_window(prior, 64)
        local = prior(image).decoder[-1]
        local_pooling.set_window(prior, None)
        assert torch.equal(local, prior(image).decoder[-1]) is same
