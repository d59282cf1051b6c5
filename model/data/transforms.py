"""Samples as tensors for training: cached, augmented, normalised.

Pictures are decoded and scaled once and kept as uint8; each epoch then only pays for the
augmentation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from model.data.cache import MEMORY_LIMIT, SampleCache
from model.data.classes import VOID
from model.data.datasets import DataSet
from model.data.preprocessing import Preprocessing
from model.data.statistics import Statistics, measure
from model.errors import ConfigError

LUMA = torch.tensor([0.2989, 0.587, 0.114])
"""The weights of R, G and B in grey (ITU-R BT.601), as in torchvision."""

Sample = tuple[tv_tensors.Image, tv_tensors.Mask]


class SampleDataset(Dataset):
    """Pictures and labels of some samples, scaled by `preprocessing` and cached.

    Items: `tv_tensors.Image` uint8 (3, h, w) and `tv_tensors.Mask` uint8 (h, w), or what
    `transform` makes of the two. Without a transform they may be views of the cache.

    Args: memory_limit: bytes of samples to keep in memory; the rest is kept in a file, see
        `SampleCache`. With worker processes call `load` first, else each fills a cache of
        its own.
    """

    def __init__(
        self,
        data: DataSet,
        names: list[str],
        preprocessing: Preprocessing,
        transform: v2.Transform | None = None,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self.data = data
        self.names = names
        self.preprocessing = preprocessing
        self.transform = transform
        self.cache = SampleCache(memory_limit)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        kept = self.cache.get(index) or self._fit(index, *self.data.pair(self.names[index]))
        image = tv_tensors.Image(torch.from_numpy(kept[0]).permute(2, 0, 1))
        labels = tv_tensors.Mask(torch.from_numpy(kept[1]))
        return self.transform(image, labels) if self.transform else (image, labels)

    def load(self, description: str = "reading pictures") -> Statistics:
        """Reads all samples into the cache, in threads, and counts their labels on the way.

        Returns: the statistics of the labels as they are in the data set, before scaling.
        Raises: `DataError`, `ImageError` for samples that cannot be read.
        """
        numbers = {name: number for number, name in enumerate(self.names)}

        def pair(name: str):
            image, labels = self.data.pair(name)
            self._fit(numbers[name], image, labels)
            return image, labels

        return measure(self.data, self.names, description, pair=pair)

    def _fit(self, index: int, image, labels):
        fit = self.preprocessing
        return self.cache.keep(index, fit.fit_image(image), fit.fit_labels(labels))


class Tiles(Dataset):
    """The samples of a dataset cut into tiles of at most `side` x `side`, side by side.

    For validation with the size policies "tile" and "crop": whole pictures could be too large for
    the network. Reads each sample once when constructed, to know their sizes.
    """

    def __init__(self, samples: SampleDataset, side: int) -> None:
        self.samples = samples
        self.side = side
        self._corners = [
            (index, top, left)
            for index in range(len(samples))
            for height, width in [samples[index][1].shape]
            for top in range(0, height, side)
            for left in range(0, width, side)
        ]

    def __len__(self) -> int:
        return len(self._corners)

    def __getitem__(self, index: int) -> Sample:
        number, top, left = self._corners[index]
        tile = (..., slice(top, top + self.side), slice(left, left + self.side))
        image, labels = self.samples[number]
        return tv_tensors.Image(image[tile]), tv_tensors.Mask(labels[tile])


def augmentation(
    preprocessing: Preprocessing, crop: int, strength: float = 1.0, *, turn: bool = False
) -> v2.Transform:
    """Random scale and crop, horizontal flip, and colour.

    At `strength` 1 pictures are scaled by 0.75 to 1.5 and cropped to `crop` x `crop`, and
    brightness, contrast and saturation vary by up to 30 %. Hue does not: it costs more than
    all the rest together. With the size policy "pad" pictures stay whole and unscaled.

    Args:
        crop: side of the crops, in pixels. Where a picture is smaller it is padded with the
            mean colour and void labels.
        strength: from 0, where nothing but the crop's position is random, to 2; the scale's
            bounds are raised to its power, the changes of colour multiplied by it.
        turn: also rotate by a random number of quarter turns.

    Raises: `ConfigError` for a strength out of this range.
    """
    if not 0 <= strength <= 2:
        raise ConfigError(f"The strength of augmentation must be from 0 to 2, got {strength}.")
    steps: list[v2.Transform] = []
    if preprocessing.size_policy != "pad":
        scales = 0.75**strength, 1.5**strength
        steps.append(RandomScaledCrop(crop, scales, preprocessing.mean))
    if strength:
        steps.append(v2.RandomHorizontalFlip(0.5))
    if turn:
        steps.append(RandomTurn())
    if strength:
        steps.append(RandomColour(0.3 * strength))
    return v2.Compose(steps or [v2.Identity()])


class RandomScaledCrop(v2.Transform):
    """A random square window of picture and labels, scaled to `side` x `side`.

    The window is chosen first and only its pixels are scaled. Where it reaches beyond the
    picture it is filled with the mean colour and void labels.

    Labels are taken at pixel centres ("nearest-exact"). torchvision's own transforms take
    those of masks at pixel corners, which shifts them by half a pixel relative to the picture.

    Args:
        side: of the result, in pixels.
        scales: bounds of the random scale; the window's side is `side` divided by it, rounded.
        mean: the colour to fill with, per RGB channel, in [0, 1].
    """

    def __init__(
        self, side: int, scales: tuple[float, float], mean: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.side = side
        self.scales = scales
        self.mean_colour = torch.tensor([round(255 * value) for value in mean], dtype=torch.uint8)

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, tuple[int, int, int, int]]:
        scale = torch.empty(()).uniform_(*self.scales).item()
        window = max(1, round(self.side / scale))
        height, width = flat_inputs[0].shape[-2:]
        return {"rows": self._place(height, window), "columns": self._place(width, window)}

    def _place(self, length: int, window: int) -> tuple[int, int, int, int]:
        """Along one axis: the first and the last pixel taken, and their start and number in the
        result."""
        room = length - window
        start = min(0, room) + int(torch.randint(abs(room) + 1, ()))
        first, last = max(0, start), min(length, start + window)
        begin = min(self.side - 1, round(max(0, -start) * self.side / window))
        size = round((last - first) * self.side / window)
        return first, last, begin, min(self.side - begin, max(1, size))

    def transform(self, inpt: Tensor, params: dict[str, tuple[int, int, int, int]]) -> Tensor:
        top, bottom, y, height = params["rows"]
        left, right, x, width = params["columns"]
        seen = inpt.as_subclass(Tensor)[..., top:bottom, left:right]
        scaled = seen.reshape(1, -1, bottom - top, right - left)
        if isinstance(inpt, tv_tensors.Mask):
            fill = torch.tensor([VOID], dtype=torch.uint8)
            scaled = nn.functional.interpolate(scaled, (height, width), mode="nearest-exact")
        else:
            fill = self.mean_colour
            # With a pixel's channels side by side it takes half the time.
            scaled = scaled.contiguous(memory_format=torch.channels_last)
            if scaled.shape[-2:] != (height, width):
                scaled = nn.functional.interpolate(
                    scaled, (height, width), mode="bilinear", antialias=True
                )
        if (height, width) != (self.side, self.side):
            whole = fill.repeat(self.side, self.side, 1).permute(2, 0, 1)[None]
            whole[..., y : y + height, x : x + width] = scaled
            scaled = whole
        return tv_tensors.wrap(scaled.view(*inpt.shape[:-2], self.side, self.side), like=inpt)


class RandomTurn(v2.Transform):
    """Rotates picture and labels by 0 to 3 quarter turns; by 0 or 2 where they are not square."""

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, int]:
        height, width = flat_inputs[0].shape[-2:]
        step = 1 if height == width else 2
        return {"quarters": step * int(torch.randint(4 // step, ()))}

    def transform(self, inpt: Tensor, params: dict[str, int]) -> Tensor:
        turned = torch.rot90(inpt.as_subclass(Tensor), params["quarters"], (-2, -1))
        return tv_tensors.wrap(turned, like=inpt)


class RandomColour(v2.Transform):
    """Changes brightness, contrast and saturation of a picture by random factors.

    Like `v2.ColorJitter`, whose three steps take half of an item's time. Each of the three is
    linear in the pixels, and they commute, so that their product is one matrix; values are
    clipped once at the end, and not after each step.

    Pictures: uint8 (3, H, W) -> float32 (3, H, W) in [0, 1].

    Args: change: the factors are drawn from 1 - `change` to 1 + `change`.
    """

    def __init__(self, change: float) -> None:
        super().__init__()
        self.change = change

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, float]:
        factors = torch.empty(3).uniform_(1 - self.change, 1 + self.change).tolist()
        return dict(zip(("brightness", "contrast", "saturation"), factors, strict=True))

    def transform(self, inpt: Tensor, params: dict[str, float]) -> Tensor:
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        pixels = inpt.as_subclass(Tensor).permute(1, 2, 0)  # (H, W, 3)
        # Several pixels at a time: products of matrices as small as 3 x 3 are slow.
        group = math.gcd(pixels.shape[0] * pixels.shape[1], 8)
        rows = pixels.reshape(-1, 3 * group).float()
        saturation, gain = params["saturation"], params["brightness"] / 255
        grey = rows.mean(0).view(group, 3).mean(0) @ LUMA  # of the whole picture
        mixed = saturation * torch.eye(3) + (1 - saturation) * LUMA[:, None]
        mixed = torch.kron(torch.eye(group), gain * params["contrast"] * mixed)
        rows = torch.addmm(gain * (1 - params["contrast"]) * grey, rows, mixed).clamp_(0, 1)
        return tv_tensors.Image(rows.view(pixels.shape).permute(2, 0, 1))


class Collate:
    """Stacks samples into a normalised batch.

    Pictures may be uint8, or float in [0, 1]. Those of different sizes are padded to the
    largest, and to the preprocessing's multiple, with the mean colour and void labels, as
    `Preprocessing.network_input` does.

    Returns: float32 (B, 3, H, W) channels_last, and int64 (B, H, W).
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        std = torch.tensor(preprocessing.std)
        self.scale = 1 / (255 * std)
        self.shift = torch.tensor(preprocessing.mean) / std

    def __call__(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        height, width = self.preprocessing.padded_hw(
            max(image.shape[-2] for image, _ in samples),
            max(image.shape[-1] for image, _ in samples),
        )
        images = torch.zeros(len(samples), height, width, 3)
        targets = torch.full((len(samples), height, width), VOID, dtype=torch.int64)
        # A row of pixels is one long vector: arithmetic on three numbers at a time is slow.
        scale, shift = self.scale.repeat(width), self.shift.repeat(width)
        for index, (image, labels) in enumerate(samples):
            h, w = labels.shape[-2:]
            # Plain tensors: the subclass dispatch of tv_tensors costs more than the arithmetic.
            pixels = image.as_subclass(Tensor).permute(1, 2, 0)
            rows = images[index, :h, :w].flatten(1)  # (h, 3w), a view
            rows.copy_(pixels.flatten(1))
            rows.mul_(scale[: 3 * w] * (1 if pixels.dtype == torch.uint8 else 255))
            rows.sub_(shift[: 3 * w])
            targets[index, :h, :w] = labels.as_subclass(Tensor)
        return images.permute(0, 3, 1, 2), targets
