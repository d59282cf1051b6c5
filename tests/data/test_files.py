"""Which files a folder holds, and what they are called."""

import os
import unicodedata
from pathlib import Path

import pytest

from model.data import files
from model.data.files import files_in, key_of, list_pictures
from model.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(folder: Path, *suffixes: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_in(folder, suffixes)]


def test_files_are_listed_in_order_with_those_below(tmp_path):
    touch(tmp_path, "b.png", "a/d.PNG", "a/c.txt", "a.png")
    assert found(tmp_path) == ["a/c.txt", "a/d.PNG", "a.png", "b.png"]
    assert found(tmp_path, ".png") == ["a/d.PNG", "a.png", "b.png"]


def test_links_to_folders_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/a.png", "folder/b.png")
    for name in ("site1", "site2"):
        (tmp_path / "folder" / name).symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "folder") == ["b.png", "site1/a.png", "site2/a.png"]


def test_links_in_a_circle_end(tmp_path):
    touch(tmp_path, "folder/a.png", "elsewhere/b.png")
    (tmp_path / "folder/self").symlink_to(tmp_path / "folder")
    (tmp_path / "folder/there").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "folder")
    assert found(tmp_path / "folder") == ["a.png", "there/b.png"]


def test_only_files_that_are_not_hidden_count(tmp_path):
    touch(tmp_path, "a.png", "._a.png", ".hidden/a.png", "old.png/b.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere")  # for whoever reads it to report
    assert found(tmp_path, ".png") == ["a.png", "lost.png", "old.png/b.png"]


def test_a_folder_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataError, match="gone cannot be opened: No such file"):
        found(tmp_path / "gone")


def test_names_in_either_form_of_unicode_are_equal(tmp_path):
    names = {form: unicodedata.normalize(form, "café") for form in ("NFC", "NFD")}
    assert names["NFC"] != names["NFD"]
    touch(tmp_path, f"{names['NFD']}.png")
    pictures, _ = list_pictures(tmp_path)
    assert list(pictures) == [key_of(f"{names['NFC']}.jpg")] == [names["NFC"]]
    assert pictures[names["NFC"]].name == f"{names['NFD']}.png"  # as the file is called


def test_a_link_to_what_is_found_anyway_adds_nothing(tmp_path):
    """Each picture once, however many links there are."""
    for name in "abcdefgh":
        touch(tmp_path, f"{name}/x.png")
        for other in "abcdefgh".replace(name, ""):
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    touch(tmp_path, ".store/x.png")
    (tmp_path / "stored").symlink_to(tmp_path / ".store")  # hidden, so found by the link alone
    assert found(tmp_path) == [*(f"{name}/x.png" for name in "abcdefgh"), "stored/x.png"]


def test_a_folder_below_that_cannot_be_opened_is_an_error_unless_it_may_be_left_out(
    tmp_path, monkeypatch
):
    touch(tmp_path, "a.png", "lost+found/b.png")
    entries = files.entries

    def refused(folder: Path) -> list[Path]:
        if folder.name == "lost+found":
            raise DataError(f"{folder} cannot be opened: Permission denied.")
        return entries(folder)

    monkeypatch.setattr(files, "entries", refused)
    with pytest.raises(DataError, match=r"lost\+found cannot be opened"):
        found(tmp_path)
    refusals: list[DataError] = []
    assert [path.name for path in files_in(tmp_path, refuse=refusals.append)] == ["a.png"]
    assert len(refusals) == 1
