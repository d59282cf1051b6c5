"""Memory stays flat over epochs."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LEAK = 2_000_000
"""Bytes per epoch, kept on purpose in the second case."""

TRAINING = """
import sys
from pathlib import Path

sys.path += [{tests!r}]
from conftest import FewStreets

from model.training.config import TrainConfig
from model.training.run import train

kept = []

def note(row):
    if {leaks}:
        kept.append(b"x" * {leak})
    status = Path("/proc/self/status").read_text().splitlines()
    print("resident", next(line for line in status if line.startswith("VmRSS")).split()[1])

train(
    TrainConfig(base_width=8, depth=3, crop=64, batch_size=4, epochs=16, samples_every=2,
                precision="f32", device="cpu", output=Path({output!r})),
    FewStreets(), on_epoch=note, score=False,
)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("leaks", [False, True])
def test_memory_stays_flat_over_epochs(leaks, tmp_path):
    """The other case, in which something is kept on purpose, shows that the test would see it."""
    code = TRAINING.format(
        tests=str(Path(__file__).parent), leak=LEAK, leaks=leaks, output=str(tmp_path / "run")
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    resident = [1024 * int(number) for word, number in (w for w in words if w[:1] == ["resident"])]
    assert len(resident) == 16
    # The least of several epochs each: what is not collected yet comes and goes.
    growth = min(resident[-4:]) - min(resident[4:8])
    assert (growth > 8 * LEAK / 2) == leaks, resident
