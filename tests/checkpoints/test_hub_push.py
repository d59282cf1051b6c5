"""Pushing, through the real client, to a server that speaks the Hub's protocol."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import ModelCard

from model import writing
from model.checkpoints import commands, folder, hub, zoo
from model.checkpoints.commands import Push
from model.checkpoints.hub_id import read_registry
from model.data.datasets import DATA_SETS
from model.errors import CheckpointError, ConfigError, StudioError
from tests.hub_server import READER, WRITER, serving

NAME = "owner/streets-tiny"


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "_found", {})
    with serving(monkeypatch, tmp_path / "home") as server:
        monkeypatch.setenv("HF_TOKEN", WRITER)
        yield server


@pytest.fixture
def trained(make_checkpoint, tmp_path) -> folder.Checkpoint:
    """A checkpoint that states what its card needs."""
    checkpoint = make_checkpoint(tmp_path / "streets-tiny")
    figures = {
        **dict.fromkeys(("mean_iou", "mean_dice", "mean_precision", "mean_recall"), 0.75),
        "accuracy": 0.9,
        "num_images": 2,
        "engine": "torch",
        "precision": "f32",
        "per_class": {
            **{name: [0.5, 0.75, 1.0] for name in ("iou", "dice", "precision", "recall")},
            "support": [10, 20, 30],
        },
    }
    writing.write_json(
        checkpoint.path / folder.METRICS_FILE, {"splits": {"test": {"f32": figures}}}
    )
    writing.write_text(checkpoint.path / folder.HISTORY_FILE, "epoch,lr\n1,0.001\n")
    description = {
        **checkpoint.description,
        "encoder": {"name": None, "pretrained": False, "origin": "none"},
        "data": {
            "name": "streets",
            "title": "Drawn streets",
            "digest": "0" * 16,
            "licence": "CC BY 4.0",
            "source": "drawn by this program",
            "split_rule": "by number",
            "split_digest": "0" * 16,
            "split_sizes": {"train": 4, "validation": 2, "test": 2},
        },
        "training": {
            "command": "python -m model train --data streets",
            "epochs_done": 2,
            "best_epoch": 1,
            "seconds": 60.0,
            "machine": "a test",
            "seed": 0,
        },
        "versions": {"torch": "2.12.1"},
    }
    writing.write_json(checkpoint.path / folder.DESCRIPTION_FILE, description)
    return folder.read(checkpoint.path)


def push(checkpoint: folder.Checkpoint, **options) -> None:
    commands.push(Push(str(checkpoint.path), NAME, **options))


def test_push_makes_a_private_repository_with_one_commit(server, trained, capsys):
    push(trained)
    repository = server.repositories["model", NAME]
    assert repository.private
    assert len(repository.commits) == 2  # the first is the Hub's own, with .gitattributes
    files = repository.commits[-1][1]
    for name in (folder.WEIGHTS_FILE, folder.CONFIG_FILE, folder.DESCRIPTION_FILE,
                 folder.METRICS_FILE, folder.HISTORY_FILE):  # fmt: skip
        assert files[name] == (trained.path / name).read_bytes()
    output = capsys.readouterr().out
    assert f"{server.url}/{NAME} (private): pushed and checked" in output
    registry = trained.path.parent / "registry"
    registry.write_text(output.split("For weights/registry: ")[1])
    assert read_registry(registry.parent)["streets-tiny"].revision == repository.head


def test_pushed_checkpoint_is_pulled_by_its_name(server, trained):
    push(trained)
    pulled = zoo.find(NAME)
    assert pulled.classes == trained.classes
    assert pulled.metrics == trained.metrics


def test_card_has_the_figures_and_says_how_to_load_it_from_there(server, trained):
    push(trained)
    card = ModelCard(server.repositories["model", NAME].commits[-1][1]["README.md"].decode())
    assert card.data.pipeline_tag == "image-segmentation"
    assert card.data.license == "cc-by-4.0"
    assert {(r.metric_type, r.metric_value) for r in card.data.eval_results} >= {("mean_iou", 0.75)}
    assert f'Segmenter("{NAME}")' in card.text


def test_second_push_changes_nothing(server, trained, capsys):
    push(trained)
    before = list(server.repositories["model", NAME].commits)
    server.requests.clear()
    push(trained)
    assert server.repositories["model", NAME].commits == before
    assert not server.seen(r"^PUT|/commit/|/repos/create")
    assert "already there, nothing changed" in capsys.readouterr().out


def test_push_replaces_its_own_files_and_leaves_others(server, trained):
    push(trained)
    repository = server.repositories["model", NAME]
    repository.commit({**repository.commits[-1][1], "thumbnail.png": b"picture"})
    (trained.path / folder.HISTORY_FILE).unlink()
    push(trained)
    files = repository.commits[-1][1]
    assert folder.HISTORY_FILE not in files
    assert {"thumbnail.png", ".gitattributes", folder.WEIGHTS_FILE} <= set(files)


def test_public_is_asked_for(server, trained, capsys):
    push(trained, public=True)
    assert not server.repositories["model", NAME].private
    assert "(public)" in capsys.readouterr().out


def test_dry_run_shows_the_files_and_asks_nobody(server, trained, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    push(trained, dry_run=True)
    output = capsys.readouterr().out
    assert not server.requests
    for name in ("model.safetensors", "config.json", "README.md"):
        assert name in output
    assert f"{trained.weights_path.stat().st_size:,} bytes" in output


@pytest.mark.parametrize(
    ("token", "fault", "sentence"),
    [
        (None, {}, "needs an account"),
        ("hf_wrong", {}, "does not accept your token"),
        (READER, {}, "your token does not allow"),
        (WRITER, {"pattern": "GET /api/models", "delay": 1.0}, "did not answer in time"),
        (WRITER, {"pattern": "POST /api/repos", "status": 402}, "a payment method"),
        (WRITER, {"pattern": "PUT", "status": 403}, "your token does not allow"),
        (WRITER, {"pattern": "/commit/", "status": 412}, "changed on .* in the meantime"),
        (WRITER, {"pattern": "/commit/", "status": 503}, "has a problem"),
        (WRITER, {"pattern": "GET /cdn", "corrupt": True}, "model.safetensors came back different"),
    ],
)
def test_fault_becomes_a_sentence_and_a_second_push_works(
    server, trained, monkeypatch, token, fault, sentence
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.3)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    if fault:
        server.fail(**fault)
    with pytest.raises(StudioError, match=sentence) as caught:
        push(trained)
    assert NAME in str(caught.value)
    assert "\n" not in str(caught.value)
    server.faults.clear()
    monkeypatch.setenv("HF_TOKEN", WRITER)
    push(trained)
    assert zoo.find(NAME).classes == trained.classes


def test_a_card_that_the_hub_refuses_is_said_with_its_reason(server, trained):
    server.card_fault = '"license" must be one of [mit, ...]'
    with pytest.raises(StudioError, match=r'in README\.md\. - "license" must be one'):
        push(trained)


def test_what_somebody_else_keeps_there_is_not_overwritten(server, trained):
    repository = server.add(NAME, {"config.json": b"{}", "tokenizer.json": b"{}"})
    before = repository.commits[-1]
    with pytest.raises(ConfigError, match=rf"{NAME} exists and holds something else, such as conf"):
        push(trained)
    assert repository.commits[-1] == before


def unlicensed(checkpoint: folder.Checkpoint) -> folder.Checkpoint:
    return describe(checkpoint, name="folder", title="My pictures", licence="not stated")


def describe(checkpoint: folder.Checkpoint, **data: str) -> folder.Checkpoint:
    description = {**checkpoint.description, "data": {**checkpoint.description["data"], **data}}
    writing.write_json(checkpoint.path / folder.DESCRIPTION_FILE, description)
    return folder.read(checkpoint.path)


@pytest.mark.parametrize("dry_run", [False, True])
def test_data_of_unknown_terms_needs_a_licence(server, trained, dry_run):
    with pytest.raises(ConfigError, match=r"My pictures, whose licence is: not stated.*--licence"):
        push(unlicensed(trained), dry_run=dry_run)
    assert not server.requests


def test_data_not_meant_for_publication_needs_a_licence(server, trained):
    kind = DATA_SETS["drivable"]
    checkpoint = describe(trained, name=kind.name, title=kind.title, licence=kind.licence)
    with pytest.raises(ConfigError, match="--licence"):
        push(checkpoint)


def test_a_stated_licence_goes_along_and_the_folder_stays_as_it_is(server, trained):
    checkpoint = unlicensed(trained)
    before = {path.name: path.read_bytes() for path in checkpoint.path.iterdir()}
    push(checkpoint, licence="CC BY-SA 4.0")
    assert {path.name: path.read_bytes() for path in checkpoint.path.iterdir()} == before
    files = server.repositories["model", NAME].commits[-1][1]
    assert json.loads(files[folder.DESCRIPTION_FILE])["data"]["licence"] == "CC BY-SA 4.0"
    card = ModelCard(files[folder.CARD_FILE].decode())
    assert card.data.license == "cc-by-sa-4.0"
    assert "licence: CC BY-SA 4.0" in card.text
    assert zoo.find(NAME).description["data"]["licence"] == "CC BY-SA 4.0"


def test_a_recorded_licence_is_not_overruled(server, trained):
    with pytest.raises(ConfigError, match=r"records a licence already: CC BY 4\.0"):
        push(trained, licence="CC0")


def test_weights_that_are_only_registered_are_pushed_too(server, trained):
    push(trained)
    repository = server.repositories["model", NAME]
    weights = repository.commits[-1][1][folder.WEIGHTS_FILE]
    (trained.path.parent / "registry").write_text(f"{trained.path.name}: {NAME}@{repository.head}")
    trained.weights_path.unlink()
    commands.push(Push(str(trained.path), "owner/second"))
    second = server.repositories["model", "owner/second"].commits[-1][1]
    assert second[folder.WEIGHTS_FILE] == weights


@pytest.mark.parametrize("repository", ["name", "owner/name@main", "a/b/c"])
def test_repository_must_be_owner_and_name(trained, repository):
    with pytest.raises(ConfigError, match="owner/name"):
        commands.push(Push(str(trained.path), repository))


def test_description_without_a_licence_is_refused(trained, server):
    path = trained.path / folder.DESCRIPTION_FILE
    description = json.loads(path.read_text())
    del description["data"]["licence"]
    writing.write_json(path, description)
    with pytest.raises(CheckpointError, match="lacks 'licence'"):
        push(trained)
    assert not server.requests


def test_an_ensemble_is_not_pushed_as_one_of_its_networks(server, trained):
    description = trained.description | {"members": ["fold-2", "fold-3"]}
    writing.write_json(trained.path / folder.DESCRIPTION_FILE, description)
    with pytest.raises(ConfigError, match=r"is an ensemble.*fold-2.*fold-3"):
        push(folder.read(trained.path))
    assert not server.requests
