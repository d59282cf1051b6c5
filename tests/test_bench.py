"""Benches are measured by hand; that they fit what they measure is tested."""

import pytest

from bench import train


@pytest.mark.parametrize("network", train.Arguments().networks)
def test_training_is_measured_with_settings_that_it_takes(network, tmp_path):
    config = train.settings(network, 1, train.Arguments(base_width=24, epochs=3), tmp_path)
    assert (config.network, config.seed, config.epochs) == (network, 1, 3)
    assert config.base_width == 24 or network != "unet"
