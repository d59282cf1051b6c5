"""ONNX files: raw uint8 through onnxruntime gives the labels that `Segmenter` gives."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from model.checkpoints import zoo
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError
from model.inference import onnx_export
from model.inference.commands import Export, export
from model.inference.onnx_export import onnx_model, write_onnx
from model.inference.onnx_export.graph import Graph
from model.inference.onnx_export.pillow_resize import resize
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter

NETWORKS = {
    "scratch": {"network": "unet", "longest_side": 64},
    "encoder": {"network": "unet-mobilenet_v2", "longest_side": 96, "num_classes": 5},
}


@pytest.fixture(scope="module", params=NETWORKS)
def checkpoint(request, make_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / request.param
    return make_checkpoint(path, **NETWORKS[request.param])


@pytest.fixture(scope="module")
def session(checkpoint):
    return run(onnx_model(checkpoint))


def run(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    small = Image.fromarray(noise(7, 9, 3))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def assert_same_labels(session, checkpoint, image: np.ndarray) -> None:
    """Equal, except where the network itself is undecided by float32's rounding."""
    (labels,) = session.run(None, {"image": image})
    segmenter = Segmenter(checkpoint, engine="torch", precision="f32")
    result = segmenter.segment(image, SegmentOptions(probabilities=True))
    assert labels.dtype == np.uint8
    assert labels.shape == image.shape[:2]
    differing = labels != result.labels
    two_best = np.sort(result.probabilities.astype(np.float32), axis=0)[-2:]
    assert not differing[two_best[1] - two_best[0] > 2e-3].any()
    assert differing.mean() < 1e-3


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 300), (64, 64), (60, 81), (201, 133), (500, 700), (17, 900)]
)
def test_labels_are_the_segmenters(session, checkpoint, size):
    assert_same_labels(session, checkpoint, smooth(*size))


def test_labels_of_a_scene(session, checkpoint, picture):
    assert len(np.unique(session.run(None, {"image": picture})[0])) > 1
    assert_same_labels(session, checkpoint, picture)


def test_at_the_pictures_own_size(make_checkpoint, tmp_path):
    made = make_checkpoint(tmp_path / "native")
    native = replace(made, preprocessing=Preprocessing(size_policy="pad", longest_side=None))
    assert_same_labels(run(onnx_model(native)), native, smooth(75, 42))


@pytest.mark.data
@pytest.mark.parametrize("name", ["pets-mobilenet", "carla-resnet34"])
def test_trained_checkpoints_on_a_scene(name, picture):
    checkpoint = zoo.find(name)
    image = np.asarray(Image.fromarray(picture).resize((500, 370)))
    assert_same_labels(run(onnx_model(checkpoint)), checkpoint, image)


@pytest.mark.parametrize(
    ("source", "target"),
    [((60, 81), (48, 64)), ((500, 333), (64, 43)), ((7, 3), (64, 27)), ((1, 1), (5, 9)),
     ((1200, 31), (40, 1)), ((64, 64), (64, 64)), ((401, 399), (63, 64))],
)  # fmt: skip
def test_the_resize_is_pillows_to_the_bit(source, target):
    graph = Graph()
    scaled = resize(graph, "planes", "from_hw", "to_hw")
    graph.Identity(scaled, name="result")
    uint8, int64 = onnx.TensorProto.UINT8, onnx.TensorProto.INT64
    value = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "resize",
            [
                value("planes", uint8, [3, "H", "W"]),
                value("from_hw", int64, [2]),
                value("to_hw", int64, [2]),
            ],
            [value("result", uint8, None)],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=10,
    )
    image = noise(*source, 3)
    given = {
        "planes": image.transpose(2, 0, 1),
        "from_hw": np.array(source),
        "to_hw": np.array(target),
    }
    (result,) = run(model).run(None, given)
    expected = Image.fromarray(image).resize(
        target[::-1], Image.Resampling.BILINEAR, reducing_gap=3.0
    )
    assert np.array_equal(result.transpose(1, 2, 0), np.asarray(expected))


def test_its_folder_is_made_before_anything_is_converted(checkpoint, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"one\.onnx cannot be created"):
        write_onnx(checkpoint, tmp_path / "file" / "one.onnx")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a folder of Linux's own")
def test_a_folder_that_takes_no_file_is_refused_before_anything_is_converted(
    checkpoint, monkeypatch
):
    monkeypatch.setattr(onnx_export, "onnx_model", lambda _: pytest.fail("converted"))
    with pytest.raises(ConfigError, match=r"/sys/kernel/one\.onnx cannot be created: "):
        write_onnx(checkpoint, Path("/sys/kernel/one.onnx"))


def test_the_file_says_what_it_is(checkpoint, tmp_path):
    path = tmp_path / "network.onnx"
    write_onnx(checkpoint, path)
    session = onnxruntime.InferenceSession(path)
    said = session.get_modelmeta().custom_metadata_map
    assert said["model"] == checkpoint.name
    assert json.loads(said["classes"]) == checkpoint.classes.to_json()
    assert [(i.name, i.type) for i in session.get_inputs()] == [("image", "tensor(uint8)")]
    assert [(o.name, o.type) for o in session.get_outputs()] == [("labels", "tensor(uint8)")]
    assert [p.name for p in tmp_path.iterdir()] == ["network.onnx"]


def test_the_command_writes_a_file_and_overwrites_none(checkpoint, tmp_path, capsys):
    path = tmp_path / "network.onnx"
    export(Export(str(checkpoint.path), path))
    assert str(path) in capsys.readouterr().out
    assert run(onnx.load(path)).run(None, {"image": smooth(8, 9)})[0].shape == (8, 9)
    with pytest.raises(ConfigError, match="already exists"):
        export(Export(str(checkpoint.path), path))
    with pytest.raises(ConfigError, match=r"end in \.onnx"):
        export(Export(str(checkpoint.path), tmp_path / "network.bin"))


def test_an_ensemble_is_refused(make_checkpoint, tmp_path):
    made = make_checkpoint(tmp_path / "folds")
    folds = replace(made, description=made.description | {"members": ["fold-2"]})
    with pytest.raises(ConfigError, match=r"ensemble.*folds/fold-2"):
        onnx_model(folds)
