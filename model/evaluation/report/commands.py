"""The command `compare`: what it takes, and what it prints and writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from model import writing
from model.checkpoints import zoo
from model.checkpoints.folder import Checkpoint
from model.errors import ConfigError

if TYPE_CHECKING:
    from model.evaluation.compare import Scored
    from model.evaluation.cost import Cost


@dataclass(frozen=True)
class Compare:
    """Say which of two to four checkpoints is better, where, and at what cost."""

    models: tyro.conf.Positional[tuple[str, ...]]
    """Each a name in weights/, a folder's path, or owner/name[@revision] on the Hub."""
    data: str | None = None
    """The data set to compare on; by default the one that they were trained on. Figures that the
    checkpoints have recorded on it and its split are used; otherwise they are scored now."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    split_file: Path | None = None
    """The --split-file that they were trained with, whose test part is scored on; by default the
    data set's own split."""
    output: Path | None = None
    """Write the report here: one self-contained HTML file with charts."""
    tables: Path | None = None
    """Write all tables here, as CSV files in a zip file."""
    latency: bool = False
    """Also measure operations, time and memory on this machine."""


def compare(command: Compare) -> None:
    """Runs `compare`. Raises `StudioError`; `ConfigError` for what cannot be compared."""
    from model.evaluation.report.candidate import MOST, candidates
    from model.evaluation.report.document import Report, protocol_text
    from model.evaluation.report.verdict import judge
    from model.evaluation.studies import SmallDataResult, of_kind, published

    if not 2 <= len(command.models) <= MOST:
        raise ConfigError(f"Name two to {MOST} checkpoints to compare, got {len(command.models)}.")
    if len(set(command.models)) < len(command.models):
        raise ConfigError("A checkpoint is named twice; compare different ones.")
    for path in (command.output, command.tables):
        if path is not None and path.is_dir():
            raise ConfigError(f"{path} is a folder; give the name of the file to write.")
    checkpoints = {name: zoo.find(name) for name in command.models}
    models = candidates(checkpoints, _scores(checkpoints, command))
    verdict = judge(models)
    if verdict.refused:
        raise ConfigError(" ".join([f"{verdict.headline}.", *verdict.warnings]))
    costs = _costs(checkpoints) if command.latency else {}
    studies, damaged = published()
    for name, reason in damaged.items():
        print(f"warning: the study {name} is left out: {reason}", file=sys.stderr)
    report = Report(models, verdict, costs, of_kind(SmallDataResult, studies))
    print("\n".join([verdict.headline, *verdict.details, *verdict.warnings, *verdict.cautions]))
    print(protocol_text(models))
    if command.output:
        _write(command.output, report.html().encode())
    if command.tables:
        _write(command.tables, report.csv())


def _scores(checkpoints: Mapping[str, Checkpoint], command: Compare) -> Mapping[str, Scored | None]:
    """What the checkpoints scored on the requested data set: as recorded, else measured now."""
    from model.checkpoints.trained_on import other_split
    from model.data import datasets
    from model.data import splits as split_rules
    from model.evaluation.compare import measured, recorded
    from model.evaluation.evaluate import evaluate
    from model.inference.segmenter import Segmenter

    own = {name: recorded(checkpoint) for name, checkpoint in checkpoints.items()}
    on_it = [scored is not None and scored.protocol.data == command.data for scored in own.values()]
    if command.split_file is None and (command.data is None or all(on_it)):
        return own
    known = {checkpoint.data_name for checkpoint in checkpoints.values()}
    if command.data is None and len(known) > 1:
        raise ConfigError(
            f"--split-file: these checkpoints were trained on {', '.join(sorted(known))}. Say with "
            "--data which of them it splits."
        )
    data = datasets.load(command.data or known.pop(), command.data_root, command.split_file)
    hint = "" if command.split_file else " Give that split as --split-file."
    digests = data.digest(), split_rules.digest(data.split)
    for name, scored in own.items():
        if scored and (scored.protocol.digest, scored.protocol.split_digest) == digests:
            continue
        if warning := other_split(checkpoints[name], data):
            print(f"warning: {warning}{hint}", file=sys.stderr)
        print(f"Scoring {name} on {data.title} ...", flush=True)
        segmenter = Segmenter(checkpoints[name], precision="f32")
        own[name] = measured(evaluate(segmenter, data, data.names("test")), data)
    return own


def _costs(checkpoints: Mapping[str, Checkpoint]) -> dict[str, Cost]:
    from model.evaluation.cost import measure
    from model.inference.segmenter import Segmenter

    print("Measuring time and memory ...", flush=True)
    return measure({name: Segmenter(checkpoint) for name, checkpoint in checkpoints.items()})


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.write_bytes(path, content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from error
    print(f"Written: {path}")
