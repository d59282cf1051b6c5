"""The price that a checkpoint has recorded."""

from __future__ import annotations

from dataclasses import replace

from model import writing
from model.checkpoints import folder
from model.evaluation.report.prices import recorded_price


def test_an_ensemble_costs_what_its_networks_cost_together(candidate, make_checkpoint, tmp_path):
    first = make_checkpoint(tmp_path / "folds")
    make_checkpoint(tmp_path / "folds/fold-2")
    training = {"training": {"seconds": 60.0, "epochs_done": 3}}
    for path in (first.path, first.path / "fold-2"):
        description = folder.read(path).description | training
        writing.write_json(path / folder.DESCRIPTION_FILE, description)

    def price(**changes):
        checkpoint = folder.read(first.path)
        checkpoint = replace(checkpoint, description=checkpoint.description | changes)
        return recorded_price(replace(candidate("A", None), checkpoint=checkpoint))

    alone, both = price(), price(members=["fold-2"])
    assert (alone.seconds, alone.epochs) == (60.0, 3)
    assert (both.seconds, both.epochs) == (120.0, 6)
    assert both.file_bytes == 2 * alone.file_bytes > 0
    # One that has lost a network cannot say what it costs, and the page goes on.
    assert price(members=["fold-2", "gone"]).file_bytes is None
