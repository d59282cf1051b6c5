"""Kills a run while it writes each of its files, and resumes it each time, until it is through.

    PYTHONPATH=. python tests/training/killing.py FOLDER

FOLDER/killed is that run; a file is then there under its provisional name only. FOLDER/whole is
the same run without a kill. What was killed is printed. A program of its own, because it forks
before torch has started its threads.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from conftest import FewStreets

from model.checkpoints import folder
from model.checkpoints.weights import read_tensors
from model.training.config import TrainConfig
from model.training.run import train
from model.training.writer import RESUME_FILE

SETTINGS = {
    "base_width": 4, "depth": 2, "crop": 32, "batch_size": 4, "epochs": 3, "samples_every": 0,
    "precision": "f32", "device": "cpu", "ema": 0.5, "schedule": "plateau", "lr": 0.03,
    "plateau_patience": 1,
}  # fmt: skip


def main(root: Path) -> None:
    run, spared = root / "killed", root / "whole"
    assert forked(spared, spare=None) == 0
    done: set[str] = set()
    while forked(run, spare=done) == signal.SIGKILL:
        (cut_short,) = {file_of(path.name) for path in run.rglob("*.part")} - done
        done.add(cut_short)
        print("killed while writing", cut_short)
        if (run / folder.HISTORY_FILE).exists():  # an epoch is done: it can be used
            read_tensors(folder.read(run).weights_path)


def forked(output: Path, spare: set[str] | None) -> int:
    """Trains in a process of its own, which is killed when it writes a file not to be spared.

    Returns: the signal that ended it, 0 if it came through.
    """
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    try:
        fsync = os.fsync

        def killing(descriptor: int) -> None:
            name = file_of(os.readlink(f"/proc/self/fd/{descriptor}"))
            if spare is not None and name not in spare:
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(descriptor)

        os.fsync = killing
        resume = (output / RESUME_FILE).exists()
        train(TrainConfig(**SETTINGS, output=output, resume=resume), FewStreets())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def file_of(provisional: str) -> str:
    """ "last.ckpt" of "/run/resume/.last.ckpt.123.part"."""
    return Path(provisional).name.strip(".").rsplit(".", 2)[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
