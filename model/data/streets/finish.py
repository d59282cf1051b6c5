"""From the canvas to picture and labels."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from model.data.streets.colours import BLACK, mix
from model.data.streets.scene import GRASS, LABELS, ROUGHNESS, Scene, smooth_noise


def majority(values: np.ndarray) -> np.ndarray:
    """Halves an array (2H, 2W) by the commonest of four values; in a tie the upper left wins."""
    height, width = values.shape[0] // 2, values.shape[1] // 2
    quarters = values.reshape(height, 2, width, 2).transpose(1, 3, 0, 2)
    a, b, c, d = quarters.reshape(4, height, width)
    alone = (a != b) & (a != c) & (a != d)
    return np.where(alone & ((b == c) | (b == d)), b, np.where(alone & (c == d), c, a))


def finish_ground(scene: Scene, picture: Image.Image, materials: np.ndarray) -> np.ndarray:
    """Lays shadows and haze on the picture's ground. Returns stains: factors (H, W)."""
    (width, height), light = scene.size_wh, scene.light
    stains = np.ones((height, width), np.float32)
    first = min(height - 1, int(scene.horizon * height) + 1)
    rows = (np.arange(first, height, dtype=np.float32) + 0.5)[:, None] / height - scene.horizon
    z = scene.focal * scene.eye / rows
    ground = materials[first:] <= GRASS

    shade = 0.62 * np.asarray(scene.shadows)[first:]
    haze = 255 * (1 - np.exp(-z / light.visibility))
    for alpha, colour in ((shade, mix(BLACK, light.ambient, 40)), (haze, light.haze)):
        mask = Image.fromarray((alpha * ground).astype(np.uint8))
        picture.paste(tuple(int(c) for c in colour), (0, first), mask)

    tile = 0.03 * smooth_noise(scene.rng, 16, 128)
    tile = tile + 0.05 * scene.rng.standard_normal((128, 128), dtype=np.float32)
    columns = (np.arange(width, dtype=np.float32) + 0.5) / width - scene.vanishing
    x = columns * z / (0.75 * scene.focal) - scene.bend(z)
    grain = tile[(z * 9).astype(np.int32) & 127, (x * 12).astype(np.int32) & 127]
    stains[first:] += grain * ground / (1 + z / 25)
    return stains


def develop(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Camera and sensor: halves the canvas; ground's finish, blur, exposure, texture, noise."""
    rng = scene.rng
    materials = majority(np.asarray(scene.canvas.getchannel("A")))
    picture = scene.canvas.convert("RGB").reduce(2)
    stains = finish_ground(scene, picture, materials)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.1, 0.6)))
    exposure = (110 / np.asarray(picture)[::8, ::8].mean()) ** rng.uniform(0.3, 0.9)
    gains = exposure * rng.uniform(0.85, 1.2) * rng.normal(1, 0.035, 3)
    curve = 255 * np.linspace(0, 1, 256) ** rng.uniform(0.8, 1.25)
    picture = picture.point(np.outer(gains, curve).clip(0, 255).astype(int).ravel().tolist())
    noise = rng.standard_normal(materials.shape, dtype=np.float32)
    texture = stains + noise * ROUGHNESS[materials]
    noise = noise[::-1] * np.float32(rng.uniform(1, 5))  # upside down it is as good as new
    image = np.empty((*materials.shape, 3), np.uint8)
    for channel, band in enumerate(picture.split()):
        image[..., channel] = (np.asarray(band) * texture + noise).clip(0, 255)
    return image, LABELS[materials]
