"""int8: calibrated once, kept as ranges without weights, made again where it serves."""

import dataclasses
import shlex
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from model.checkpoints import folder, zoo
from model.data import datasets
from model.errors import CheckpointError, ConfigError
from model.inference.engines import make_engine, quantisation
from model.inference.engines import precision as precisions
from model.inference.engines.openvino import converted_network
from model.inference.engines.openvino import core as runtime
from model.inference.engines.post_training import calibrate, found_by_nncf

needs_int8 = pytest.mark.skipif(
    "int8" not in precisions.native(), reason="this processor has no 8-bit multiplication"
)


@pytest.fixture(scope="module")
def calibrated(trained_run, tmp_path_factory):
    """A checkpoint of drawn streets with its int8 ranges."""
    path = shutil.copytree(trained_run, tmp_path_factory.mktemp("int8") / "streets-tiny")
    checkpoint = folder.read(path)
    calibrate(checkpoint, datasets.load("streets"), 8).write(checkpoint)
    return checkpoint


@pytest.fixture
def copied(calibrated, tmp_path):
    return folder.read(shutil.copytree(calibrated.path, tmp_path / "copied"))


def rewrite(checkpoint, change) -> None:
    """Changes the metadata of the checkpoint's `int8.safetensors`."""
    path = checkpoint.int8_path
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    change(metadata)
    save_file(load_file(path), path, metadata)


@needs_int8
def test_int8_labels_are_nearly_those_of_float32(calibrated):
    data = datasets.load("streets")
    exact, rounded = (make_engine(calibrated, "openvino", name) for name in ("f32", "int8"))
    assert rounded.precision == "int8"
    same = []
    for name in data.names("validation")[:4]:
        batch = calibrated.preprocessing.network_input(data.image(name))
        ours, reference = rounded.logits(batch), exact.logits(batch)
        assert ours.shape == reference.shape
        assert np.abs(ours - reference).mean() > 1e-4  # it is another arithmetic
        same.append((ours.argmax(1) == reference.argmax(1)).mean())
    assert np.mean(same) > 0.97


def test_what_is_kept_is_what_nncf_found(calibrated):
    """The network made again from the ranges computes what NNCF's own does."""
    import nncf

    core = runtime()
    data = datasets.load("streets")
    batches = [
        calibrated.preprocessing.network_input(data.image(name)) for name in data.names("train")[:4]
    ]
    model = core.read_model(converted_network(calibrated))
    theirs = nncf.quantize(model, nncf.Dataset(batches), subset_size=4)
    found = found_by_nncf(model, theirs, "", 4)
    ours = found.apply(core.read_model(converted_network(calibrated)))
    assert quantisation.structure_of(ours) == quantisation.structure_of(theirs)
    exact = core.read_model(converted_network(calibrated))
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    logits = [
        core.compile_model(network, "CPU", settings)([batches[0]])[0]
        for network in (ours, theirs, exact)
    ]
    assert np.array_equal(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2], atol=1e-3)


def test_the_ranges_are_small_and_hold_no_weights(calibrated):
    assert calibrated.int8_path.stat().st_size < 0.2 * calibrated.weights_path.stat().st_size
    kept = load_file(calibrated.int8_path)
    assert all(value.dtype == np.float32 for value in kept.values())
    assert max(value.size for value in kept.values()) <= 1024


def test_reading_gives_back_what_was_written(calibrated, copied):
    first = quantisation.read(calibrated)
    first.write(copied)
    again = quantisation.read(copied)
    assert (again.pictures, again.structure) == (8, first.structure)
    for ours, theirs in zip(again.roundings, first.roundings, strict=True):
        assert np.array_equal(ours.ranges, theirs.ranges)
        assert dataclasses.replace(ours, ranges=None) == dataclasses.replace(theirs, ranges=None)
    for ours, theirs in ((again.scales, first.scales), (again.biases, first.biases)):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_checkpoint_without_ranges_says_how_to_get_them(copied, monkeypatch):
    copied.int8_path.unlink()
    with pytest.raises(CheckpointError, match=r"not calibrated.*model quantise") as raised:
        quantisation.read(copied)
    assert shlex.split(str(raised.value))[-1] == str(copied.path)
    monkeypatch.chdir(copied.path.parent)
    there = folder.read("copied")
    assert quantisation.command(there).endswith("/copied")
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(copied.path.parent))
    assert quantisation.command(copied).endswith("--checkpoint copied")


@needs_int8
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"nothing"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: save_file(load_file(path), path),
    ],
    ids=["no safetensors", "truncated", "no metadata"],
)
def test_damaged_ranges_are_refused(copied, damage):
    damage(copied.int8_path)
    with pytest.raises(CheckpointError, match=r"int8\.safetensors is damaged.*quantise"):
        make_engine(copied, "openvino", "int8")


@needs_int8
def test_ranges_of_other_weights_are_refused(copied):
    rewrite(copied, lambda metadata: metadata.update(weights="0" * 64))
    with pytest.raises(CheckpointError, match="other weights"):
        make_engine(copied, "openvino", "int8")


@needs_int8
def test_ranges_of_another_conversion_are_refused(copied):
    rewrite(copied, lambda metadata: metadata.update(structure="0" * 64))
    with pytest.raises(CheckpointError, match=r"another version.*model quantise .*/copied"):
        make_engine(copied, "openvino", "int8")


def test_calibration_needs_pictures(calibrated, monkeypatch):
    data = datasets.load("streets")
    with pytest.raises(ConfigError, match="--pictures must be at least 1, got 0"):
        calibrate(calibrated, data, 0)
    monkeypatch.setattr(type(data), "names", lambda self, split: [])
    with pytest.raises(ConfigError, match="no training pictures"):
        calibrate(calibrated, data, 4)


def test_quantise_is_a_command(trained_run, tmp_path, here):
    path = shutil.copytree(trained_run, tmp_path / "run")
    words = ("--checkpoint", path, "--data", "streets", "--data-root", tmp_path / "my data")
    code, output, errors = here("quantise", *words, "--pictures", "4")
    assert code == 0, errors
    assert "calibrated on 4 pictures" in output
    assert f"evaluate {shlex.join(map(str, words))} --split validation" in output
    assert quantisation.read(folder.read(path)).pictures == 4
