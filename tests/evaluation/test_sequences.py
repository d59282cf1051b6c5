"""Which pictures belong together."""

from __future__ import annotations

from types import SimpleNamespace

from model.evaluation.sequences import sequences


def test_runs_of_frames_end_where_another_part_begins():
    split = {"train": ["c", "d"], "test": ["a", "b", "e"]}
    film = SimpleNamespace(fold_rule="contiguous", split=split)
    assert sequences(film, ["b", "a", "e"]) == {"a": "1", "b": "1", "e": "2"}


def test_groups_and_single_pictures():
    tiles = SimpleNamespace(fold_rule="group", group_of=lambda name: name[0])
    assert sequences(tiles, ["a1", "a2", "b1"]) == {"a1": "a", "a2": "a", "b1": "b"}
    single = SimpleNamespace(fold_rule="random")
    assert sequences(single, ["a", "b"]) == {"a": "", "b": ""}
