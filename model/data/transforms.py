"""Samples as tensors for training: cached, augmented, normalised.

Pictures are decoded and scaled once and kept as uint8; each epoch then only pays for the
augmentation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from model.data.classes import VOID
from model.data.datasets import DataSet
from model.data.preprocessing import Preprocessing


class SampleDataset(Dataset):
    """Pictures and labels of one part of a split, scaled by `preprocessing`, cached in memory.

    Items: `tv_tensors.Image` uint8 (3, h, w) and `tv_tensors.Mask` uint8 (h, w).
    """

    def __init__(
        self,
        data: DataSet,
        names: list[str],
        preprocessing: Preprocessing,
        transform: v2.Transform | None = None,
    ) -> None:
        self.data = data
        self.names = names
        self.preprocessing = preprocessing
        self.transform = transform
        self._cache: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index not in self._cache:
            self._cache[index] = self._read(self.names[index])
        image, labels = self._cache[index]
        image, labels = tv_tensors.Image(image), tv_tensors.Mask(labels)
        return self.transform(image, labels) if self.transform else (image, labels)

    def _read(self, name: str) -> tuple[Tensor, Tensor]:
        image, labels = self.data.pair(name)
        image = torch.from_numpy(self.preprocessing.fit_image(image).copy()).permute(2, 0, 1)
        labels = torch.from_numpy(self.preprocessing.fit_labels(labels).copy())
        return image.contiguous(), labels


def augmentation(preprocessing: Preprocessing, crop: int) -> v2.Transform:
    """Random scale 0.75 to 1.5, a crop of `crop` x `crop`, horizontal flip, and colour.

    Where the scaled picture is smaller than the crop it is padded with the mean colour and
    void labels. Brightness, contrast and saturation vary by up to 30 %; hue does not: it
    costs more than all the rest together.
    """
    mean_colour = [round(255 * value) for value in preprocessing.mean]
    return v2.Compose(
        [
            RandomScale(0.75, 1.5),
            v2.RandomCrop(
                crop,
                pad_if_needed=True,
                fill={tv_tensors.Image: mean_colour, tv_tensors.Mask: VOID},
            ),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
        ]
    )


class RandomScale(v2.Transform):
    """Scales picture and labels by one random factor from `low` to `high`.

    Labels are taken at pixel centres ("nearest-exact"). torchvision's own transforms take
    those of masks at pixel corners, which moves them by half a pixel against the picture.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list[Tensor]) -> dict[str, list[int]]:
        scale = torch.empty(()).uniform_(self.low, self.high).item()
        return {"size": [max(1, round(scale * side)) for side in flat_inputs[0].shape[-2:]]}

    def transform(self, inpt: Tensor, params: dict[str, list[int]]) -> Tensor:
        if not isinstance(inpt, tv_tensors.Mask):
            return v2.functional.resize(inpt, params["size"], antialias=True)
        scaled = v2.functional.resize_image(
            inpt.as_subclass(Tensor)[None], params["size"], v2.InterpolationMode.NEAREST_EXACT
        )
        return tv_tensors.Mask(scaled[0])


class Collate:
    """Stacks samples into a normalised batch.

    Pictures of different sizes are padded to the largest, and to the preprocessing's
    multiple, with the mean colour and void labels, as `Preprocessing.network_input` does.

    Returns: float32 (B, 3, H, W) channels_last, and int64 (B, H, W).
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self.mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
        self.std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)

    def __call__(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        height, width = self.preprocessing.padded_hw(
            max(image.shape[-2] for image, _ in samples),
            max(image.shape[-1] for image, _ in samples),
        )
        images = torch.zeros(len(samples), 3, height, width).contiguous(
            memory_format=torch.channels_last
        )
        targets = torch.full((len(samples), height, width), VOID, dtype=torch.int64)
        for index, (image, labels) in enumerate(samples):
            h, w = labels.shape[-2:]
            # Subclass dispatch of tv_tensors costs more than the arithmetic.
            pixels = image.as_subclass(Tensor).float().div_(255)
            images[index, :, :h, :w] = (pixels - self.mean[0]) / self.std[0]
            targets[index, :h, :w] = labels.as_subclass(Tensor)
        return images, targets
