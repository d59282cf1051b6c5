"""What an epoch holds, and in which process."""

from collections import Counter

import numpy as np
import pytest

from model.data import streets
from model.data.classes import VOID
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError, DataError
from model.training.loaders import Loaders, Passes, Seeded, check_enough
from model.training.processes import Processes
from tests.training.conftest import FewStreets


def epochs(count: int, length: int, number: int, rank: int = 0, processes: int = 1, seed: int = 0):
    """The numbers of several epochs, each a list."""
    sampler = Passes(
        range(count), length=length, num_replicas=processes, rank=rank, seed=seed, drop_last=True
    )
    found = []
    for epoch in range(number):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler) == length // processes
    return found


@pytest.mark.parametrize("length", [4, 8, 20, 28])
def test_all_are_seen_equally_often_over_a_run(length):
    seen = Counter(n % 7 for epoch in epochs(7, length, 9) for n in epoch)
    assert set(seen) == set(range(7))
    assert max(seen.values()) - min(seen.values()) <= 1


def test_each_pass_has_an_order_of_its_own():
    (stream,) = epochs(7, 28, 1)
    orders = [tuple(n % 7 for n in stream[i : i + 7]) for i in (0, 7, 14, 21)]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert epochs(7, 28, 1, seed=1) != [stream]


def test_an_epoch_follows_from_its_number_alone():
    """As a resumed run asks for it."""
    sampler = Passes(range(7), length=12, num_replicas=1, rank=0, drop_last=True)
    sampler.set_epoch(4)
    assert list(sampler) == epochs(7, 12, 5)[4]


def test_two_processes_share_what_one_has():
    for alone, *shares in zip(
        epochs(7, 12, 3), epochs(7, 12, 3, 0, 2), epochs(7, 12, 3, 1, 2), strict=True
    ):
        assert [n for pair in zip(*shares, strict=True) for n in pair] == alone


def test_a_sample_that_comes_twice_is_augmented_in_two_ways():
    class Random:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int):
            import torch

            assert index < 3
            return index, torch.rand(()).item()

    samples = Random()
    sampler = Passes(samples, length=6, num_replicas=1, rank=0, drop_last=True)
    seeded = Seeded(samples, sampler, seed=5)
    drawn = [seeded[number] for number in sampler]
    assert Counter(index for index, _ in drawn) == {0: 2, 1: 2, 2: 2}
    assert len(np.unique([value for _, value in drawn])) == 6
    assert drawn == [seeded[number] for number in sampler]


class Mixed(FewStreets):
    """Pictures of three sizes."""

    def pair(self, name):
        return streets.draw(int(name), [(64, 48), (48, 64), (90, 60)][int(name) % 3])


def test_what_is_validated_together_is_padded_alike(tiny):
    """Else a figure would depend on how the pictures are shared between processes."""
    seen = []
    for rank in range(2):
        loaders = Loaders(tiny(), Mixed(), Preprocessing(longest_side=96), Processes(2, 1, rank))
        for batch in loaders.validation.batch_sampler:
            assert len({loaders.samples[index][1].shape for index in batch}) == 1
            seen += batch
        pictures = sum(len(images) for images, _ in loaders.validation)
        assert pictures == 2
    assert sorted(seen) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["000003", "000010"])
def test_labels_that_are_no_class_are_refused_wherever_they_are(name, tiny):
    """In training or validation: bce, focal and lovasz would count them as some class."""

    class Wrong(FewStreets):
        def pair(self, which):
            image, labels = super().pair(which)
            labels[0, :4] = VOID
            if which == name:
                labels[0, :2] = len(self.classes)
            return image, labels

    sentence = f"streets: 2 labels of {name} are no class, such as {len(FewStreets().classes)};"
    with pytest.raises(DataError, match=sentence):
        Loaders(tiny(), Wrong(), Preprocessing(longest_side=64), Processes(1, 1, 0))


def test_a_picture_for_each_process_is_needed(tiny, few_streets):
    check_enough(tiny(), few_streets, 4)
    with pytest.raises(ConfigError, match="5 processes share 4 validation pictures"):
        check_enough(tiny(), few_streets, 5)
