"""Recipes by name: which settings of `TrainConfig` a `--preset` sets.

The two of a pair share data, epochs, augmentation and loss, and differ in the network and what
follows from it: a pretrained encoder expects ImageNet's normalisation, and has a lower learning
rate than the decoder, which starts from random weights.
"""

from __future__ import annotations

from typing import Any

_VGG16 = {
    "network": "unet-vgg16_bn",
    "encoder_weights": "imagenet",
    "encoder_lr_factor": 0.2,
}
_RESNET34 = {
    "network": "unet-resnet34",
    "encoder_weights": "imagenet",
    "encoder_lr_factor": 0.3,
}
_MOBILENET = {
    "network": "unet-mobilenet_v2",
    "encoder_weights": "imagenet",
    "encoder_lr_factor": 0.2,
}
_SCRATCH = {"base_width": 24}

_ROAD = {"data": "roads", "loss": "bce+dice", "epochs": 40}
_CARLA = {"data": "carla", "loss": "dice", "optimizer": "adam", "lr": 5e-4, "epochs": 40}
# How many pixels a metre has carries information: a whole tile is segmented patch by patch.
_AERIAL = {
    "data": "aerial",
    "size_policy": "tile",
    "tile": 256,
    "loss": "ce",
    "turn": True,
    "epochs": 60,
}
_PETS = {"data": "pets", "epochs": 40}
# Enlarged: poles and signs are a few pixels wide.
_CAMVID = {
    "data": "camvid",
    "class_weights": "balanced",
    "longest_side": 640,
    "crop": 320,
    "epochs": 100,
}

PRESETS: dict[str, dict[str, Any]] = {
    "road-vgg16": _ROAD | _VGG16,
    "road-scratch": _ROAD | _SCRATCH,
    "carla-scratch": _CARLA | _SCRATCH,
    "carla-resnet34": _CARLA | _RESNET34,
    "carla-mobilenet": _CARLA | _MOBILENET,
    # From the course assignment: small pictures, plain cross-entropy, judged by accuracy.
    "carla-course": {
        "data": "carla",
        "longest_side": 128,
        "crop": 96,
        "loss": "ce",
        "optimizer": "adam",
        "schedule": "constant",
        "epochs": 40,
    },
    # Patches of 256 x 256 pixels are the data set's own.
    "aerial": _AERIAL | _SCRATCH | {"normalisation": "unit"},
    "aerial-mobilenet": _AERIAL | _MOBILENET,
    "pets": _PETS | _RESNET34,
    "pets-scratch": _PETS | _SCRATCH,
    "pets-mobilenet": _PETS | _MOBILENET,
    "camvid-scratch": _CAMVID | _SCRATCH,
    "camvid-mobilenet": _CAMVID | _MOBILENET,
}
