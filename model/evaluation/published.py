"""What others have published on the same data, and how they measured it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One figure of somebody else's.

    Attributes:
        what: network and source.
        figure: as they state it.
        protocol: how it was measured.
        differs: what our protocol has otherwise, a sentence.
    """

    what: str
    figure: str
    protocol: str
    differs: str


_CAMVID = "11 classes, 480 x 360, test (233 pictures), void left out, pooled"
_SAME = "The same classes, pictures and pooling; ours also chooses the epoch on validation."

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "camvid": (
        Published("SegNet, pretrained", "mean IoU 46.4", _CAMVID, _SAME),
        Published("FCN-8, pretrained", "mean IoU 57.0", _CAMVID, _SAME),
        Published("Bayesian SegNet, pretrained", "mean IoU 63.1", _CAMVID, _SAME),
        Published("Dilation8, pretrained", "mean IoU 65.3", _CAMVID, _SAME),
        Published("ENet", "mean IoU 51.3", _CAMVID, _SAME),
        Published(
            "FC-DenseNet56, from scratch (arXiv 1611.09326)", "mean IoU 58.9", _CAMVID, _SAME
        ),
        Published(
            "FC-DenseNet103, from scratch (arXiv 1611.09326)", "mean IoU 66.9", _CAMVID, _SAME
        ),
    ),
    "pets": (
        Published(
            "U-Net from scratch",
            "mean IoU 68.0, Dice 78.6, accuracy 87.4",
            "3 classes, 128 x 128",
            "Ours is scored at the pictures' own resolution, and trained on 422 pictures.",
        ),
        Published(
            "FPN on ResNet34, smp's example",
            "foreground IoU 91.4",
            "pet and border against background, ImageNet encoder, 256 x 256, the whole set",
            "Ours is scored on three classes; `pets-binary` is theirs.",
        ),
    ),
    "aerial": (
        Published(
            "U-Net on InceptionResNetV2",
            "Dice 81.1, accuracy 85.7",
            "validation patches drawn at random",
            "Random patches have neighbours in training; ours are of tiles never seen.",
        ),
        Published(
            "U-Net from scratch",
            "mean IoU 59.8, accuracy 86.4",
            "patches drawn at random",
            "Random patches have neighbours in training; ours are of tiles never seen.",
        ),
    ),
    "carla": (
        Published(
            "U-Net of the course assignment",
            "accuracy 97",
            "96 x 128, after 40 epochs",
            "Ours is scored at 400 x 300 on stretches of the drive that were never seen.",
        ),
        Published(
            "U-Net from scratch and on ResNet34",
            "Dice loss 0.741 and 0.749",
            "absent classes counted as a loss of 1",
            "Ours leaves out absent classes, which no training can lower.",
        ),
    ),
}
"""By the name of the data set."""
