"""What is to be said of the data that the bundled checkpoints learned from.

Cards and docs/results.md state it beside the figures; the whole set has another digest, for
which nothing is stated.
"""

DATA_NOTES = {
    "bac5f8c44c99f076": (
        "These are 592 of the set's 7,390 pictures, nine tenths of them of three breeds, shrunk to "
        "at most 400 pixels on the longer side: their own resolution here. The full set is split "
        "differently."
    ),
    "7c4dab7f84441009": (
        "These are the tiles 1 to 7; the full set is split differently. The test patches all come "
        "from one tile and overlap, so that a pixel counts one and a half times on average: the "
        "intervals say how a figure would move with other patches of that tile, not with another "
        "tile."
    ),
    "b59bd217b3e558ed": (
        "Each stretch of frames is cut without a gap, so the first frames of a part resemble the "
        "last ones of the part before."
    ),
}
"""By the data's digest, as `segmentation.json` records it: sentences."""
