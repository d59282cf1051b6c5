"""What others have published on the same data, and how they measured it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A figure published by somebody else.

    Attributes:
        what: network and source.
        figure: as they state it.
        protocol: how it was measured.
        differs: how our protocol differs, a sentence.
    """

    what: str
    figure: str
    protocol: str
    differs: str


_CAMVID = "11 classes, 480 x 360, test (233 pictures), void left out, pooled"
_ENLARGED = "Ours sees the pictures enlarged to 640 pixels and is scored at 480 x 360."
_PRETRAINED = (
    f"The same classes, pictures and pooling. {_ENLARGED} Their encoders were pretrained on "
    "ImageNet; what ours started from is listed above."
)
_SCRATCH = (
    f"The same classes, pictures and pooling. {_ENLARGED} No pretraining: to be compared with our "
    "network from scratch."
)
_TILES = "Random patches have neighbours in training; ours are from a tile never seen."

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "camvid": (
        Published("SegNet, pretrained", "mean IoU 46.4", _CAMVID, _PRETRAINED),
        Published("FCN-8, pretrained", "mean IoU 57.0", _CAMVID, _PRETRAINED),
        Published("DeepLab-LFOV, pretrained", "mean IoU 61.6", _CAMVID, _PRETRAINED),
        Published("Bayesian SegNet, pretrained", "mean IoU 63.1", _CAMVID, _PRETRAINED),
        Published("Dilation8, pretrained", "mean IoU 65.3", _CAMVID, _PRETRAINED),
        Published(
            "ENet", "mean IoU 51.3", _CAMVID, f"The same classes, pictures and pooling. {_ENLARGED}"
        ),
        Published(
            "the U-Net-like network of arXiv 1611.09326 (classic upsampling)",
            "mean IoU 55.2",
            _CAMVID,
            _SCRATCH,
        ),
        Published("FC-DenseNet56 (arXiv 1611.09326)", "mean IoU 58.9", _CAMVID, _SCRATCH),
        Published("FC-DenseNet103 (arXiv 1611.09326)", "mean IoU 66.9", _CAMVID, _SCRATCH),
        Published(
            "a public U-Net on ResNet50V2",
            "mean IoU 50 to 52",
            "scored at 224 x 224",
            "Ours is scored at 480 x 360, where thin classes are not averaged away.",
        ),
    ),
    "pets": (
        Published(
            "U-Net from scratch",
            "mean IoU 68.0, Dice 78.6, accuracy 87.4",
            "3 classes, scored at 128 x 128",
            "Ours is scored at the pictures' own resolution, where the border is thin, and trained "
            "on a small part of the set.",
        ),
        Published(
            "FPN on ResNet34, smp's example",
            "foreground IoU 91.4",
            "pet and border against background, ImageNet encoder, 256 x 256, the whole set",
            "Ours is trained on three classes of a small part of the set; pet and border taken "
            "together are the foreground under Goals.",
        ),
    ),
    "aerial": (
        Published(
            "U-Net on InceptionResNetV2",
            "Dice 81.1, accuracy 85.7",
            "validation; how it was split is not stated",
            "Ours is on a tile never seen. What the published mean is taken over is not stated.",
        ),
        Published(
            "U-Net from scratch", "mean IoU 59.8, accuracy 86.4", "patches drawn at random", _TILES
        ),
    ),
    "carla": (
        Published(
            "U-Net of the course assignment",
            "accuracy 83 after 5 epochs, 97 after 40",
            "96 x 128",
            "Ours is scored at 400 x 300, on the ends of six stretches of the drive.",
        ),
        Published(
            "U-Net from scratch, on the challenge's frames of this simulator",
            "mean IoU about 74",
            "labels interpolated when resized, which invents classes along edges",
            "Ours keeps labels exact.",
        ),
        Published(
            "U-Net from scratch and on ResNet34",
            "Dice loss 74.1 and 74.9",
            "the final value of the loss, absent classes included",
            "Under Goals, ours is 1 minus the Dice of labels, not of probabilities, over the "
            "classes present: an absent one is a loss of 1 that no training can lower.",
        ),
    ),
}
"""By the name of the data set; figures in per cent, as on the rest of the page."""
