"""What pages and reports call checkpoints: by network and start, "MobileNetV2 (pretrained)"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from model.checkpoints.folder import Checkpoint
from model.data.files import OWN_FOLDER

ENCODER_TITLES = {
    "mobilenet_v2": "MobileNetV2",
    "resnet34": "ResNet34",
    "vgg16_bn": "VGG16",
}
"""Encoders as people write them; others go by their name in the registry."""


def title(checkpoint: Checkpoint) -> str:
    """By network and start: "MobileNetV2 (pretrained)"."""
    return title_of(checkpoint.description.get("encoder", {}))


def title_of(encoder: dict[str, Any]) -> str:
    """The same from what a description says under "encoder"."""
    name = encoder.get("name")
    if not name:
        return "U-Net from scratch"
    network = ENCODER_TITLES.get(name, name)
    return f"{network} (pretrained)" if encoder.get("pretrained") else f"{network} from scratch"


def titles(checkpoints: Sequence[Checkpoint]) -> dict[str, str]:
    """Titles by checkpoint name; where two would be called the same, the name tells them apart."""
    return told_apart({checkpoint.name: title(checkpoint) for checkpoint in checkpoints})


def data_key(checkpoint: Checkpoint) -> str:
    """Checkpoints with equal keys can be compared: the data set; each user's own folder is one."""
    if checkpoint.data_name != OWN_FOLDER:
        return checkpoint.data_name
    return f"{OWN_FOLDER} {checkpoint.description.get('data', {}).get('digest', '')}"


def own_folder(checkpoint: Checkpoint) -> str:
    """The name of the folder of own pictures that it was trained on, "" for known data sets: the
    training's --data, without where the folder lay."""
    return str(checkpoint.description.get("training", {}).get("data", "")).partition(":")[2]


def data_title(checkpoint: Checkpoint) -> str:
    """Its data set's name in short: "Oxford-IIIT Pet"."""
    data = checkpoint.description.get("data", {})
    return (data.get("title") or checkpoint.data_name).partition(",")[0]


def told_apart(plain: dict[str, str]) -> dict[str, str]:
    """The same titles by name; the name is appended to those that several share."""
    shared = Counter(plain.values())
    return {name: f"{text} · {name}" if shared[text] > 1 else text for name, text in plain.items()}
