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
        figures = checkpoint.metrics.get("splits", {}).get("test", {}).get("f32")
        if figures is None:
            continue
        description = checkpoint.description
        encoder = description["encoder"]
        start = encoder["origin"].split(" (")[0] if encoder["pretrained"] else "scratch"
        percent = " | ".join(
            f"{100 * figures[name]:.1f} %" for name in ("mean_iou", "mean_dice", "accuracy")
        )
        rows.append(
            f"| `{checkpoint.name}` | {checkpoint.network_name} | {start} "
            f"| {description['network']['parameters'] / 1e6:.1f} M | {percent} "
            f"| {figures['num_images']} |"
        )
    return "\n".join(rows)
