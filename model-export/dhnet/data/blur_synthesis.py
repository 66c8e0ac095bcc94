"""Synthesises blur as an exposure does: a sharp photo is moved through sub-frames, which are averaged.

Pictures are float32 tensors [3, H, W]. Averaging is mostly done in linear light. The target is the scene at the mean
position of the exposure. For steady motion this is the middle sub-frame. For unsteady motion the middle sub-frame lies
off the blur's centre by an amount that the blurred picture does not tell, because time could run backwards; a network
that is trained on such pairs learns to do nothing.
"""

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ..config import DataConfig

GAMMA = 2.2


def trajectory(rng: np.random.Generator, length: float, frames: int) -> np.ndarray:
    """Returns a smooth random path of `length` pixels, [frames, 2] (x, y), with mean 0."""
    angle = rng.uniform(0, 2 * math.pi)
    bend = rng.normal(0, 1) * rng.choice([0.2, 1.0, 3.0])  # radians over the path: straight, curved, curly
    wobble = np.cumsum(rng.normal(0, 0.25, frames)) * rng.choice([0.0, 0.5, 1.0])
    t = np.linspace(-0.5, 0.5, frames)
    heading = angle + bend * t + wobble
    speed = 1 + 0.4 * np.sin(2 * math.pi * (t * rng.uniform(0.3, 1.2) + rng.uniform()))
    if rng.random() < 0.1:  # a jerk: most of the way in a few frames
        speed[rng.integers(frames)] += frames * rng.uniform(0.1, 0.4)
    step = np.stack([np.cos(heading), np.sin(heading)], 1) * speed[:, None]
    path = np.cumsum(step, 0)
    path *= length / max(float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()), 1e-6)
    return path - path.mean(0)


def motion(rng: np.random.Generator, length: float, frames: int, size: int, turn: float) -> Tensor:
    """Returns affine maps [frames + 1, 2, 3] from centred output pixels to source pixels: path, `turn` × rotation,
    zoom.

    The last map is the mean pose, the identity.
    """
    path = np.concatenate([trajectory(rng, length, frames), np.zeros((1, 2))])
    t = np.append(np.linspace(-1, 1, frames), 0.0)
    angle = t * rng.normal(0, 1) * (min(length, 20) / size) * 0.5 * turn
    zoom = t * rng.normal(0, 1) * (min(length, 20) / size) * 0.3 * turn
    centre = rng.uniform(-1.5, 1.5, 2) * size
    cos, sin = (1 + zoom) * np.cos(angle), (1 + zoom) * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    shift = path + centre - linear @ centre
    return torch.from_numpy(np.concatenate([linear, shift[:, :, None]], 2)).float()


def render(source: Tensor, maps: Tensor, size: int) -> Tensor:
    """Samples `source` [C, S, S] at every map: [frames, C, size, size], bilinear, reflected at the edges."""
    s = source.shape[-1]
    axis = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    base = torch.stack([axis.repeat(size), axis.repeat_interleave(size), torch.ones(size * size)])
    grid = (maps @ base).transpose(1, 2) * (2 / s)  # [frames, size², 2], in units of half the source
    out = F.grid_sample(source[None], grid[None], "bilinear", "reflection", align_corners=False)[0]
    return out.unflatten(2, (size, size)).transpose(0, 1)


def blob(rng: np.random.Generator, size: int) -> Tensor:
    """Returns a random shape with soft edges, [1, size, size] in [0, 1], around the middle."""
    coarse = torch.from_numpy(rng.normal(0, 1, (1, 1, 5, 5))).float()
    noise = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)[0]
    axis = (torch.arange(size) - size / 2 - rng.uniform(-0.15, 0.15) * size) / size
    down = (torch.arange(size) - size / 2 - rng.uniform(-0.15, 0.15) * size) / size
    radius = (axis[None] / rng.uniform(0.1, 0.35)) ** 2 + (down[:, None] / rng.uniform(0.1, 0.35)) ** 2
    return torch.sigmoid((1 - radius + 0.6 * noise) * size * rng.uniform(0.06, 0.3))


def disc(radius: float, sides: int) -> Tensor:
    """Returns a defocus kernel [k, k] that sums to 1: a disc (sides 0) or a regular polygon."""
    k = 2 * math.ceil(radius) + 1
    axis = torch.arange(k) - k // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    reach = torch.sqrt(x**2.0 + y**2)
    limit = torch.tensor(radius)
    if sides:
        phi = torch.atan2(y.float(), x.float()) % (2 * math.pi / sides) - math.pi / sides
        limit = radius * math.cos(math.pi / sides) / torch.cos(phi)
    kernel = (limit + 0.5 - reach).clamp(0, 1)
    return kernel / kernel.sum()


def defocused(picture: Tensor, radius: float, sides: int) -> Tensor:
    """Returns a picture [C, H, W] out of focus, its circle of confusion `radius` pixels wide; reflected at the
    edges.
    """
    kernel = disc(radius, sides)
    pad = kernel.shape[-1] // 2
    wide = F.pad(picture[None], [pad] * 4, mode="reflect")[0]
    size = tuple(wide.shape[1:])  # by Fourier transforms, so that the cost does not grow with the kernel
    product = torch.fft.rfft2(wide) * torch.fft.rfft2(kernel, size)
    return torch.fft.irfft2(product, size)[:, 2 * pad :, 2 * pad :]


def shallow(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a photo, uint8 [S, S, 3], partly or wholly out of focus; networks learn to leave such softness alone."""
    light = (torch.linspace(0, 1, 256) ** GAMMA)[torch.from_numpy(photo.astype(np.int32)).permute(2, 0, 1)]
    soft = defocused(light, rng.uniform(1, 6), int(rng.choice([0, 6])))
    if rng.random() < 0.6:
        mask = blob(rng, photo.shape[0])
        soft = light * mask + soft * (1 - mask)
    return ((soft.clamp(0, 1) ** (1 / GAMMA)) * 255).round().byte().permute(1, 2, 0).numpy()


def far_background(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a photo, uint8 [S, S, 3], as if far out of focus, all of it or behind something sharp.

    Large bright spots without an edge are what MAXIM takes for motion blur most readily.
    """
    light = (torch.linspace(0, 1, 256) ** GAMMA)[torch.from_numpy(photo.astype(np.int32)).permute(2, 0, 1)]
    if rng.random() < 0.5:
        light = light * (1 + rng.uniform(0.5, 3) * ((light - 0.6) / 0.4).clamp(0, 1))
    radius = float(np.exp(rng.uniform(np.log(5), np.log(22))))
    if rng.random() < 0.5:
        soft = defocused(light, radius, int(rng.choice([0, 6])))
    else:
        soft = torch.from_numpy(gaussian_filter(light.numpy(), (0, radius / 2, radius / 2), mode="reflect"))
    if rng.random() < 0.75:
        mask = blob(rng, photo.shape[0])
        soft = light * mask + soft * (1 - mask)
    return ((soft.clamp(0, 1) ** (1 / GAMMA)) * 255).round().byte().permute(1, 2, 0).numpy()


def exposure(
    source: Tensor, other: Tensor, size: int, c: DataConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Returns (blurred, target), [3, size, size], in the light of `source` [3, S, S]; `other` textures moving
    objects.
    """
    length = 0.5 + (c.shake_max - 0.5) * rng.random() ** c.shake_power
    moving = rng.random() < c.objects
    still = moving and rng.random() < 0.35  # the camera stands still and the object moves
    own = 1.0 + (c.shake_max - 1) * rng.random() ** c.object_power if moving else 0.0
    shake = length * 0.1 if still else length
    frames = int(np.clip(math.ceil(max(shake, own) / 1.6), 5, 21))
    offset = torch.from_numpy(rng.uniform(-0.5, 0.5, 2)).float()
    maps = motion(rng, shake, frames, size, turn=c.turn)
    maps[:, :, 2] += offset
    shots = render(source, maps, size)
    if moving:
        mask = blob(rng, source.shape[-1])
        layer = torch.cat([other * mask, mask])
        away = motion(rng, own, frames, size, turn=c.turn if rng.random() < 0.3 else 0.0)
        away[:, :, 2] += torch.from_numpy(rng.uniform(-0.25, 0.25, (1, 2)) * size).float()
        over = render(layer, away, size)
        shots = shots * (1 - over[:, 3:]) + over[:, :3]
    blurred, target = shots[:-1].mean(0), shots[-1]
    if rng.random() < c.defocus:
        blurred = defocused(blurred, rng.uniform(1, 4.5), int(rng.choice([0, 6])))
    return blurred, target


def camera(picture: Tensor, c: DataConfig, rng: np.random.Generator) -> Tensor:
    """Adds noise and sometimes JPEG artefacts, as sensor and file do, to an sRGB picture [3, H, W]."""
    if rng.random() < c.noise:
        sigma = rng.uniform(0, c.noise_max)
        noise = torch.from_numpy(rng.standard_normal(picture.shape, dtype=np.float32))
        picture = picture + noise * sigma * (0.4 + picture.clamp(0, 1))
    if rng.random() < c.jpeg:
        buffer = io.BytesIO()
        pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        quality, subsampling = int(rng.integers(70, 99)), int(rng.choice([0, 2]))
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
        picture = torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1).float() / 255
    return picture


def sharp_pair(photo: np.ndarray, c: DataConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Returns (input, target) of a patch without blur, uint8 [3, patch, patch]; the input may have noise and JPEG."""
    target = torch.from_numpy(photo.copy()).permute(2, 0, 1)
    quiet = target.float() / 255 if rng.random() < 0.6 else camera(target.float() / 255, c, rng)
    return (quiet.clamp(0, 1) * 255).round().byte(), target


def synthesise(photo: np.ndarray, other: np.ndarray, c: DataConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Returns one training pair (input, target), uint8 [3, patch, patch], from two uint8 cuts [S, S, 3], S ≥ patch."""
    drawn = rng.random()
    if drawn < c.soft:
        photo = shallow(photo, rng)
    if rng.random() < c.identity:
        if c.soft <= drawn < c.soft_identity:
            photo = shallow(photo, rng)
        margin = (photo.shape[0] - c.patch) // 2
        middle = photo[margin : margin + c.patch, margin : margin + c.patch].copy()
        return sharp_pair(middle, c, rng)
    gamma = 1.0 if rng.random() < c.gamma_space else GAMMA
    table = torch.linspace(0, 1, 256) ** gamma
    light = [table[torch.from_numpy(p.astype(np.int32)).permute(2, 0, 1)] for p in (photo, other)]
    if rng.random() < c.highlights:  # lamps are brighter than white before the exposure clips them
        light[0] = light[0] * (1 + rng.uniform(0.5, 4) * ((light[0] - 0.85) / 0.15).clamp(0, 1))
    blurred, target = exposure(*light, c.patch, c, rng)
    blurred, target = (x.clamp(0, 1) ** (1 / gamma) for x in (blurred, target))
    blurred = camera(blurred, c, rng)
    return tuple((x.clamp(0, 1) * 255).round().byte() for x in (blurred, target))
