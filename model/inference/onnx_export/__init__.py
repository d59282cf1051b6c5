"""A checkpoint as one ONNX file that takes a picture and gives labels, with nothing left to do.

    image   uint8 (H, W, 3), RGB, of any size
    labels  uint8 (H, W), class ids, at the picture's own size

The file scales, normalises and pads the picture, runs the network in float32, scales the
logits back and takes the most probable class, as `Segmenter` does in f32. The network's
input is the same to the bit. Its logits differ by float32's rounding, as between engines;
a pixel can get another label only where its two best classes are that close. Of exactly
equal classes the one with the lower id is taken.

The network sees the picture as a whole: where `Segmenter` would cut a large one into tiles, labels
can differ near their seams, and memory grows with the picture.

Classes with their colours are in the file's metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.folder import Checkpoint
from model.errors import ConfigError
from model.writing import provisional, replacing

if TYPE_CHECKING:
    import onnx


def write_onnx(checkpoint: Checkpoint, output: Path) -> None:
    """Writes the file, atomically.

    Raises: as `onnx_model`; `ConfigError` before the conversion if the file cannot be created.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        provisional(output).touch()
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be created: {error.strerror}.") from error
    with replacing(output) as part:
        part.write_bytes(onnx_model(checkpoint).SerializeToString())


def onnx_model(checkpoint: Checkpoint) -> onnx.ModelProto:
    """The checkpoint as an ONNX model.

    Raises: `ConfigError` for an ensemble, and if the package `onnx` is missing;
        `CheckpointError` for damaged weights.
    """
    if members := checkpoint.description.get("members"):
        raise ConfigError(
            f"{checkpoint.name} is an ensemble, and an ONNX file holds one network. Export one of "
            f"them: {', '.join(str(checkpoint.path / name) for name in members)}."
        )
    try:
        from model.inference.onnx_export import compose
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"ONNX files need the package {error.name}: pip install -r requirements.txt"
        ) from error
    return compose.model(checkpoint)
