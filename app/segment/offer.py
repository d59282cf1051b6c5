"""What a visitor can choose from: models, a second one beside it, and each one's options."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import gradio as gr

from app import models
from app.discretion import without_folders
from app.segment import views
from app.segment.desk import Desk
from app.segment.options import checked_precision, precision_choices
from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import titles
from model.errors import StudioError


def without_gone(desk: Desk) -> Desk:
    """The desk without added models that are there no more, such as deleted folders; a warning
    says which."""
    kept = []
    for name in desk.added:
        try:
            models.find(name, anywhere=True)
        except StudioError as error:
            gr.Warning(views.toast(f"{name} is no longer in the menu. {without_folders(error)}"))
        else:
            kept.append(name)
    return replace(desk, added=tuple(kept))


def picked(desk: Desk, checkpoint: Checkpoint) -> gr.HTML:
    """The menu of models with this one chosen."""
    offered = [c for c in models.catalogue() if c.name not in desk.added]
    return gr.HTML(
        value=checkpoint.name,
        menu=views.menu([*offered, *_added(desk)]),
        knows=views.knows(checkpoint),
    )


def choice(desk: Desk, checkpoint: Checkpoint) -> list[Any]:
    """The options as the desk has them, in the page's order."""
    chosen = desk.chosen
    precisions = precision_choices(checkpoint)
    precision = checked_precision(chosen, checkpoint) or precisions[0][1]
    return [
        gr.Radio(choices=precisions, value=precision),
        chosen.flips,
        chosen.native,
        chosen.tile,
        gr.Slider(value=chosen.threshold, visible=len(checkpoint.classes) == 2),
        chosen.minimum_area,
    ]


def seconds(desk: Desk, checkpoint: Checkpoint, *, anywhere: bool) -> list[tuple[str, str]]:
    """Models of the same classes: (text, name).

    Args: anywhere: for somebody at this machine, who may have named others.
    """
    offered = [*models.catalogue(), *(_added(desk) if anywhere else [])]
    alike = [one for one in offered if one.classes.names == checkpoint.classes.names]
    others = {n: text for n, text in titles(alike).items() if n != checkpoint.name}
    return [("None", ""), *((text, name) for name, text in others.items())]


def _added(desk: Desk) -> list[Checkpoint]:
    """The models that were named besides, for whoever was allowed to name them; those that are
    gone since are left out."""
    found = []
    for name in desk.added:
        with contextlib.suppress(StudioError):
            found.append(models.find(name, anywhere=True))
    return found
