"""The commit of the code that trained: recorded in the program's own repository only."""

import json
import shutil
import subprocess

import pytest

from model.checkpoints.card import card
from model.training import own_commit as module
from model.training import run
from model.training.own_commit import own_commit

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words: str) -> str:
    settings = ("-c", "user.name=me", "-c", "user.email=me@example.org", "-C", str(folder))
    done = subprocess.run(["git", *settings, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A folder that stands for the program's, with one commit."""
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "code.py").write_text("one = 1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "code.py")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "tag", "v1.0")
    monkeypatch.setattr(module, "PROGRAM", folder)
    return folder


@needs_git
def test_the_commit_is_told_and_whether_files_differ_from_it(program):
    commit = git(program, "rev-parse", "--short=12", "HEAD")
    assert own_commit() == commit
    (program / "runs").mkdir()  # not of the code
    assert own_commit() == commit
    (program / "code.py").write_text("one = 2\n")
    assert own_commit() == f"{commit}-dirty"


@needs_git
def test_a_repository_around_the_program_is_not_its_own(program, monkeypatch):
    inner = program / "inner"
    inner.mkdir()
    monkeypatch.setattr(module, "PROGRAM", inner)
    assert own_commit() is None
    monkeypatch.setenv("GIT_DIR", str(program / ".git"))
    assert own_commit() is None
    (inner / ".git").mkdir()  # damaged
    assert own_commit() is None


def test_without_git_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert own_commit() is None


def test_git_that_does_not_answer_is_not_waited_for(monkeypatch, tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "SECONDS", 0.1)
    assert own_commit() is None


def test_a_run_records_it_and_goes_on_with_another(tiny, few_streets, monkeypatch):
    def versions(**changes) -> dict:
        checkpoint = run.train(tiny(**changes), few_streets, score=False)
        text = card(checkpoint)
        for commit in ("abc-dirty", "def"):
            recorded = checkpoint.description["versions"].get("commit") == commit
            assert (f"; code at commit {commit}." in text) == recorded
        return json.loads((checkpoint.path / "segmentation.json").read_text())["versions"]

    monkeypatch.setattr(run, "own_commit", lambda: "abc-dirty")
    assert versions(epochs=1)["commit"] == "abc-dirty"
    monkeypatch.setattr(run, "own_commit", lambda: "def")
    assert versions(epochs=1, resume=True)["commit"] == "def"
    monkeypatch.setattr(run, "own_commit", lambda: None)
    assert "commit" not in versions(epochs=1, resume=True)
