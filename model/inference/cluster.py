"""Files in bulk on many machines: `ray.data` hands them to workers with a segmenter each.

A worker that dies is replaced, and its batch is handed out again. As outputs get their names only
once they are complete, what it had finished is kept and not done twice.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import model
from model.checkpoints.zoo import weights_folder
from model.errors import ConfigError, StudioError
from model.inference.engines.precision import PRECISIONS
from model.inference.folders import Job, Outcome, Progress, segment_here
from model.inference.inputs import Item
from model.inference.options import SegmentOptions
from model.inference.output import RECORD_FILE, OutputFolder
from model.inference.segmenter import Segmenter
from model.processor import available_cores

LOCAL = "local"

BATCH = 16
"""Files given to a worker at a time: enough to read, compute and write at the same time."""

BLOCKS = 4096
"""Most batches that the files are divided into: each costs the machine with the command time and
memory."""

RETRIES = 3
"""How often a batch whose worker died is handed out again: a picture that kills every worker must
not keep the run going for ever."""

Batch = dict[str, np.ndarray]


def require_library() -> None:
    """Raises `ConfigError` if Ray is missing."""
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--ray needs the package ray: pip install -r requirements-ray.txt"
        ) from error


class Cluster:
    """Does the work of `folders.segment_files` on a Ray cluster, whose machines all see the
    inputs, the output folder and the checkpoint under the same paths.

    Args:
        address: "local" starts Ray on this machine; else that of a running cluster.
        checkpoint: as given to the job's segmenter.
        workers: how many run at a time; by default one on each machine.

    Raises: `ConfigError` for fewer than one worker. Called, it raises `ConfigError` if the cluster
        cannot be reached or a worker cannot do the work.
    """

    def __init__(self, address: str, checkpoint: str, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"--ray-workers must be at least 1, got {workers}.")
        self.address = address
        self.checkpoint = _everywhere(found) if (found := _folder(checkpoint)) else checkpoint
        self.workers = workers

    def __call__(
        self, job: Job, items: Sequence[Item], folder: OutputFolder, progress: Progress
    ) -> Iterator[Outcome]:
        if not items:
            return
        import ray

        self._connect()
        try:
            yield from self._outcomes(job, items, folder, progress)
        finally:
            ray.shutdown()

    def _connect(self) -> None:
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        local = self.address == LOCAL
        try:
            _check_answers(self.address)
            ray.init(
                address=self.address,
                # Cores of this machine: at least as many as workers.
                num_cpus=max(available_cores(), self.workers or 1) if local else None,
                include_dashboard=False if local else None,
                runtime_env={"py_modules": [str(Path(model.__file__).parent)]},
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"--ray: there is no Ray cluster at {self.address} ({error}). 'local' starts one "
                "on this machine."
            ) from error

    def _outcomes(
        self, job: Job, items: Sequence[Item], folder: OutputFolder, progress: Progress
    ) -> Iterator[Outcome]:
        import ray
        from ray.exceptions import RayError

        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        machines = [resources for resources in machines if resources.get("CPU", 0) >= 1]
        workers = self.workers or max(1, len(machines))
        on_each = -(-workers // max(1, len(machines)))
        cores = min((resources["CPU"] for resources in machines), default=1)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        rows = [
            {"number": number, "path": _everywhere(item.path), "name": item.name, "key": item.key}
            for number, item in enumerate(items)
        ]
        # Small blocks: a worker gets one at a time, and the last should not run alone for long.
        blocks = min(BLOCKS, max(workers, -(-len(items) // BATCH)))
        results = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Worker,
            fn_constructor_args=(self.checkpoint, job.formats, job.chosen, job.options),
            fn_constructor_kwargs={"folder": folder, "settings": job.settings()},
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=max(1, int(cores // on_each)),
            max_task_retries=RETRIES,
        )
        try:
            for row in results.iter_rows():
                if row["stop"]:
                    raise ConfigError(f"--ray: {row['reason']}")
                progress(0, 1)
                yield items[row["number"]], row["reason"] or None
        except RayError as error:
            raise ConfigError(
                f"--ray: a worker failed: {str(error).splitlines()[0]} Files that exist are "
                "complete; the same command with --resume continues."
            ) from error
        folder.remove_parts()


class Worker:
    """One of the workers: created once in its process, called with batches of files.

    Args:
        checkpoint, formats, chosen, options: what its `Job` is made of.
        folder: that of all workers.
        settings: those of the others' jobs.
    """

    def __init__(
        self,
        checkpoint: str,
        formats: Sequence[str],
        chosen: Collection[int],
        options: SegmentOptions,
        *,
        folder: OutputFolder,
        settings: dict[str, Any],
    ) -> None:
        self.checkpoint = checkpoint
        self.details = (formats, chosen, options)
        self.folder = folder
        self.settings = settings

    def __call__(self, batch: Batch) -> Batch:
        """Segments the files of columns `number`, `path`, `name` and `key`.

        Returns: by `number` the `reason` why a file could not be segmented, or ""; if `stop`, it is
            a reason why none can. An exception would be repeated and reported by Ray.
        """
        try:
            reasons, stop = self._segment(batch), False
        except StudioError as error:
            reasons, stop = {batch["number"][0]: str(error)}, True
        return {
            "number": np.array(list(reasons)),
            "reason": np.array(list(reasons.values())),
            "stop": np.full(len(reasons), stop),
        }

    def _segment(self, batch: Batch) -> dict[int, str]:
        columns = (batch[name].tolist() for name in ("number", "path", "name", "key"))
        number_of = {
            Item(path if "://" in path else Path(path), name, key): number
            for number, path, name, key in zip(*columns, strict=True)
        }
        reasons = dict.fromkeys(number_of.values(), "")
        # What a worker that died had finished already exists.
        todo = [item for item in number_of if not self.folder.has_written(item)]
        for item, reason in segment_here(self._job, todo, self.folder, lambda more, done: None):
            reasons[number_of[item]] = reason or ""
        return reasons

    @cached_property
    def _job(self) -> Job:
        """Raises `ConfigError` if it would not do the same as the others' jobs."""
        machine = socket.gethostname()
        if not (self.folder.path / RECORD_FILE).exists():
            raise ConfigError(
                f"The machine {machine} does not see {self.folder.path}: --output must be a "
                "folder that all machines share."
            )
        precision = self.settings["precision"]
        if precision not in PRECISIONS:  # several, of an ensemble: as they were chosen there
            precision = "auto"
        segmenter = Segmenter(self.checkpoint, engine=self.settings["engine"], precision=precision)
        job = Job(segmenter, *self.details)
        if segmenter.precision != self.settings["precision"]:
            raise ConfigError(
                f"The machine {machine} computes in {segmenter.precision}, not in "
                f"{self.settings['precision']}. Give --precision f32, which all machines have."
            )
        if job.settings() != self.settings:
            raise ConfigError(f"The machine {machine} has another checkpoint as {self.checkpoint}.")
        return job


def _check_answers(address: str) -> None:
    """Raises `OSError` if nothing answers: Ray would keep trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _everywhere(path: Path | str) -> str:
    return path if isinstance(path, str) else str(path.absolute())


def _folder(checkpoint: str) -> Path | None:
    """The folder of a checkpoint, unless its name is a Hub id, which is the same everywhere."""
    place = Path(os.path.expanduser(checkpoint))
    if "/" not in checkpoint:
        place = weights_folder() / checkpoint
    return place if place.is_dir() else None
