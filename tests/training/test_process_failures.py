"""If one of several processes fails, all of them end soon, and the run's folder stays valid."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.checkpoints import folder

REPOSITORY = Path(__file__).resolve().parents[2]
SOON = 60
"""Seconds from the failure to the end of the last process; PyTorch alone would wait for 1800."""

FAILING = '''
"""`python -m model` in which process {rank} fails {when}."""
import os, sys, time
from pathlib import Path
from model.training import loaders, module

def vanish(*_):
    Path({marker!r}).write_text(str(time.time()))
    raise FileNotFoundError(2, "No such file or directory", "pictures/7.png")

if int(os.environ.get("LOCAL_RANK", 0)) == {rank}:
    step = module.SegmentationModule.training_step
    if {when!r} == "while reading":
        loaders.Loaders.__init__ = vanish
    else:
        module.SegmentationModule.training_step = lambda self, batch: (
            vanish() if self.current_epoch == 1 else step(self, batch)
        )

from model.__main__ import main
sys.exit(main())
'''


@pytest.mark.parametrize(
    ("launch", "rank", "when"),
    [
        ("--devices", 0, "in epoch 2"),
        ("--devices", 1, "in epoch 2"),
        ("--devices", 1, "while reading"),
        ("torchrun", 0, "in epoch 2"),  # which ends the others by itself, whichever fails
    ],
)
def test_one_process_fails_and_all_end(launch, rank, when, few_arguments, tmp_path):
    marker, output, script = (tmp_path / name for name in ("failed", "run", "failing.py"))
    script.write_text(FAILING.format(rank=rank, when=when, marker=str(marker)))
    words = [script, "train", *few_arguments, "--batch-size", "8", "--epochs", "3",
             "--skip-check", "--output", output]  # fmt: skip
    if launch == "torchrun":
        words = ["-m", "torch.distributed.run", "--nproc-per-node", "2", *words]
    else:
        words += ["--devices", "2"]
    # A process that stays behind would keep the pipe open, and this waiting for its end.
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=REPOSITORY, timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert time.time() - float(marker.read_text()) < SOON
    assert "error: pictures/7.png is gone: No such file or directory. Put it back." in done.stderr
    if launch == "torchrun":
        assert done.returncode == 1
    elif when == "while reading":  # the first process waits for the other's first word
        assert done.returncode == -signal.SIGKILL
    else:
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        said = "Another of the processes that train together has ended" in done.stderr
        assert said == (rank == 1), "the first process ends the others before they notice"
    if when == "in epoch 2":
        assert len(folder.read(output).history()) == 1
