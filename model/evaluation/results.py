"""The table of figures of the bundled checkpoints, for the README: printed, never typed."""

from __future__ import annotations

from model.checkpoints.folder import Checkpoint


def markdown_table(checkpoints: list[Checkpoint]) -> str:
    """One row per checkpoint with figures on the test split, in Markdown."""
    rows = [
        "| checkpoint | network | start | parameters | mean IoU | mean Dice | accuracy "
        "| pictures |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for checkpoint in checkpoints:
        figures = checkpoint.figures("test")
        if figures is None:
            continue
        encoder = checkpoint.description.get("encoder", {})
        origin = encoder.get("origin", "pretrained").split(" (")[0]
        start = origin if encoder.get("pretrained") else "scratch"
        parameters = checkpoint.description.get("network", {}).get("parameters", 0)
        percent = " | ".join(
            f"{100 * figures[name]:.1f} %" for name in ("mean_iou", "mean_dice", "accuracy")
        )
        rows.append(
            f"| `{checkpoint.name}` | {checkpoint.network_name} | {start} "
            f"| {parameters / 1e6:.1f} M | {percent} "
            f"| {figures['num_images']} |"
        )
    return "\n".join(rows)
