"""A container's quota of cores, for which joblib's variable stands in; what the kernel states."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from model import processor
from model.processor import available_cores, instructions, processor_name, visible_cores

REPOSITORY = Path(__file__).resolve().parents[1]

ENGINES = """
import sys
from model.checkpoints import folder
from model.inference.engines.openvino import OpenVinoEngine, core
from model.inference.engines.pytorch import TorchEngine
import torch

checkpoint = folder.read(sys.argv[1])
TorchEngine(checkpoint)
engine = OpenVinoEngine(checkpoint)
compiled = engine._request.get_compiled_model()
print(torch.get_num_threads(), compiled.get_property("INFERENCE_NUM_THREADS"))
"""


@pytest.mark.skipif(available_cores() < 2, reason="needs two cores, of which one is then allowed")
def test_engines_keep_to_the_cores_that_a_container_may_use(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "tiny")
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}

    def threads(**variables: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", ENGINES, checkpoint.path], cwd=REPOSITORY, text=True,
            env=environment | variables, capture_output=True, check=True,
        )  # fmt: skip
        return [int(word) for word in done.stdout.split()]

    assert threads(LOKY_MAX_CPU_COUNT="1") == [1, 1]
    assert min(threads()) > 1


def test_no_more_cores_are_available_than_are_seen():
    assert 1 <= available_cores() <= visible_cores()


def test_the_kernel_states_the_name_and_the_instructions(monkeypatch, tmp_path):
    path = tmp_path / "cpuinfo"
    core = "processor\t: {}\nmodel name\t: A Processor: 9\nflags\t\t: fpu avx512f amx_tile\n\n"
    path.write_text(core.format(0) + core.format(1))
    monkeypatch.setattr(processor, "CPU_INFO", path)
    assert processor_name() == "A Processor: 9"
    assert instructions() == {"fpu", "avx512f", "amx_tile"}


def test_where_the_kernel_states_nothing_the_architecture_is_the_name(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "none")
    assert processor_name() == platform.machine()
    assert not instructions()
