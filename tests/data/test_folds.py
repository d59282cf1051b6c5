"""Splits beyond the data sets' own: groups, seeds, official lists, folds, files, leaks."""

import json
from itertools import chain

import pytest

from model.data import datasets, split_file, splits
from model.errors import ConfigError, DataError

NAMES = [f"{tile}-{part:02d}" for tile in "ABCDEFGH" for part in range(10)]


def tile(name: str) -> str:
    return name.partition("-")[0]


def sizes(split: splits.Split) -> list[int]:
    return [len(split[part]) for part in splits.PARTS]


def test_random_depends_on_the_seed_only():
    split = splits.random(NAMES, seed=1)
    assert sizes(split) == [56, 12, 12]
    assert splits.random(NAMES[::-1], seed=1) == split
    assert splits.random(NAMES, seed=2) != split
    assert sorted(chain.from_iterable(split.values())) == NAMES


def test_random_keeps_groups_together():
    split = splits.random(NAMES, group_of=tile)
    assert sizes(split) == [60, 10, 10]
    splits.check(split, tile)


def test_grouped_follows_the_assignment():
    split = splits.grouped(NAMES, tile, {"A": "test", "C": "validation"})
    assert sizes(split) == [60, 10, 10]
    assert {tile(name) for name in split["test"]} == {"A"}


def test_validation_comes_out_of_train_in_ranges_and_never_out_of_test():
    split = splits.with_validation(NAMES[:60], NAMES[60:], blocks=3)
    assert sizes(split) == [51, 9, 20]
    assert split["test"] == NAMES[60:]
    places = [NAMES.index(name) for name in split["validation"]]
    assert places == [17, 18, 19, 37, 38, 39, 57, 58, 59]


def test_a_group_in_two_parts_is_a_leak():
    split = splits.random(NAMES)
    splits.check(split)
    with pytest.raises(DataError, match=r"The group . is in both .* the split leaks"):
        splits.check(split, tile)


@pytest.mark.parametrize("rule", ["contiguous", "random", "group", "stratified"])
def test_folds_cover_everything_once_and_leave_the_test_part_alone(rule):
    split = splits.grouped(NAMES, tile, {"A": "test", "C": "validation"})
    folds = splits.k_folds(split, 5, rule=rule, group_of=tile)
    assert len(folds) == 5
    pool = sorted(split["train"] + split["validation"])
    assert sorted(name for fold in folds for name in fold["validation"]) == pool
    for fold in folds:
        splits.check(fold, tile if rule == "group" else None)
        assert fold["test"] == split["test"]
        assert sorted(fold["train"] + fold["validation"]) == pool


def test_folds_follow_their_rule():
    split = {"train": NAMES[:60], "validation": NAMES[60:70], "test": NAMES[70:]}
    contiguous = splits.k_folds(split, 7, rule="contiguous")
    assert contiguous[2]["validation"] == NAMES[20:30]
    for fold in splits.k_folds(split, 5, rule="stratified", group_of=tile):
        assert sorted(map(tile, fold["validation"])) == sorted("ABCDEFG" * 2)
    first = splits.k_folds(split, 5, rule="random", seed=1)
    assert splits.k_folds(split, 5, rule="random", seed=1) == first
    assert splits.k_folds(split, 5, rule="random", seed=2) != first


def test_too_many_folds_are_refused():
    split = {"train": NAMES[:20], "validation": NAMES[20:30], "test": NAMES[30:]}
    with pytest.raises(ConfigError, match=r"between 2 and 3, the number of groups"):
        splits.k_folds(split, 4, rule="group", group_of=tile)
    for count in (1, 31):
        with pytest.raises(ConfigError, match=r"between 2 and 30, the number of pictures"):
            splits.k_folds(split, count)


def test_a_small_stratum_is_spread_as_far_as_it_goes(recwarn):
    split = {"train": [*NAMES[:20], "Z-00"], "validation": NAMES[20:30], "test": NAMES[30:]}
    folds = splits.k_folds(split, 5, rule="stratified", group_of=tile)
    assert sum("Z-00" in fold["validation"] for fold in folds) == 1
    assert not recwarn.list


def test_data_sets_cut_folds_by_their_own_rule():
    data = datasets.load("streets")
    folds = data.folds(4, seed=3)
    assert [len(fold["validation"]) for fold in folds] == [120] * 4
    assert folds[0]["test"] == data.names("test")


def test_a_split_survives_its_file(tmp_path):
    path = tmp_path / "split.json"
    split = splits.random(NAMES)
    split_file.write(path, split, data="own", rule="at random")
    content = split_file.read(path)
    assert content.parts == split
    assert (content.data, content.rule) == ("own", "at random")
    assert content.digest == splits.digest(split)
    with pytest.raises(DataError, match="exists already"):
        split_file.write(path, split, data="own", rule="at random")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["parts"]["test"].pop(), "was changed after it was written"),
        (lambda c: c["parts"]["test"].append(NAMES[0]), "the split leaks"),
        (lambda c: c["parts"].pop("test"), r"no part \['test'\]"),
        (lambda c: c["parts"].update(test=[]), "is empty"),
        (lambda c: c["parts"].update(extra=["a"]), r"at parts\.extra"),
        (lambda c: c.pop("digest"), "at digest: Field required"),
    ],
)
def test_changed_split_files_are_refused(change, message, tmp_path):
    path = tmp_path / "split.json"
    parts = {"train": NAMES[:60], "validation": NAMES[60:70], "test": NAMES[70:]}
    split_file.write(path, parts, data="own", rule="by hand")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        split_file.read(path)


def test_a_data_set_can_use_a_split_from_a_file(tmp_path):
    path = tmp_path / "split.json"
    names = [f"{seed:06d}" for seed in range(30)]
    parts = {"train": names[:20], "validation": names[20:25], "test": names[25:]}
    split_file.write(path, parts, data="streets", rule="the first thirty")
    data = datasets.load("streets", split=path)
    assert data.split == parts
    assert data.split_rule == "the first thirty (from a file)"
    assert datasets.load("streets").split != parts
    with pytest.raises(DataError, match="names 1 samples that streets does not have"):
        data.use_split(parts | {"test": ["999999"]}, "wrong")
    other = tmp_path / "other.json"
    split_file.write(other, parts, data="pets", rule="the first thirty")
    with pytest.raises(DataError, match="is a split of 'pets', not of 'streets'"):
        datasets.load("streets", split=other)
