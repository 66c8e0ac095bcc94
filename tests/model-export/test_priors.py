"""Tests the priors: published sizes and keys of checkpoints, frozen weights, repeatable results."""

from pathlib import Path

import pytest
import torch
from dhnet.errors import UserError
from dhnet.priors import NAFNet, Prior, UFPNet, flow, load_published, multiply_accumulates
from torch import Tensor, nn

ENCODER, DECODER = (1, 1, 1, 28), (1, 1, 1, 1)
SMALL = (1, 1, 1, 2)
Shapes = dict[str, tuple[int, ...]]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def conv(name: str, outputs: int, inputs: int, size: int, bias: bool = True) -> Shapes:
    weight = {f"{name}.weight": (outputs, inputs, size, size)}
    return {**weight, f"{name}.bias": (outputs,)} if bias else weight


def published_block(name: str, c: int) -> Shapes:
    """Returns a block's keys in the checkpoints of megvii-research/NAFNet."""
    out = {f"{name}.beta": (1, c, 1, 1), f"{name}.gamma": (1, c, 1, 1)}
    for norm in ("norm1", "norm2"):
        out |= {f"{name}.{norm}.weight": (c,), f"{name}.{norm}.bias": (c,)}
    out |= conv(f"{name}.conv1", 2 * c, c, 1) | conv(f"{name}.conv2", 2 * c, 1, 3) | conv(f"{name}.conv3", c, c, 1)
    return out | conv(f"{name}.sca.1", c, c, 1) | conv(f"{name}.conv4", 2 * c, c, 1) | conv(f"{name}.conv5", c, c, 1)


def published_nafnet(width: int, encoder: tuple[int, ...]) -> Shapes:
    out = conv("intro", width, 3, 3) | conv("ending", 3, width, 3)
    for i, blocks in enumerate(encoder):
        c, d = width * 2**i, width * 2 ** (3 - i)
        for j in range(blocks):
            out |= published_block(f"encoders.{i}.{j}", c)
        out |= published_block(f"decoders.{i}.0", d) | conv(f"downs.{i}", 2 * c, c, 2)
        out |= conv(f"ups.{i}.0", 4 * d, 2 * d, 1, bias=False)
    return out | published_block("middle_blks.0", 16 * width)


def published_ufpnet(width: int, encoder: tuple[int, ...]) -> Shapes:
    """Returns the keys of Fangzhenxuan/UFPDeblur, where the code network and the flow have one size only."""
    taps, out = 361, published_nafnet(width, encoder)
    for i, blocks in enumerate(encoder):
        out |= conv(f"kernel_down.{i}", taps, taps, 2)
        name, c = f"encoders.{i}.0.kernel_atttion", width * 2**i
        if blocks == 1:
            out |= conv(f"{name}.conv_1.0", c, c, 3) | conv(f"{name}.conv_2.0", c, 2 * c, 3)
            out |= conv(f"{name}.conv_kernel.0", c, taps, 3) | conv(f"{name}.conv_kernel.2", c, c, 3)
    out |= {f"flow.{name}": (1,) for name in ("kernel_size", "alpha", "normalization")}
    out |= {f"flow.base_dist_{name}": (taps,) for name in ("mean", "var")}
    for i in range(0, 10, 2):
        out[f"flow.net.{i}.mask"] = (taps,)
        for net in ("s_net", "t_net"):
            for j, (a, b) in zip((0, 2, 4), ((25, taps), (25, 25), (taps, 25)), strict=True):
                out |= {f"flow.net.{i}.{net}.{j}.weight": (a, b), f"flow.net.{i}.{net}.{j}.bias": (a,)}
        out |= {f"flow.net.{i + 1}.{n}": (taps,) for n in ("log_gamma", "beta", "running_mean", "running_var")}
    return out | {f"kernel_extra.{key}": shape for key, shape in published_code_network(taps).items()}


def published_code_network(taps: int) -> Shapes:
    out = conv("Encoding_Block1.Conv_head", 64, 3, 3) | conv("Encoding_Block2.Conv_head", 128, 64, 3)
    out |= conv("Encoding_Block1.downsample", 64, 64, 3) | conv("Encoding_Block2.downsample", 128, 128, 3)
    out |= conv("Decoding_Block1.Conv_head", 128, 256, 3) | conv("Decoding_Block2.Conv_head", 64, 128, 3)
    for i, c in ((1, 128), (2, 64)):  # a transposed convolution's weights: inputs first
        out |= {f"Decoding_Block{i}.Conv_t.weight": (2 * c, c, 3, 3), f"Decoding_Block{i}.Conv_t.bias": (c,)}
    for i in range(5):
        out |= conv(f"Conv_mid.body.{2 * i}", 256, 256 if i else 128, 3)
    blocks = {"Encoding_Block1": 64, "Encoding_Block2": 128, "Decoding_Block1": 128, "Decoding_Block2": 64}
    for block, c in blocks.items():
        for i in (1, 2):
            out |= conv(f"{block}.ResBlock{i}.body.1", c, c, 3) | conv(f"{block}.ResBlock{i}.body.3", c, c, 3)
    for head in ("mean", "var"):
        out |= conv(f"Conv_tail.{head}.0", 64, 64, 3) | conv(f"Conv_tail.{head}.2", taps, 64, 3)
    return out


def waves(network: nn.Module) -> dict[str, Tensor]:
    """Makes weights without a random generator, so that golden values hold in every version."""
    fixed = ("mask", "kernel_size", "alpha", "normalization", "base_dist_mean", "base_dist_var")
    out = {}
    for i, (key, value) in enumerate(sorted(network.state_dict().items())):
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 1.7 + i).reshape(value.shape).float()
        if key.endswith(fixed):
            out[key] = value
        elif key.endswith("running_var") or (".norm" in key and key.endswith("weight")):
            out[key] = 1 + 0.5 * wave
        elif value.ndim > 1 and value.shape[0] > 1:
            out[key] = wave * (2 / value[0].numel()) ** 0.5
        else:
            out[key] = 0.3 * wave
    return out


def picture(height: int, width: int, batch: int = 1) -> Tensor:
    wave = torch.sin(torch.arange(batch * 3 * height * width, dtype=torch.float64) * 0.37)
    return (0.5 + 0.5 * wave).reshape(batch, 3, height, width).float()


def narrow(kind: type[NAFNet]) -> NAFNet:
    return kind(8, SMALL) if kind is NAFNet else UFPNet(8, SMALL, size=5, code_width=4, hidden=6)


@pytest.mark.parametrize(("width", "million", "giga"), [(32, 17.11, 15.95), (64, 67.89, 63.05)])
def test_nafnet_has_the_published_counts(width, million, giga):
    with torch.device("meta"):
        network = NAFNet(width)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(million, abs=0.005)
    assert multiply_accumulates(network) / 1e9 == pytest.approx(giga, rel=0.003)


def test_ufpnet_and_its_parts_have_their_counts():
    with torch.device("meta"):
        network, kernels = UFPNet(), nn.Module()
        kernels.flow = network.flow
        kernels.forward = lambda image: network.flow.kernels(image.new_empty(1, 361, *image.shape[2:]))
    whole, code = multiply_accumulates(network) / 1e9, multiply_accumulates(network.kernel_extra) / 1e9
    inverse = multiply_accumulates(kernels) / 1e9
    attention = whole - code - inverse - 63.05
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(80.34, abs=0.005)
    assert [whole, code, inverse, attention] == pytest.approx([235.6, 96.2, 12.2, 64.0], rel=0.01)


@pytest.mark.parametrize(
    ("kind", "width", "published"),
    [(NAFNet, 32, published_nafnet), (NAFNet, 64, published_nafnet), (UFPNet, 64, published_ufpnet)],
)
def test_the_weights_have_the_published_names_and_shapes(kind, width, published):
    with torch.device("meta"):
        state = kind(width).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == published(width, ENCODER)


# Outputs of a transcription of the authors' code for the same weights and picture.
GOLDEN = {
    NAFNet: (
        [0.840853, 0.673031, 1.087549, 0.929533, 2.681079, 2.072382, 4.865327, 3.136037],
        [0.5758, -0.2252, 1.4289, 0.622, 1.1395, -0.0278, 0.64, 0.3944, 1.0435],
    ),
    UFPNet: (
        [0.955249, 1.809315, 0.670636, 1.009040, 3.559230, 2.067473, 5.335370, 3.389024],
        [0.6544, 1.0, 0.7689, 0.4924, 0.0, 0.4168, 0.7724, 1.0, 0.7747],
    ),
}


@pytest.mark.parametrize("kind", [NAFNet, UFPNet])
def test_a_prior_agrees_with_the_published_network(kind):
    network = kind(8, SMALL).eval()
    load_published({"params": waves(network)}, network)
    spreads, pixels = GOLDEN[kind]
    with torch.no_grad():
        maps, restored = Prior(network)(picture(32, 48)), network(picture(32, 48))
    assert [m.std().item() for m in maps.encoder + maps.decoder] == pytest.approx(spreads, rel=1e-3)
    assert restored[0, :, 5:30:12, 7].flatten().tolist() == pytest.approx(pixels, abs=1e-3)
    if kind is UFPNet:
        kernels = network.kernels(picture(32, 48))
        assert [kernels.mean().item(), kernels.std().item()] == pytest.approx([0.492813, 0.313432], rel=1e-4)


@pytest.mark.parametrize("wrap", [dict, lambda s: {"params": s}, lambda s: {"state_dict": s}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_form_of_a_published_checkpoint_loads(wrap, prefix, tmp_path: Path):
    shapes = published_nafnet(4, SMALL)
    state = {prefix + key: torch.full(shape, i / 1000) for i, (key, shape) in enumerate(shapes.items())}
    torch.save(wrap(state), tmp_path / "published.pth")
    network = load_published(tmp_path / "published.pth", NAFNet(4, SMALL))
    assert all(torch.equal(value, state[prefix + key]) for key, value in network.state_dict().items())


def test_ufpnet_loads_by_its_published_keys():
    shapes = published_ufpnet(4, SMALL)
    state = {key: torch.full(shape, i / 1000) for i, (key, shape) in enumerate(shapes.items())}
    network = load_published(state, UFPNet(4, SMALL))
    assert (
        network.encoders[2][0].kernel_atttion.conv_2[0].weight.flatten()[0]
        == state["encoders.2.0.kernel_atttion.conv_2.0.weight"].flatten()[0]
    )
    assert network.flow.net[9].log_gamma[0] == state["flow.net.9.log_gamma"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("encoders.3.1.sca.1.bias"), "weights: missing key `encoders.3.1.sca.1.bias`"),
        (lambda s: [s.pop("intro.bias"), s.pop("intro.weight")], "weights: missing key `intro.weight` and 1 more"),
        (lambda s: s.update(extra=torch.zeros(1)), "weights: left-over key `extra`"),
        (
            lambda s: s.update({"ending.weight": torch.zeros(3, 4, 1, 1)}),
            "weights: `ending.weight` has shape [3, 4, 1, 1], expected [3, 4, 3, 3]",
        ),
        (lambda s: s.update({"ending.bias": None}), "weights: `ending.bias` is not a tensor"),
    ],
)
def test_a_wrong_key_gives_one_line_that_names_the_key(change, message):
    network = NAFNet(4, SMALL)
    state = {key: torch.zeros(shape) for key, shape in published_nafnet(4, SMALL).items()}
    change(state)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError) as error:
        load_published(state, network)
    assert str(error.value) == message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", None])
def test_a_bad_file_gives_one_line_of_error(content, tmp_path: Path):
    path = tmp_path / "bad.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_published(path, NAFNet(4, SMALL))
    assert str(error.value).startswith(f"{path}: no")
    assert "\n" not in str(error.value)


class Reader(nn.Module):
    """A network with a prior inside, as DHNet-B has one."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior, self.mix = prior, nn.Conv2d(2 * prior.channels[0], 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.prior(image)
        return self.mix(torch.cat([maps.encoder[0], maps.decoder[-1]], 1))


@pytest.mark.parametrize("kind", [NAFNet, UFPNet])
def test_no_gradient_reaches_the_prior(kind):
    model = Reader(Prior(narrow(kind))).train()
    image = picture(32, 16).requires_grad_()
    model(image).square().mean().backward()
    assert model.training
    assert not any(module.training for module in model.prior.modules())
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["mix.weight", "mix.bias"]
    assert all(p.grad is None for p in model.prior.parameters())
    assert image.grad is None
    assert model.mix.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [NAFNet, UFPNet])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80)])
def test_a_prior_returns_maps_of_every_level(kind, height, width):
    prior = Prior(narrow(kind))
    maps = prior(picture(height, width, batch=2))
    expected = [(2, c, height >> i, width >> i) for i, c in enumerate(prior.channels)]
    assert prior.channels == [8, 16, 32, 64]
    assert [tuple(m.shape) for m in maps.encoder] == expected
    assert [tuple(m.shape) for m in maps.decoder] == expected[::-1]
    assert all(m.isfinite().all() for m in maps.encoder + maps.decoder)


@pytest.mark.parametrize("kind", [NAFNet, UFPNet])
def test_a_prior_returns_the_same_maps_twice(kind):
    prior, image = Prior(narrow(kind)), picture(32, 32)
    first, second = prior(image), prior(image)
    pairs = zip(first.encoder + first.decoder, second.encoder + second.decoder, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_nafnet_trains_as_a_baseline():
    network, image = NAFNet(8, SMALL).train(), picture(32, 32)
    torch.nn.init.ones_(network.encoders[0][0].beta)
    (network(image) - 0.5).square().mean().backward()
    assert network.encoders[0][0].conv1.weight.grad.abs().sum() > 0


def test_the_flow_is_its_own_inverse():
    prior = flow.KernelPrior(5, hidden=6)
    prior.load_state_dict(waves(prior))
    code = picture(4, 6)[:, :1].expand(1, 25, 4, 6) * torch.linspace(-1, 1, 25)[None, :, None, None]
    assert torch.allclose(prior(prior.inverse(code)), code, atol=1e-5)


def test_the_flow_in_chunks_equals_the_whole(monkeypatch: pytest.MonkeyPatch):
    prior = flow.KernelPrior(5, hidden=6)
    prior.load_state_dict(waves(prior))
    code = torch.sin(torch.arange(2 * 25 * 7 * 6.0)).reshape(2, 25, 7, 6)
    whole = prior.kernels(code)
    monkeypatch.setattr(flow, "CHUNK", 24)  # two rows at a time
    assert torch.allclose(prior.kernels(code), whole, atol=1e-6)
    assert whole.min() > -2e-6
    assert whole.max() < 1 + 2e-6
