"""Several processes train as one would: the same batches, the same figures."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import tyro
from timm.layers import BatchNormAct2d
from torch import nn

from model.checkpoints import folder
from model.data.classes import VOID
from model.errors import ConfigError
from model.networks.losses import loss_by_name
from model.networks.registry import build
from model.training import run
from model.training.config import TrainConfig
from model.training.processes import Processes
from model.training.run import train
from model.training.synchronised import SynchronisedBatchNorm2d, synchronise

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINING = ("--batch-size", "8", "--epochs", "2", "--loss", "ce+dice", "--precision", "f32")
ORDERS = {  # of 26 pictures
    "each once": (),
    "again and again": ("--pictures-per-epoch", "43", "--accumulate", "2"),
}
LAUNCHES = {
    "torchrun": (["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "model"], []),
    "--devices": (["-m", "model"], ["--devices", "2"]),
}


def history(output: Path) -> list[dict[str, float]]:
    with open(output / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.parametrize(("launch", "order"), [*zip(LAUNCHES, ORDERS, strict=True)])
def test_two_processes_find_what_one_finds(launch, order, few_arguments, tmp_path):
    training = [*few_arguments, *TRAINING, *ORDERS[order]]
    words = [*training, "--output", str(tmp_path / "alone")]
    train(tyro.cli(TrainConfig, args=words), score=False)
    alone = history(tmp_path / "alone")
    before, after = LAUNCHES[launch]
    words = [*before, "train", *training, *after, "--output", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Kept: epoch") == 1, "one process speaks for all"
    machine = folder.read(tmp_path / "run").description["training"]["machine"]
    assert machine.endswith(", 2 processes")
    together = history(tmp_path / "run")
    assert len(together) == len(alone) == 2
    for row, expected in zip(together, alone, strict=True):
        # Each process validates its own batches, and Dice is of a batch.
        assert row.pop("val_loss") == pytest.approx(expected.pop("val_loss"), rel=1e-2)
        # Sums in another order differ in the last digits, and a pixel in ten thousand flips.
        assert row == pytest.approx(expected, abs=2e-3)
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-4)


def test_a_launcher_that_counts_otherwise_is_refused():
    """As under srun, where Lightning goes by SLURM's numbers."""
    alone = Processes(devices=2, num_nodes=1, rank=0)
    alone.check(SimpleNamespace(world_size=2, global_rank=0))
    with pytest.raises(ConfigError, match=r"process 1 of 2, where the settings say 0 of 2"):
        alone.check(SimpleNamespace(world_size=2, global_rank=1))


def test_a_batch_is_shared_equally_or_refused():
    with pytest.raises(ConfigError, match="choose a multiple of 3 from 6"):
        Processes.of(TrainConfig(devices=3, batch_size=8))
    with pytest.raises(ConfigError, match="choose a multiple of 4 from 8"):
        Processes.of(TrainConfig(devices=4, batch_size=4))
    assert Processes.of(TrainConfig(devices=2, num_nodes=2)) == Processes(2, 2, 0)


def test_the_number_of_processes_is_recorded(monkeypatch):
    config = TrainConfig(device="cpu")
    alone = run._machine(config, Processes(1, 1, 0))
    assert "process" not in alone
    assert run._machine(config, Processes(2, 2, 0)) == f"{alone}, 4 processes"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100")
    assert run._machine(TrainConfig(), Processes(2, 1, 0)) == "NVIDIA A100, 2 processes"


def test_torchrun_says_which_process_it_is(monkeypatch):
    told = {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2"}
    for name, value in (told | {"RANK": "3"}).items():
        monkeypatch.setenv(name, value)
    assert Processes.of(TrainConfig()) == Processes(2, 2, 3)


@pytest.fixture
def one_process(tmp_path):
    """A group of this process alone."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_synchronised_normalisation_is_pytorchs(one_process):
    """In one process it must give what `nn.BatchNorm2d` gives: outputs, gradients, statistics."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    shared = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    shared.load_state_dict(plain.state_dict())
    shared = synchronise(shared)
    assert type(shared[1]) is SynchronisedBatchNorm2d
    images = torch.randn(4, 3, 9, 9) * 3 + 1
    results = []
    for network in (plain, shared):
        network(images).square().mean().backward()
        gradients = [p.grad for p in network.parameters()]
        results.append([network(images), *gradients, *network[1].buffers()])
        results[-1].append(network.eval()(images))
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(expected, found, rtol=1e-4, atol=1e-6)
    assert plain.state_dict().keys() == shared.state_dict().keys()


def test_normalisation_with_an_activation_is_timms(one_process):
    torch.manual_seed(0)
    plain, shared = (
        nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4, act_layer=nn.SiLU)) for _ in range(2)
    )
    shared.load_state_dict(plain.state_dict())
    shared = synchronise(shared)
    images = torch.randn(4, 3, 9, 9) * 3 + 1
    results = []
    for network in (plain, shared):
        network(images).square().mean().backward()
        results.append([*(p.grad for p in network.parameters()), *network[1].buffers()])
        results[-1] += [network(images), network.eval()(images)]
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(expected, found, rtol=1e-4, atol=1e-6)


def test_all_of_an_encoder_is_synchronised():
    network = build("unet-timm-efficientnet-b0", 3)
    keys, count = list(network.state_dict()), batch_norms(network, nn.BatchNorm2d)
    assert 0 < batch_norms(network, BatchNormAct2d) < count
    synchronise(network)
    assert batch_norms(network, SynchronisedBatchNorm2d) == count
    assert list(network.state_dict()) == keys


def batch_norms(network: nn.Module, kind: type) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


NAMES = ("ce", "bce", "focal", "dice", "jaccard", "tversky", "ce+dice")


def unevenly_void() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and truth of two pictures: the first mostly void, without two of the classes, the
    second without void."""
    torch.manual_seed(0)
    logits, target = torch.randn(2, 5, 8, 8), torch.randint(5, (2, 8, 8))
    target[0, :6] = VOID
    target[0, 6:] %= 3
    return logits, target


def losses(logits: torch.Tensor, target: torch.Tensor) -> dict[str, tuple]:
    """By name: the loss, its gradient, and the loss as it is validated."""
    found = {}
    for name in NAMES:
        loss = loss_by_name(name, torch.tensor([1.0, 2, 3, 4, 5]))
        logits = logits.detach().requires_grad_()
        value = loss(logits, target)
        value.backward()
        found[name] = value.detach(), logits.grad, loss.eval()(logits, target).detach()
    return found


def share_of_a_batch(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2
    )
    logits, target = unevenly_void()
    own = slice(rank, rank + 1)
    torch.save(losses(logits[own], target[own]), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_processes_descend_the_loss_of_the_batch_that_they_share(tmp_path):
    torch.multiprocessing.spawn(share_of_a_batch, (tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    logits, target = unevenly_void()
    for name, (value, gradient, _) in losses(logits, target).items():
        mean = (first[name][0] + second[name][0]) / 2
        assert float(mean) == pytest.approx(float(value), rel=1e-6), name
        # The processes' gradients are averaged, as their losses are.
        averaged = torch.cat([first[name][1], second[name][1]]) / 2
        assert torch.allclose(averaged, gradient, rtol=1e-4, atol=1e-7), name
    for rank, found in enumerate((first, second)):
        own = losses(logits[rank : rank + 1], target[rank : rank + 1])
        for name in NAMES:  # in validation they need not have as many batches
            assert float(found[name][2]) == pytest.approx(float(own[name][2]), rel=1e-6), name


def test_statistics_that_cannot_be_shared_are_refused():
    with pytest.raises(ConfigError, match="The network has a BatchNorm1d, whose statistics would"):
        synchronise(nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm1d(3))))


def test_processes_do_not_wait_for_a_frozen_encoder(few_arguments, tmp_path):
    width = few_arguments.index("--base-width")
    words = [*few_arguments[:width], *few_arguments[width + 4 :], "--network"]
    words += ["unet-mobilenet_v2", "--freeze-encoder-epochs", "1", "--epochs", "2"]
    words += ["--batch-size", "8", "--precision", "f32", "--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "model", "train", *words, "--output", str(tmp_path / "run")],
        cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(history(tmp_path / "run")) == 2
