"""How a picture becomes the network's input and its logits become labels again.

One object, `Preprocessing`, is used by training, validation and prediction and is stored
in the checkpoint; there is no second place that resizes, pads or normalises.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

from model.errors import CheckpointError, ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

SizePolicy = Literal["resize", "pad", "crop", "tile"]

MOST = {"multiple": 1024, "tile": 16384, "longest_side": 16384}
"""The longest sides in pixels: a damaged description must not ask for terabytes."""


@dataclass(frozen=True)
class Preprocessing:
    """Size policy and normalisation of a network.

    The policy says at which scale a network sees pictures, and how much of one at a time:

    | size_policy | scale             | trained on     | predicts                    |
    |-------------|-------------------|----------------|-----------------------------|
    | resize      | `longest_side`    | random crops   | the whole picture           |
    | pad         | the picture's own | whole pictures | the whole picture           |
    | crop        | the picture's own | random crops   | the whole picture           |
    | tile        | the picture's own | random crops   | in tiles of `tile` x `tile` |

    Whatever does not fill the network's input is padded with the mean colour.

    Attributes:
        longest_side: with "resize", pictures are scaled so that their longer side has this
            many pixels. Networks learn objects at a scale; a 12-megapixel photograph of the
            same scene is brought to that scale. None with the other policies.
        size_policy: see the table.
        tile: with "tile", the side of the tiles in pixels, a multiple of `multiple`.
        multiple: sides are padded, at the right and at the bottom, to a multiple of this
            (the network halves its input several times).
        mean, std: per RGB channel, of pictures in [0, 1].

    Raises `ConfigError` for sides that are not whole numbers from 1 to `MOST`, for a `longest_side`
    that the policy lacks or does not use, for a `tile` that is not a multiple of `multiple`, and
    unless there are three finite means and three finite deviations above 0.

    >>> Preprocessing(longest_side=256).fitted_hw(300, 400)
    (192, 256)
    >>> Preprocessing(size_policy="crop").fitted_hw(300, 400)
    (300, 400)
    """

    longest_side: int | None = None
    size_policy: SizePolicy = "resize"
    tile: int = 512
    multiple: int = 32
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.size_policy not in get_args(SizePolicy):
            raise ConfigError(
                f"The size policy '{self.size_policy}' is not known; choose one of "
                f"{', '.join(get_args(SizePolicy))}."
            )
        resizes = self.size_policy == "resize"
        if not resizes and self.longest_side is not None:
            raise ConfigError(
                f"The size policy '{self.size_policy}' takes pictures at their own scale: leave "
                f"longest_side out (it is {self.longest_side}), or use the policy 'resize'."
            )
        sides = {"multiple": self.multiple, "tile": self.tile}
        if resizes:
            sides["longest_side"] = self.longest_side
        for name, side in sides.items():
            if type(side) is not int or not 1 <= side <= MOST[name]:
                raise ConfigError(
                    f"{name} must be a whole number from 1 to {MOST[name]}, got {side!r}."
                )
        if self.size_policy == "tile" and self.tile % self.multiple:
            raise ConfigError(f"tile must be a multiple of {self.multiple}, got {self.tile}.")
        mean, std = (np.asarray(values, np.float64) for values in (self.mean, self.std))
        if not (
            mean.shape == std.shape == (3,) and np.isfinite([mean, std]).all() and (std > 0).all()
        ):
            raise ConfigError(
                "mean and std must be three numbers each, std above 0, got "
                f"{self.mean!r} and {self.std!r}."
            )

    def fitted_hw(self, height: int, width: int) -> tuple[int, int]:
        """Size (height, width) after scaling, before padding; never below 1."""
        if self.longest_side is None:
            return height, width
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
        for channel, plane in enumerate(padded[0, :, :height, :width]):
            # One at a time: ten times faster than all together, with bit-identical results.
            np.multiply(fitted[..., channel], scale[channel], out=plane)
            plane -= shift[channel]
        return padded

    def to_json(self) -> dict:
        """The settings; those that the size policy does not use are left out."""
        values = asdict(self)
        if self.size_policy != "resize":
            del values["longest_side"]
        if self.size_policy != "tile":
            del values["tile"]
        return values

    @classmethod
    def from_json(cls, values: dict) -> Preprocessing:
        """Raises `CheckpointError` for a size policy this version does not know, `ConfigError`
        for impossible values, `TypeError` for unknown settings."""
        policy = values.get("size_policy", "resize")
        if policy not in get_args(SizePolicy):
            raise CheckpointError(
                f"The checkpoint asks for the size policy '{policy}', which this version does "
                "not know. Update U-Net Studio."
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
