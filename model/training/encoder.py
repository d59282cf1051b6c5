"""What a network starts from: random weights, a pretrained encoder, or an earlier checkpoint."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download
from torch import nn

from model.checkpoints import folder, zoo
from model.checkpoints.folder import Checkpoint
from model.checkpoints.hub_errors import explain, in_words
from model.checkpoints.hub_id import HubId
from model.checkpoints.weights import misfit, read_tensors
from model.data import datasets
from model.data.classes import ClassTable
from model.digest import file_digest
from model.errors import ConfigError
from model.networks.registry import Architecture, construct

ENCODERS_FOLDER = "encoders"
"""Next to the data sets: where a file is looked for if it is not in the working folder."""


def build_with_encoder(
    architecture: Architecture, weights: str, origin: str = "", data_root: Path | None = None
) -> tuple[nn.Module, dict]:
    """Builds a network and loads pretrained encoder weights into it.

    Args:
        weights: "none", "imagenet", or a safetensors file or a Hub id `owner/name[@revision]`
            with the encoder's state, or with that of a network that has the encoder. A file's
            name, as checkpoints record it, is also looked up in `encoders/` next to the data sets.
        origin: what such weights were pretrained on, in words.
        data_root: as `datasets.load` takes it.

    Returns: the network, and what to record about the encoder.
    Raises: `ConfigError` if the weights cannot be obtained or do not fit, `HubError`.
    """
    name = architecture.arguments.get("encoder_name")
    if name is None:
        return construct(architecture), {"name": None, "pretrained": False, "origin": "none"}
    if weights == "none":
        return construct(architecture), {
            "name": name, "pretrained": False, "origin": "none, random weights",
        }  # fmt: skip
    if weights == "imagenet":
        arguments = {**architecture.arguments, "encoder_weights": "imagenet"}
        try:
            network = construct(Architecture(architecture.model_class, arguments))
        except Exception as error:  # whatever the Hub client raises when it cannot download
            raise ConfigError(
                f"{explain(error, f'The ImageNet weights of {name}')} Or give a file: "
                "--encoder-weights FILE.safetensors."
            ) from error
        origin = "ImageNet, as distributed by segmentation_models_pytorch"
        return network, {"name": name, "pretrained": True, "origin": origin}
    path = Path(weights)
    if not path.is_file() and path.name == weights:
        beside = datasets.data_folder(data_root) / ENCODERS_FOLDER / weights
        path = beside if beside.is_file() else path
    if path.is_file() or not HubId.matches(weights) or path.suffix == ".safetensors":
        return _from_file(architecture, path, origin)
    hub_id = HubId.parse(weights)
    with in_words(weights):
        path = Path(
            hf_hub_download(hub_id.repository, folder.WEIGHTS_FILE, revision=hub_id.revision)
        )
    network, record = _from_file(architecture, path, origin or weights)
    # The client keeps a file in a folder named by its commit.
    return network, record | {"file": f"{hub_id.repository}@{path.parent.name}/{path.name}"}


def start_from(network: nn.Module, model: str, classes: ClassTable) -> Checkpoint:
    """Loads the weights of an earlier checkpoint into a network.

    Args: model: as models are named everywhere; classes: those that will be trained.

    Returns: the checkpoint.
    Raises: `ConfigError` if classes or weights differ or it is an ensemble, else as `zoo.find`.
    """
    checkpoint = zoo.find(model)
    if "members" in checkpoint.description:
        parts = sorted(found.parent for found in checkpoint.path.glob(f"*/{folder.WEIGHTS_FILE}"))
        raise ConfigError(
            f"--start-from {model} is an ensemble of networks, and a run starts from one. Give one "
            f"of them: {', '.join(map(str, parts))}."
        )
    if checkpoint.classes.names != classes.names:
        raise ConfigError(
            f"--start-from {model} knows the classes {checkpoint.classes.names}, but the data set "
            f"has {classes.names}."
        )
    try:
        network.load_state_dict(read_tensors(checkpoint.weights_path))
    except RuntimeError as error:
        raise ConfigError(
            f"--start-from {model} is {checkpoint.network_name}, whose weights do not fit the "
            f"network to train: {misfit(error)}"
        ) from error
    return checkpoint


def _from_file(architecture: Architecture, path: Path, origin: str) -> tuple[nn.Module, dict]:
    if not path.is_file():
        raise ConfigError(
            f"--encoder-weights {path}: there is no such file, nor one of that name in "
            f"{ENCODERS_FOLDER}/ next to the data sets. Give 'imagenet', 'none', a "
            "safetensors file, or owner/name on the Hugging Face Hub."
        )
    network = construct(architecture)
    tensors = read_tensors(path)
    # A whole network's: its encoder has this prefix.
    inner = {
        key.removeprefix("encoder."): value
        for key, value in tensors.items()
        if key.startswith("encoder.")
    }
    try:
        network.encoder.load_state_dict(inner or tensors)
    except RuntimeError as error:
        raise ConfigError(
            f"{path} does not fit the encoder {architecture.arguments['encoder_name']}: "
            f"{misfit(error)}"
        ) from error
    return network, {
        "name": architecture.arguments["encoder_name"],
        "pretrained": True,
        "origin": origin or path.name,
        "file": path.name,
        "sha256": file_digest(path),
    }
