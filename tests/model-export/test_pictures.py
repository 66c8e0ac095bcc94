"""Tests metrics, tiling, blur synthesis and losses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT, picture
from dhnet.config import DataConfig
from dhnet.data import blur_synthesis
from dhnet.data.training_pairs import Source
from dhnet.evaluation import metrics, tiling
from dhnet.layers import local_pooling
from dhnet.training import losses
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_scikit_image(seed):
    sharp = picture(64, 81, seed)
    noise = np.random.default_rng(seed).normal(0, 12, sharp.shape)
    worse = np.clip(sharp + noise, 0, 255).astype(np.uint8)
    assert metrics.psnr(worse, sharp) == pytest.approx(peak_signal_noise_ratio(sharp, worse), abs=1e-9)
    theirs = structural_similarity(
        sharp, worse, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert metrics.ssim(worse, sharp) == pytest.approx(theirs, abs=1e-3)


def test_equal_pictures_have_infinite_psnr_and_ssim_of_one():
    a = picture(20, 20)
    assert metrics.psnr(a, a) == float("inf")
    assert metrics.ssim(a, a) == pytest.approx(1)
    assert np.isnan(metrics.ssim(a[:5], a[:5]))


def test_tiling_equals_its_golden_file():
    for case in json.loads((ROOT / "tiling-golden.json").read_text()):
        p = tiling.plan(case["length"], case["tile"], case["overlap"], case["pad_multiple"], case.get("align", 1))
        assert p.starts == case["starts"]
        assert [p.extent] * len(p.starts) == case["extents"]
        assert p.ramp_starts == case["ramp_starts"]


@pytest.mark.parametrize("length", [1, 15, 16, 64, 65, 111, 112, 113, 200, 777])
def test_tiles_cover_an_axis_and_their_weights_add_to_one(length):
    p = tiling.plan(length, 64, 16, 16)
    total = np.zeros(max(length, p.extent))
    for i, start in enumerate(p.starts):
        total[start : start + p.extent] += tiling.weights(p, i, 16)
    assert np.allclose(total, 1)
    assert p.starts[-1] + p.extent >= length


@pytest.mark.parametrize(("pad_multiple", "align"), [(16, 1), (64, 16)])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (63, 65), (150, 97)])
def test_blending_unchanged_tiles_returns_the_picture(size, pad_multiple, align):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    assert np.array_equal(tiling.apply(image, lambda tile: tile, 64, 16, pad_multiple, align), image)


def test_padding_reflects_without_repeating_the_edge():
    row = np.arange(3, dtype=np.uint8)[None, :, None].repeat(3, 2)
    assert tiling.padded(row, 1, 8)[0, :, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert tiling.padded(row[:, :1], 1, 3)[0, :, 0].tolist() == [0, 0, 0]


def test_trajectory_has_its_length_and_mean_zero():
    for seed in range(20):
        path = blur_synthesis.trajectory(np.random.default_rng(seed), 17.0, 15)
        assert np.allclose(path.mean(0), 0)
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(17.0)


def test_an_identity_pair_is_exact():
    photo = picture(80, 80)
    c = DataConfig(patch=32, identity=1.0, noise=0, jpeg=0)
    given, target = blur_synthesis.synthesise(photo, photo, c, np.random.default_rng(0))
    assert torch.equal(given, target)
    assert np.array_equal(target.permute(1, 2, 0).numpy(), photo[24:56, 24:56])


def test_no_motion_renders_the_picture_itself():
    source = torch.from_numpy(picture(48, 48)).permute(2, 0, 1).float()
    still = torch.eye(3)[:2].repeat(3, 1, 1)
    shots = blur_synthesis.render(source, still, 32)
    assert torch.allclose(shots.mean(0), source[:, 8:40, 8:40], atol=1e-2)


def test_a_straight_shake_keeps_the_centroid_of_a_spot():
    source = torch.zeros(1, 65, 65)
    source[0, 32, 32] = 1
    maps = torch.eye(3)[:2].repeat(9, 1, 1)
    maps[:, 0, 2] = torch.arange(-4.0, 5.0)  # horizontal, symmetric about the middle frame
    shots = blur_synthesis.render(source, maps, 33)
    smear, target = shots.mean(0)[0], shots[4, 0]
    columns = torch.arange(33.0)
    centre = (smear.sum(0) * columns).sum() / smear.sum()
    assert centre.item() == pytest.approx(16.0, abs=1e-3)
    assert torch.allclose(smear, smear.flip(1), atol=1e-5)
    assert target[16, 16].item() == pytest.approx(1, abs=1e-3)
    assert smear.sum(0)[12:21].tolist() == pytest.approx([1 / 9] * 9, abs=1e-3)


@pytest.mark.parametrize("sides", [0, 6])
def test_defocus_kernels_are_normalised_and_centred(sides):
    kernel = blur_synthesis.disc(3.3, sides)
    axis = torch.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    assert (kernel.sum(0) * axis).sum().item() == pytest.approx(0, abs=1e-5)


def test_a_soft_photo_is_input_and_target_alike():
    c = DataConfig(patch=48, identity=1.0, soft=1.0, noise=0, jpeg=0)
    photo = np.random.default_rng(2).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    made, target = blur_synthesis.synthesise(photo, photo, c, np.random.default_rng(1))
    sharp = torch.from_numpy(photo[24:72, 24:72].copy()).permute(2, 0, 1)
    assert torch.equal(made, target)
    assert target.float().diff(dim=2).abs().mean() < 0.9 * sharp.float().diff(dim=2).abs().mean()


def test_soft_identity_makes_only_sharp_pairs_soft_more_often():
    photo = np.random.default_rng(2).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    base = DataConfig(patch=48, soft=0.1, noise=0, jpeg=0)

    def share(c: DataConfig) -> float:
        """Returns how many of 100 targets are smoother than noise."""
        made = [blur_synthesis.synthesise(photo, photo, c, np.random.default_rng(seed))[1] for seed in range(100)]
        return sum(t.float().diff(dim=2).abs().mean().item() < 75 for t in made) / 100

    assert share(replace(base, identity=1.0)) == pytest.approx(0.1, abs=0.08)
    assert share(replace(base, identity=1.0, soft_identity=0.6)) == pytest.approx(0.6, abs=0.12)
    given = replace(base, identity=0.0)
    others = (given, replace(given, soft_identity=1.0))
    pairs = [blur_synthesis.synthesise(photo, photo, c, np.random.default_rng(3)) for c in others]
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))


def test_a_reduced_photo_is_input_and_target_and_sharper_than_a_cut_of_it(data):
    reduced = DataConfig(patch=32, real=0, reduced=1.0, noise=0, jpeg=0)
    cut = replace(reduced, reduced=0.0, identity=1.0)
    made = {c: Source(data, c, 1).batch(0, 64) for c in (reduced, cut)}
    for given, target in made.values():
        assert torch.equal(given, target)
        assert target.shape == (64, 3, 32, 32)
    steepness = [target.float().diff(dim=3).abs().mean().item() for _, target in made.values()]
    assert steepness[0] > 1.3 * steepness[1]


def test_defocus_spreads_a_point_over_its_disc_and_keeps_its_brightness():
    point = torch.zeros(1, 31, 31)
    point[0, 15, 12] = 1.0
    spread = blur_synthesis.defocused(point, 4.0, 0)[0]
    assert spread.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(spread[11:20, 8:17], blur_synthesis.disc(4.0, 0), atol=1e-6)


def test_pairs_are_repeatable_and_of_the_patch_size():
    c = DataConfig(patch=32, objects=1.0, defocus=1.0, jpeg=1.0, noise=1.0)
    make = [
        blur_synthesis.synthesise(picture(80, 80), picture(80, 80, 1), c, np.random.default_rng(5)) for _ in range(2)
    ]
    assert make[0][0].shape == (3, 32, 32)
    assert all(torch.equal(a, b) for a, b in zip(*make, strict=True))


def test_the_loss_of_equal_pictures_is_its_floor():
    x = torch.rand(2, 3, 16, 16)
    assert losses.total(x, x, x, 0.05, 0.1, 0.0).item() == pytest.approx(1.05e-3, rel=1e-3)


def test_the_edge_term_ignores_a_constant():
    x = torch.rand(1, 3, 32, 32)
    inner = losses.laplacian(x + 0.25)[:, :, 6:-6, 6:-6] - losses.laplacian(x)[:, :, 6:-6, 6:-6]
    assert inner.abs().max() < 1e-5


def test_the_relative_loss_of_the_input_is_below_one():
    x, y = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    plain = losses.per_picture(x, y, 0.05, 0.1)
    value = losses.total(x, y, x, 0.05, 0.1, 0.03)
    assert value.item() == pytest.approx((plain / (plain + 0.03)).mean().item())


def blurred_by_convolution(x: torch.Tensor) -> torch.Tensor:
    """Applies the five-tap blur of MPRNet's pyramid, with the border repeated."""
    taps = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05]).repeat(x.shape[1], 1)
    x = F.pad(x, (2, 2, 2, 2), mode="replicate")
    x = F.conv2d(x, taps[:, None, None, :], groups=x.shape[1])
    return F.conv2d(x, taps[:, None, :, None], groups=x.shape[1])


@pytest.mark.parametrize("size", [(128, 128), (37, 50)])
def test_the_laplacian_by_matrices_equals_the_one_by_convolutions_and_so_does_its_gradient(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), requires_grad=True)
    low = blurred_by_convolution(x)
    sparse = torch.zeros_like(low)
    sparse[:, :, ::2, ::2] = low[:, :, ::2, ::2] * 4
    wanted = x - blurred_by_convolution(sparse)
    found = losses.laplacian(x)
    assert torch.allclose(found, wanted, atol=2e-6)
    gradients = [torch.autograd.grad(y.abs().sum(), x, retain_graph=True)[0] for y in (found, wanted)]
    assert torch.allclose(*gradients, atol=2e-5)


def test_a_global_mean_has_the_memory_format_of_the_map_in_its_gradient_too():
    x = torch.randn(2, 16, 12, 10).to(memory_format=torch.channels_last).requires_grad_()
    means = local_pooling.local_mean(x, None)
    assert torch.allclose(means, x.mean((2, 3), keepdim=True), atol=1e-6)
    (gradient,) = torch.autograd.grad(means.square().sum(), x)
    assert torch.allclose(gradient, (2 * means / 120).expand_as(x), atol=1e-6)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
