"""What a training takes of the memory, over its steps and epochs."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from model.training.memory import keep_freed_memory

REPOSITORY = Path(__file__).resolve().parents[2]
LEAK = 8_000_000
"""Bytes kept on purpose in each late epoch: pages of their own, as what is merely allocated may
find room in what was freed before."""
FLAT, LEAKING = 10, 6
"""Epochs without and then with such a leak."""

TRAINING = """
import mmap
import sys
from pathlib import Path

sys.path += [{tests!r}]
from conftest import FewStreets

from model.training.config import TrainConfig
from model.training.run import train

kept = []

def note(row):
    if row["epoch"] > {flat}:
        kept.append(mmap.mmap(-1, {leak}))
        kept[-1].write(b"x" * {leak})
    status = Path("/proc/self/status").read_text().splitlines()
    print("resident", next(line for line in status if line.startswith("VmRSS")).split()[1])

train(
    TrainConfig(base_width=8, depth=3, crop=64, batch_size=4, epochs={epochs}, samples_every=2,
                precision="f32", device="cpu", output=Path({output!r})),
    FewStreets(), on_epoch=note, score=False,
)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_over_epochs(tmp_path):
    """The epochs in which something is kept on purpose show that the test would see it."""
    code = TRAINING.format(
        tests=str(Path(__file__).parent), leak=LEAK, flat=FLAT, epochs=FLAT + LEAKING,
        output=str(tmp_path / "run"),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    resident = [1024 * int(number) for word, number in (w for w in words if w[:1] == ["resident"])]
    assert len(resident) == FLAT + LEAKING
    # The least of several epochs each: what is not collected yet comes and goes, by up to 9 MB.
    start, flat, leaked = (min(resident[i : i + 3]) for i in (2, FLAT - 3, FLAT + LEAKING - 3))
    assert flat - start < 5 * LEAK / 2, resident
    assert leaked - flat > 5 * LEAK / 2, resident


FREEING = """
from pathlib import Path
import torch
from model.training.memory import keep_freed_memory

def resident():
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith("VmRSS")).split()[1])

assert not {keeps} or keep_freed_memory()
large = torch.ones(50_000_000)
before = resident()
del large
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
@pytest.mark.parametrize("keeps", [False, True])
def test_freed_memory_is_kept_where_it_is_asked_for(keeps):
    code = FREEING.format(keeps=keeps)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (int(done.stdout) < 10_000_000) == keeps


def test_who_has_chosen_an_allocator_keeps_it(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    assert not keep_freed_memory()
