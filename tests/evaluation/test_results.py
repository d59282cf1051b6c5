"""docs/results.md: everything recorded is in it, and it says what nothing else does."""

from dataclasses import replace
from pathlib import Path

from model.checkpoints import folder
from model.evaluation.results import document, markdown_table

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def test_the_page_is_what_the_command_writes(command, tmp_path):
    output = tmp_path / "results.md"
    assert command("results", "--output", output).returncode == 0
    assert RESULTS.read_text(encoding="utf-8") == output.read_text(encoding="utf-8")


def test_every_checkpoint_and_class_has_its_row():
    checkpoints, _ = folder.list_bundled()
    text = document(checkpoints)
    for checkpoint in checkpoints:
        figures = checkpoint.figures("test")
        assert f"| `{checkpoint.name}` | {100 * figures['mean_iou']:.1f}" in text
        for info in checkpoint.classes:
            assert f"\n| {info.name} | " in text


def test_a_checkpoint_without_figures_is_left_out():
    first, *rest = folder.list_bundled()[0]
    unscored = replace(first, metrics={})
    assert f"`{first.name}`" not in markdown_table([unscored, *rest])
    assert f"`{first.name}`" not in document([unscored, *rest])


def test_an_output_that_cannot_be_written_is_named(command, tmp_path):
    shown = command("results", "--output", tmp_path / "missing" / "results.md")
    assert shown.returncode == 2
    assert "--output" in shown.stderr
    assert "Traceback" not in shown.stderr
