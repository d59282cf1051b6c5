"""What the tests share: real data where it lies ready, made-up checkpoints, one trained run."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from model import writing
from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import streets
from model.data.classes import OKABE_ITO, ClassTable
from model.data.preprocessing import Preprocessing

if TYPE_CHECKING:
    from model.evaluation.studies import SmallDataResult

REPOSITORY = Path(__file__).resolve().parents[1]

TRAINING = (
    *("--data", "streets", "--network", "unet", "--base-width", "8", "--longest-side", "128"),
    *("--crop", "96", "--limit", "48", "--epochs", "2", "--device", "cpu"),
)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: a worker for each core, whose threads would fight.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Imports leave hundreds of thousands of objects that live to the end. The collector, which
# Streamlit calls after each run of its script, need not look at them again and again.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


# A loaded machine must not fail a test by being slow.
settings.register_profile("studio", deadline=None, derandomize=True)
settings.load_profile("studio")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keeps converted networks out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("NO_PROXY", "no_proxy"):  # the tests' own servers need none
            patch.setenv(variable, "127.0.0.1,localhost")
        patch.setenv("UNET_STUDIO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets; tests that ask for it are marked `data`."""
    root = os.environ.get("UNET_STUDIO_DATA")
    if not root:
        pytest.skip("needs the real data sets: name their folder in UNET_STUDIO_DATA")
    return Path(root)


@pytest.fixture(scope="session")
def make_checkpoint() -> Callable[..., Checkpoint]:
    """A function that writes a checkpoint folder with random weights, after which no class wins
    everywhere in `picture`.
    """
    return _make_checkpoint


@pytest.fixture(scope="session")
def make_study() -> Callable[..., SmallDataResult]:
    """A function that makes the summary of a small-data study.

    Args: encoder: a pretrained one's name, None for a network from scratch; dice: of the runs, by
        number of pictures; the rest: of its data.
    """
    from model.evaluation.studies import SmallDataResult

    def make(
        encoder: str | None, dice: dict[int, tuple[float, ...]], **data: str
    ) -> SmallDataResult:
        told = {"name": "toy", "title": "Toys, painted", "digest": "d", "split_digest": "s"}
        told |= {"split_rule": "by hand", **data}
        sizes = {"train": max(dice), "validation": 10, "test": 20}
        shared = {"epochs": 3, "best_epoch": 2, "steps": 30, "seconds": 1.5, "accuracy": 0.9}
        return SmallDataResult(
            data={**told, "split_sizes": sizes},
            network={"name": f"unet-{encoder}" if encoder else "unet", "parameters": 1000},
            encoder={"name": encoder, "pretrained": encoder is not None},
            training={"epochs": 3, "batch_size": 4, "crop": 32, "machine": "a machine"},
            command="python -m model small-data",
            runs=[
                {"pictures": count, "seed": seed, "mean_dice": value, "mean_iou": value / 2}
                | shared
                for count, values in dice.items()
                for seed, value in enumerate(values)
            ],
        )

    return make


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess]:
    """A function that runs `python -m model` with the given arguments."""
    return _command


@pytest.fixture
def here(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """A function that runs `python -m model ...` in this process: exit code, output, errors."""
    from model import __main__ as command_line

    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["model", *map(str, words)])
        try:
            code = command_line.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def training_arguments() -> tuple[str, ...]:
    """The arguments of `trained_run`, without its --output."""
    return TRAINING


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory, worker_id) -> Path:
    """A checkpoint folder trained for two epochs through the command line. Copy before changing.

    What the command printed lies beside it in `stdout.txt` and `stderr.txt`.
    """
    base = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have folders of their own in that of the whole run.
    path = (base if worker_id == "master" else base.parent) / "runs" / "streets-tiny"
    with FileLock(f"{path.parent}.lock"):
        if not (path.parent / "stderr.txt").exists():
            done = _command("train", *TRAINING, "--output", path)
            assert done.returncode == 0, done.stderr
            (path.parent / "stdout.txt").write_text(done.stdout)
            (path.parent / "stderr.txt").write_text(done.stderr)
    return path


def _command(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "model", *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _make_checkpoint(
    path: Path,
    network: str = "unet",
    *,
    num_classes: int = 3,
    longest_side: int = 64,
    seed: int = 0,
    **options: float,
) -> Checkpoint:
    import torch
    from torch import nn

    from model.checkpoints.weights import save_network
    from model.networks.registry import architecture, construct, parameter_count

    if network == "unet":
        options = {"base_width": 4, "depth": 2, **options}
    torch.manual_seed(seed)
    plan = architecture(network, num_classes, **options)
    built = construct(plan)
    for module in built.modules():
        # Statistics as after training: an engine that left them out would be noticed.
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    head = built.head if network == "unet" else built.segmentation_head[0]
    nn.init.normal_(head.weight, std=0.5)
    preprocessing = Preprocessing(longest_side=longest_side)
    batch = torch.from_numpy(preprocessing.network_input(streets.draw(5, (81, 60))[0]))
    with torch.inference_mode():
        offsets = built.eval()(batch).mean((0, 2, 3))
    # No class wins everywhere.
    head.bias.data.sub_(offsets)

    path.mkdir(parents=True)
    classes = ClassTable.of((f"class {i}", OKABE_ITO[i]) for i in range(num_classes))
    writing.write_json(path / folder.CONFIG_FILE, plan.to_json())
    writing.write_json(
        path / folder.DESCRIPTION_FILE,
        {
            "schema_version": folder.SCHEMA_VERSION,
            "classes": classes.to_json(),
            "preprocessing": preprocessing.to_json(),
            "network": {"name": plan.name, "parameters": parameter_count(built)},
            "encoder": {"name": plan.arguments.get("encoder_name"), "pretrained": False},
            "data": {"name": "made-up", "title": "Made-up"},
        },
    )
    save_network(built, path / folder.WEIGHTS_FILE, dtype=torch.float16)
    return folder.read(path)


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A drawn street scene, uint8 (60, 81, 3)."""
    return streets.draw(5, (81, 60))[0]
