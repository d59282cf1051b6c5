"""Which pictures resemble their neighbours: the video sequence or map tile that they are from.

Statistics that treat pictures as independent are overconfident on frames of a drive.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.data.datasets import DataSet


def sequences(data: DataSet, names: Sequence[str]) -> dict[str, str]:
    """The sequence that each picture is part of, by name; "" for pictures on their own.

    For video ("contiguous" in its `fold_rule`) these are the unbroken runs of frames among
    all frames of the set; for a set of groups (tiles, copies of a photograph) the groups.

    Args: names: the pictures to score, such as those of the test part.
    """
    if data.fold_rule == "group":
        return {name: data.group_of(name) for name in names}
    if data.fold_rule != "contiguous":
        return dict.fromkeys(names, "")
    wanted, runs, run, inside = set(names), {}, 0, False
    for name in sorted(name for part in data.split.values() for name in part):
        # A frame of another part ends the run.
        run += name in wanted and not inside
        inside = name in wanted
        if inside:
            runs[name] = str(run)
    return runs
