"""How a picture becomes the network's input and its logits become labels again.

One object, `Preprocessing`, is used by training, validation and prediction and is stored
in the checkpoint; there is no second place that resizes, pads or normalises.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from model.errors import CheckpointError, ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """Size policy and normalisation of a network.

    Attributes:
        longest_side: pictures are scaled so that their longer side has this many pixels.
            Networks learn objects at a scale; a 12-megapixel photograph of the same
            scene is brought to that scale.
        multiple: sides are then padded with the mean colour, at the right and at the
            bottom, to a multiple of this (the network halves its input several times).
        mean, std: per RGB channel, of pictures in [0, 1].

    Raises `ConfigError` for sides that are not whole numbers above 0, and for other than
    three finite means and deviations above 0.

    >>> Preprocessing(longest_side=256).fitted_hw(300, 400)
    (192, 256)
    """

    longest_side: int
    multiple: int = 32
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if any(type(side) is not int or side < 1 for side in (self.longest_side, self.multiple)):
            raise ConfigError(
                "longest_side and multiple must be whole numbers above 0, got "
                f"{self.longest_side!r} and {self.multiple!r}."
            )
        mean, std = (np.asarray(values, np.float64) for values in (self.mean, self.std))
        if not (mean.shape == std.shape == (3,) and np.isfinite(mean).all() and (std > 0).all()):
            raise ConfigError(
                "mean and std must be three numbers each, std above 0, got "
                f"{self.mean!r} and {self.std!r}."
            )

    def fitted_hw(self, height: int, width: int) -> tuple[int, int]:
        """Size (height, width) after scaling, before padding; never below 1."""
        scale = self.longest_side / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def padded_hw(self, height: int, width: int) -> tuple[int, int]:
        """The next multiples of `multiple`."""
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * (
            self.multiple
        )

    def fit_image(self, image: np.ndarray) -> np.ndarray:
        """Scales a picture, uint8 (H, W, 3) -> uint8 (h, w, 3), antialiased when shrinking."""
        height, width = self.fitted_hw(*image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        size_wh = (width, height)
        # reducing_gap first shrinks by whole factors: several times faster on photographs
        # of many megapixels, and indistinguishable at 3.
        resized = Image.fromarray(image).resize(
            size_wh, Image.Resampling.BILINEAR, reducing_gap=3.0
        )
        return np.asarray(resized)

    def fit_labels(self, labels: np.ndarray) -> np.ndarray:
        """Scales labels by nearest neighbour, uint8 (H, W) -> uint8 (h, w)."""
        height, width = self.fitted_hw(*labels.shape)
        if (height, width) == labels.shape:
            return labels
        return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))

    def network_input(self, image: np.ndarray) -> np.ndarray:
        """Scales, normalises and pads: uint8 (H, W, 3) -> float32 (1, 3, h, w)."""
        fitted = self.fit_image(image)
        height, width = fitted.shape[:2]
        # After normalisation the mean colour is zero, so zeros pad with it.
        padded = np.zeros((1, 3, *self.padded_hw(height, width)), np.float32)
        scale = 1 / (255 * np.asarray(self.std, np.float32))
        shift = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        padded[0, :, :height, :width] = (fitted * scale - shift).transpose(2, 0, 1)
        return padded

    def to_json(self) -> dict:
        return {"size_policy": "resize", **asdict(self)}

    @classmethod
    def from_json(cls, values: dict) -> Preprocessing:
        """Raises `CheckpointError` for a size policy this version does not know."""
        values = dict(values)
        policy = values.pop("size_policy", "resize")
        if policy != "resize":
            raise CheckpointError(
                f"The checkpoint asks for the size policy '{policy}', which this version does "
                "not know. Update U-Net Studio."
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
