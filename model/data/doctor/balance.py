"""How often each class occurs, and what is too rare to be learned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from model.data.classes import VOID, ClassTable
from model.data.doctor.case import Case
from model.data.doctor.findings import ClassFigures, Finding, counted

FEWEST_PICTURES = 5
"""Training pictures below which a class can hardly be learned."""

LEAST_SHARE = 1e-3
MOST_VOID = 0.5
MOST_PLAIN = 0.02
"""Masks of a single class are worth a look if they are at most this share of all."""

PARTS_NEEDED = "Training needs pictures to learn from, to choose the best epoch, and to test on."


def figures(classes: ClassTable, counts: dict[str, np.ndarray]) -> tuple[list[ClassFigures], float]:
    """What the report says of each class, and the share of all pixels that is void.

    Args: counts: pixels of each label, int64 (256,), by the mask's name.
    """
    of_masks = np.stack(list(counts.values()))
    pixels = of_masks.sum(0)
    known = max(1, int(pixels[: len(classes)].sum()))
    found = [
        ClassFigures(
            name=entry.name,
            share=float(pixels[entry.id] / known),
            pictures=int((of_masks[:, entry.id] > 0).sum()),
        )
        for entry in classes
    ]
    return found, float(pixels[VOID] / max(1, pixels.sum()))


def balance(case: Case, classes: ClassTable, counts: dict[str, np.ndarray]) -> Iterator[Finding]:
    """Classes that are rare or missing, and masks that are void."""
    shown, void_share = figures(classes, counts)
    here = [entry for entry in shown if entry.pictures]
    if len(here) < 2:
        names = ", ".join(entry.name for entry in here) or "none"
        yield Finding(
            code="one-class",
            severity="error",
            what=f"Only one class occurs in the masks: {names}.",
            why="There is nothing to tell apart.",
            mend="Add masks with the other classes, or correct classes.yaml.",
        )
        return
    trained = [n for n in counts if case.part_of.get(n, "train") == "train"]
    in_training = np.stack([counts[n] for n in trained] or [np.zeros(256, int)]) > 0
    rare = {
        entry.name: int(in_training[:, number].sum())
        for number, entry in enumerate(shown)
        if entry.pictures and in_training[:, number].sum() < FEWEST_PICTURES
    }
    if rare and len(trained) >= FEWEST_PICTURES:
        yield Finding(
            code="rare-class",
            severity="warning",
            what="Classes in hardly any training picture: "
            + ", ".join(f"{name} ({n})" for name, n in rare.items())
            + ".",
            why="What is seen so rarely is hardly learned, and lowers the mean over the classes.",
            mend="Add pictures with these classes, or merge them with others in classes.yaml.",
        )
    small = [
        f"{entry.name} ({100 * entry.share:.2g} %)"
        for entry in here
        if entry.share < LEAST_SHARE and entry.name not in rare
    ]
    if small:
        yield Finding(
            code="rare-class",
            severity="note",
            what=f"Classes with under 0.1 % of the pixels: {', '.join(small)}.",
            why="They count as much as the others in the mean over classes; "
            "`--class-weights balanced` and a Dice loss help.",
        )
    if absent := [entry.name for entry in shown if not entry.pictures]:
        yield Finding(
            code="absent-class",
            severity="note",
            what=f"Classes that never occur: {', '.join(absent)}.",
            why="They cost nothing: means are over the classes that occur.",
        )
    plain = [name for name, found in counts.items() if np.count_nonzero(found) == 1]
    if plain and len(plain) <= MOST_PLAIN * len(counts):
        yield Finding(
            code="plain-mask",
            severity="note",
            what=f"{counted(len(plain), 'mask holds', 'masks hold')} one class, unlike the others.",
            why="That may be right; or an object was forgotten, or the mask was not saved.",
            mend="Look at them.",
            files=plain,
        )
    void = [name for name, found in counts.items() if found[VOID] == found.sum()]
    # For a part with masks that cannot be read there is already an error about those.
    hopeful = {part for name, part in case.part_of.items() if name not in void}
    for part in sorted({case.part_of[name] for name in void if name in case.part_of} - hopeful):
        yield Finding(
            code="void",
            severity="error",
            what=f"Every mask of the {part} part is entirely void.",
            why=PARTS_NEEDED,
            mend="Put pictures with masks into this part"
            + (", or, if 255 stands for a class, name it in classes.yaml under `values`."
               if case.own else "."),
        )  # fmt: skip
    if void:
        yield Finding(
            code="void",
            severity="warning",
            what=f"{counted(len(void), 'mask is', 'masks are')} entirely void.",
            why="Nothing can be learned from these pictures, or scored on them.",
            mend="If 255 stands for a class, name it in classes.yaml under `values`.",
            files=void,
        )
    elif void_share > MOST_VOID:
        yield Finding(
            code="void",
            severity="warning",
            what=f"{100 * void_share:.0f} % of all pixels are void.",
            why="They are ignored. If they are background, it has to be a class.",
            mend="Name the value in classes.yaml under `values`.",
        )
