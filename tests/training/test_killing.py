"""`kill -9` while any file is being written, then --resume: as if the run had never stopped."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("killing.py")


def files(path: Path) -> dict[str, Path]:
    found = {str(entry.relative_to(path)): entry for entry in path.rglob("*") if entry.is_file()}
    return {name: entry for name, entry in found.items() if not name.startswith("tensorboard")}


def history(path: Path) -> list[dict[str, str]]:
    """The rows of `history.csv` without the wall time, which is never the same."""
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
def test_a_run_killed_at_each_of_its_files_ends_as_one_that_was_not(tmp_path):
    """With averaged weights and a schedule that remembers: both must go on where they were."""
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    killed, whole = files(tmp_path / "killed"), files(tmp_path / "whole")
    assert killed.keys() == whole.keys()  # nothing half written is left either
    for name in whole:
        assert f"killed while writing {Path(name).name}\n" in done.stdout
    assert history(killed["history.csv"]) == history(whole["history.csv"])
    for name in ("model.safetensors", "metrics.json", "per_image.csv", "history_per_class.csv"):
        assert killed[name].read_bytes() == whole[name].read_bytes(), name
