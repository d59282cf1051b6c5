"""Pulling, through the real client, from a server that speaks the Hub's protocol."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants, hf_hub_download

from model.checkpoints import commands, folder, zoo
from model.checkpoints import hub as hub_module
from model.checkpoints.commands import Pull
from model.checkpoints.hub import copy_to, pull
from model.checkpoints.hub_errors import HubError
from model.checkpoints.hub_id import HubId, read_registry
from model.errors import CheckpointError, ConfigError, StudioError
from model.inference.segmenter import Segmenter
from tests.hub_server import READER, WRITER, record_waits, serving

NAME = "owner/tiny"
LISTING = rf"^GET /api/models/{NAME}"
WEIGHTS = rf"^GET /cdn/|^GET /{NAME}/resolve/.*/model\.safetensors"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(hub_module, "_found", {})
    with serving(monkeypatch, tmp_path / "home") as server:
        yield server


@pytest.fixture(scope="module")
def original(make_checkpoint, tmp_path_factory) -> folder.Checkpoint:
    return make_checkpoint(tmp_path_factory.mktemp("trained") / "tiny", base_width=16)


@pytest.fixture
def files(original) -> dict[str, bytes]:
    """What the repository holds: a checkpoint of ours, and files that must never be fetched."""
    traps = {"pytorch_model.bin": b"pickle", "model.py": b"print()", "extra/config.json": b"{}"}
    return {path.name: path.read_bytes() for path in original.path.iterdir()} | traps


@pytest.fixture
def bundled(original, tmp_path, monkeypatch) -> Path:
    """A weights folder with one checkpoint that needs no network."""
    weights = tmp_path / "weights"
    shutil.copytree(original.path, weights / "bundled")
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(weights))
    return weights


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    return record_waits(monkeypatch)


def pull_tiny() -> folder.Checkpoint:
    return pull(HubId(NAME))


def test_pulled_checkpoint_segments_as_the_original(hub, original, files, picture):
    repository = hub.add(NAME, files)
    pulled = pull_tiny()
    assert pulled.name == NAME
    assert pulled.classes == original.classes
    assert pulled.description["hub"] == {
        "repository": NAME, "revision": None, "commit": repository.head,
    }  # fmt: skip
    labels = [
        Segmenter(checkpoint, engine="torch").segment(picture).labels
        for checkpoint in (original, pulled)
    ]
    assert np.array_equal(*labels)


def test_nothing_but_the_formats_own_files_is_fetched(hub, files):
    hub.add(NAME, files)
    pulled = pull_tiny()
    assert {path.name for path in pulled.path.iterdir()} == {
        folder.CONFIG_FILE, folder.DESCRIPTION_FILE, folder.WEIGHTS_FILE,
    }  # fmt: skip
    assert not hub.seen(r"pytorch_model|\.py|extra")


def test_what_the_repository_lacks_is_not_asked_for(hub, files):
    """Some servers answer that as if the whole repository were not there."""
    hub.add(NAME, files)
    pull_tiny()
    assert {line.rsplit("/", 1)[-1] for line, _ in hub.requests if "/resolve/" in line} == {
        folder.CONFIG_FILE, folder.DESCRIPTION_FILE, folder.WEIGHTS_FILE,
    }  # fmt: skip


def test_token_stays_with_the_hub(hub, files, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", READER)
    hub.add(NAME, files, private=True)
    pull_tiny()
    assert all("authorization" in headers for headers in hub.seen("/resolve/"))
    assert hub.seen("/cdn/")
    assert not any("authorization" in headers for headers in hub.seen("^GET /cdn/"))


def test_any_model_argument_takes_a_hub_id(hub, files, picture):
    repository = hub.add(NAME, files)
    for model in (NAME, f"{NAME}@{repository.head}", f"{NAME}@main"):
        assert zoo.find(model).name == model
    assert Segmenter(NAME, engine="torch").segment(picture).model == NAME


def test_existing_folder_wins_over_a_hub_id(hub, original, tmp_path, monkeypatch):
    shutil.copytree(original.path, tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    assert zoo.find(NAME).path == Path(NAME)
    assert not hub.requests


def test_missing_folder_that_cannot_be_a_hub_id_asks_nobody(hub):
    for model in ("./owner/tiny", "/owner/tiny", "a/b/c", "owner/tiny/"):
        with pytest.raises(CheckpointError, match="no checkpoint folder"):
            zoo.find(model)
    assert not hub.requests


def test_process_stays_with_the_commit_it_found(hub, files):
    repository = hub.add(NAME, files)
    first = zoo.find(NAME)
    asked = len(hub.requests)
    second = repository.commit({**files, "README.md": b"new"})
    assert zoo.find(NAME) == first
    assert len(hub.requests) == asked
    assert pull_tiny().description["hub"]["commit"] == second
    old = pull(HubId(NAME, first.description["hub"]["commit"]))
    assert old.path == first.path


def test_pinned_revision_in_the_cache_needs_no_network(hub, files):
    repository = hub.add(NAME, files)
    pull_tiny()
    asked = len(hub.requests)
    pull(HubId(NAME, repository.head))
    assert len(hub.requests) == asked


def test_what_another_program_left_out_is_asked_for(hub, files):
    """Such as segmentation_models_pytorch, which takes the network alone."""
    repository = hub.add(NAME, files)
    for name in (folder.CONFIG_FILE, folder.WEIGHTS_FILE):
        hf_hub_download(NAME, name, revision=repository.head)
    checkpoint = pull(HubId(NAME, repository.head))
    assert checkpoint.classes.names == pull_tiny().classes.names
    assert (checkpoint.path / folder.DESCRIPTION_FILE).exists()


def test_what_another_program_left_out_is_not_guessed_offline(hub, files, monkeypatch):
    repository = hub.add(NAME, files)
    for name in (folder.CONFIG_FILE, folder.WEIGHTS_FILE):
        hf_hub_download(NAME, name, revision=repository.head)
    pinned = HubId(NAME, repository.head)
    with monkeypatch.context() as patch:
        refuse_connections(patch)
        with pytest.raises(HubError, match="cannot be reached"):
            pull(pinned)
    assert "guessed" not in pull(pinned).description


def test_other_files_are_not_overwritten(hub, files, tmp_path):
    hub.add(NAME, files)
    project = tmp_path / "project"
    project.mkdir()
    (project / "README.md").write_text("my project")
    with pytest.raises(ConfigError, match="is not empty and holds no checkpoint"):
        copy_to(pull_tiny(), project)
    assert [path.name for path in project.iterdir()] == ["README.md"]
    copy_to(pull_tiny(), tmp_path / "new")
    copy_to(pull_tiny(), tmp_path / "new")


@pytest.mark.parametrize("how", ["offline", "unreachable", "out of order"])
def test_cached_copy_serves_while_the_hub_does_not(hub, files, how, monkeypatch, caplog):
    hub.add(NAME, files)
    first = pull_tiny()
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "unreachable":
        refuse_connections(monkeypatch)
    else:
        hub.fail(LISTING, status=503)
    assert pull_tiny() == first
    assert "cached copy" in caplog.text


def test_connection_dropped_in_mid_file_is_resumed(hub, files, waits, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    hub.add(NAME, files)
    hub.fail(WEIGHTS, drop_after=10_000)
    hub.fail(WEIGHTS, drop_after=20_000)
    pulled = pull_tiny()
    assert pulled.weights_path.read_bytes() == files[folder.WEIGHTS_FILE]
    ranges = [headers.get("range") for headers in hub.seen("^GET /cdn/")]
    assert ranges[0] is None
    assert [int(re.fullmatch(r"bytes=(\d+)-", r)[1]) > 0 for r in ranges[1:]] == [True, True]


def test_retry_after_is_obeyed(hub, files, waits):
    hub.add(NAME, files)
    hub.fail(WEIGHTS, status=429, headers={"Retry-After": "7"})
    pull_tiny()
    assert waits
    assert max(waits) >= 7


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"pattern": WEIGHTS, "drop_after": 0, "times": 99}, "cannot be reached"),
        ({"pattern": LISTING, "status": 429, "headers": {"Retry-After": "30"}}, "in 30 seconds"),
        ({"pattern": LISTING, "status": 429, "headers": {"ratelimit": '"api";r=0;t=55'}},
         "in 55 seconds"),
        ({"pattern": LISTING, "status": 503}, r"has a problem \(status 503\)"),
        ({"pattern": WEIGHTS, "status": 500}, r"has a problem \(status 500\)"),
        ({"pattern": WEIGHTS, "corrupt": True}, "model.safetensors has the wrong hash"),
        ({"pattern": "GET.*config.json", "corrupt": True}, "config.json has the wrong hash"),
        ({"pattern": "HEAD.*/config.json", "headers": {"ETag": '"' + "0" * 40 + '"'}, "times": 2},
         "config.json has the wrong hash"),
        ({"pattern": LISTING, "status": 401}, "does not accept your token"),
        ({"pattern": "HEAD", "status": 403}, "your token does not allow"),
        ({"pattern": LISTING, "delay": 1.0}, "did not answer in time"),
        ({"pattern": WEIGHTS, "delay": 1.0, "times": 9}, "did not answer in time"),
    ],
)  # fmt: skip
def test_fault_becomes_a_sentence_and_a_second_pull_works(
    hub, files, bundled, waits, monkeypatch, fault, sentence
):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    hub.add(NAME, files)
    hub.fail(**fault)
    with pytest.raises(StudioError, match=sentence) as caught:
        zoo.find(NAME)
    assert_helps(caught.value, bundled)
    hub.faults.clear()
    assert zoo.find(NAME).weights_path.read_bytes() == files[folder.WEIGHTS_FILE]


@pytest.mark.parametrize(
    ("options", "token", "sentence"),
    [
        (None, None, "has no owner/tiny, or it is private"),
        (None, WRITER, "has no owner/tiny, or it is private"),
        ({"private": True}, None, "has no owner/tiny, or it is private"),
        ({"private": True}, "hf_wrong", "does not accept your token"),
        ({"gated": True}, None, r"is gated. Accept its terms at http://127\S*/owner/tiny with"),
        ({"gated": True}, READER, "is gated"),
    ],
)
def test_closed_repository_becomes_a_sentence(
    hub, files, bundled, monkeypatch, options, token, sentence
):
    if options is not None:
        hub.add(NAME, files, **options)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(StudioError, match=sentence) as caught:
        zoo.find(NAME)
    assert_helps(caught.value, bundled)


@pytest.mark.parametrize(("number", "sentence"), [
    (errno.ENOSPC, "the disk is full"), (errno.EROFS, "the cache cannot be written"),
])  # fmt: skip
def test_disk_that_cannot_be_written_becomes_a_sentence(
    hub, files, bundled, monkeypatch, number, sentence
):
    hub.add(NAME, files)

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.file_download.http_get", refuse)
        with pytest.raises(StudioError, match=sentence) as caught:
            zoo.find(NAME)
    assert_helps(caught.value, bundled)
    zoo.find(NAME)


@pytest.mark.parametrize("how", ["offline", "unreachable"])
def test_hub_out_of_reach_becomes_a_sentence_at_once(hub, bundled, waits, how, monkeypatch):
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        refuse_connections(monkeypatch)
    sentence = {"offline": "HF_HUB_OFFLINE forbids", "unreachable": "cannot be reached"}[how]
    with pytest.raises(StudioError, match=sentence) as caught:
        zoo.find(NAME)
    assert_helps(caught.value, bundled)
    assert not waits


def test_unknown_revision_becomes_a_sentence(hub, files):
    hub.add(NAME, files)
    with pytest.raises(StudioError, match="no such revision"):
        zoo.find(f"{NAME}@nonsense")


@pytest.mark.parametrize("missing", [folder.CONFIG_FILE, folder.WEIGHTS_FILE])
def test_repository_that_is_no_checkpoint_becomes_a_sentence(hub, files, missing):
    hub.add(NAME, {name: content for name, content in files.items() if name != missing})
    with pytest.raises(StudioError, match=f"has no {re.escape(missing)}"):
        zoo.find(NAME)


def test_registered_weights_are_pulled_at_first_use(hub, files, bundled):
    repository = hub.add(NAME, files)
    shutil.copytree(bundled / "bundled", bundled / "small")
    (bundled / "small" / folder.WEIGHTS_FILE).unlink()
    assert "small" in zoo.list_bundled()[1]
    (bundled / "registry").write_text(f"small: {NAME}@{repository.head}\n")
    good, damaged = zoo.list_bundled()
    assert [checkpoint.name for checkpoint in good] == ["bundled", "small"]
    assert not damaged
    assert not hub.requests
    found = zoo.find("small")
    assert found.name == "small"
    assert found.weights_path.read_bytes() == files[folder.WEIGHTS_FILE]


def test_pull_all_completes_the_weights_folder(hub, files, bundled, capsys):
    repository = hub.add(NAME, files)
    (bundled / "registry").write_text(f"small: {NAME}@{repository.head}\n")
    for _ in range(2):
        commands.pull(Pull(all=True))
    assert folder.read(bundled / "small").classes == folder.read(bundled / "bundled").classes
    record = (bundled / "small" / "hub.json").read_text()
    assert repository.head in record
    assert capsys.readouterr().out.count(str(bundled / "small")) == 2


def test_pull_writes_no_weights_over_others(hub, files, bundled, make_checkpoint):
    hub.add(NAME, files)
    other = make_checkpoint(bundled / "other", seed=5)
    with pytest.raises(ConfigError, match="holds other weights"):
        commands.pull(Pull(NAME, output=other.path))
    commands.pull(Pull(NAME, output=bundled / "new"))
    assert (bundled / "new" / folder.WEIGHTS_FILE).read_bytes() == files[folder.WEIGHTS_FILE]


def test_pull_to_where_nothing_can_be_written_becomes_a_sentence(hub, files, bundled):
    hub.add(NAME, files)
    (bundled / "file").touch()
    with pytest.raises(ConfigError, match="file/new cannot be written: Not a directory"):
        commands.pull(Pull(NAME, output=bundled / "file" / "new"))


@pytest.mark.parametrize(
    "arguments", [{}, {"model": NAME, "all": True}, {"all": True, "output": Path("x")}]
)
def test_pull_wants_a_model_or_all(bundled, arguments):
    with pytest.raises(ConfigError, match="--all"):
        commands.pull(Pull(**arguments))


def test_pull_of_what_is_no_hub_id_says_so(bundled):
    with pytest.raises(ConfigError, match="'bundled' is neither owner/name"):
        commands.pull(Pull("bundled"))


def test_registry_of_the_repository_is_valid():
    weights = Path(__file__).resolve().parents[2] / "weights"
    assert (weights / "registry").is_file()
    read_registry(weights)


@pytest.mark.parametrize("text", ["- list", "a: owner/name", "a: owner/name@main", "a: [", "a: 1"])
def test_wrong_registry_becomes_a_sentence(bundled, text):
    (bundled / "registry").write_text(text)
    with pytest.raises(CheckpointError, match="registry"):
        zoo.find("small")
    assert zoo.find("bundled").name == "bundled"


@pytest.mark.parametrize(
    "text", ["owner/name", "o/n@main", "a-b/c.d_e@v1.0", "owner/name@refs/pr/1", "_o/n_"]
)
def test_hub_id_survives_parsing(text):
    assert str(HubId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["name", "a/b/c", "./a/b", "../b", "a/../b", "a//b", "/a/b", "a/b@", "a/b@../../x", "a/b@-x",
     "~/b", "a--b/c", "a/b.git", "a b/c", "a/b\n", "a/" + "b" * 97],
)  # fmt: skip
def test_what_is_no_hub_id_is_refused(text):
    assert not HubId.matches(text)


def test_environment_is_the_clients_own(hub, files, tmp_path):
    hub.add(NAME, files, private=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "elsewhere"),
        "HF_TOKEN": READER,
        "HF_HUB_DISABLE_XET": "1",
    }
    code = f"from model.checkpoints import zoo; print(zoo.find('{NAME}').path)"

    def run(**extra: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", code],
            env=environment | extra,
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = run()
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "elsewhere")
    assert run(HF_HUB_OFFLINE="1", HF_TOKEN="").stdout == done.stdout


def test_imagenet_encoder_comes_the_same_way(hub, tmp_path):
    import segmentation_models_pytorch as smp
    import torch
    from safetensors.torch import save

    from model.networks.registry import architecture
    from model.training.encoder import build_with_encoder

    encoder = smp.encoders.get_encoder("mobilenet_v2")
    weights = {name: torch.full_like(value, 0.25) for name, value in encoder.state_dict().items()}
    settings = smp.encoders.encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
    repository = hub.add(
        settings["repo_id"], {"config.json": b"{}", "model.safetensors": save(weights)}
    )
    repository.commits = [(settings["revision"], repository.commits[0][1])]
    network, origin = build_with_encoder(architecture("unet-mobilenet_v2", 2), "imagenet")
    assert origin["pretrained"]
    for name, value in network.encoder.state_dict().items():
        assert torch.equal(value, weights[name]), name


def refuse_connections(monkeypatch) -> None:
    """Points the client to a port where nobody listens."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def assert_helps(error: StudioError, weights: Path) -> None:
    """The message is a sentence or two about the model, and the bundled models still work."""
    message = str(error)
    assert NAME in message
    assert "\n" not in message
    assert message.endswith(".")
    assert [checkpoint.name for checkpoint in zoo.list_bundled()[0]] == ["bundled"]
    assert zoo.find("bundled").path == weights / "bundled"
