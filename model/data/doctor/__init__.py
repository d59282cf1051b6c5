"""The mask doctor: what is wrong with pictures and masks, why it matters, and a repaired copy.

    python -m model data check photos                 examine a folder, or a data set by its name
    python -m model data check photos --fix fixed     and write a copy without the errors

Where to look:

    case.py         which files are examined together, whatever is missing
    look.py         what is seen in one picture and its mask
    pairs.py        unreadable files, sizes, EXIF rotation
    noise.py        compressed and smoothed masks: how they are detected and repaired
    groups.py       masks of several kinds in one set
    reading.py      what the values mean: off by one, 0/255, unknown values
    balance.py      rare and missing classes, void
    duplicates.py   copies in several parts of the split
    examination.py  all of these, one after the other
    findings.py     the report
    repair.py       the repaired copy; sheet.py its picture of before and after
"""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from shlex import quote

from pydantic import ValidationError

from model.data import datasets, splits
from model.data.datasets import DATA_SETS, DataSet, FileDataSet, UserFolder
from model.data.doctor.case import Case, of_data_set, of_folder
from model.data.doctor.examination import Examination, examine_case
from model.data.doctor.findings import Finding, Report
from model.data.doctor.repair import Copy, check_place, write_copy
from model.errors import ConfigError, DataError
from model.user_cache import cache_folder
from model.writing import write_text

__all__ = [
    "Copy", "Examination", "Finding", "Report", "before_training", "check", "examine", "write_copy",
]  # fmt: skip

logger = logging.getLogger(__name__)

VERSION = 3
"""Of the checks: a report that was kept by another version is not used."""


def check(target: str, data_root: Path | None = None, fix: Path | None = None) -> Examination:
    """Examines a folder or a data set, whatever is wrong with it.

    Args:
        target: a folder's path, `folder:PATH`, or a data set's name.
        data_root: folder that holds the data sets.
        fix: where `write_copy` will write afterwards; refused, if unfit, before the examination.

    Raises: `ConfigError` if there is no such thing, or `fix` cannot be written to.
    """

    def examined(case: Case) -> Examination:
        if fix:
            check_place(fix, case)
        return examine_case(case)

    name, _, path = target.partition(":")
    if name == UserFolder.name and path:
        return examined(_folder(Path(path).expanduser()))
    if target not in DATA_SETS or target == UserFolder.name:
        return examined(_folder(Path(target).expanduser()))
    options = f" --data-root {quote(str(data_root))}" if data_root else ""
    try:
        data = datasets.load(target, data_root)
    except DataError as error:
        finding = Finding(
            code="data-set",
            severity="error",
            what=str(error),
            why="The data set cannot be opened.",
            mend=f"`python -m model data get {target}{options}` gets it, or says how.",
        )
        report = Report(target=target, pictures=0, masks=0, findings=[finding])
        return Examination(Case(target, datasets.data_folder(data_root), options), report=report)
    if not isinstance(data, FileDataSet):
        raise ConfigError(f"{target} is {data.source}: there are no files to check.")
    return examined(of_data_set(data, target, options))


def examine(data: DataSet) -> Report:
    """The findings on a data set that could be opened.

    The report is kept in the cache folder under the folder's name and the digests of data and
    split: files that were examined before are not looked at again.
    """
    if not isinstance(data, FileDataSet):
        return Report(target=data.name, pictures=0, masks=0)  # drawn, and exact by construction
    target = f"folder:{data.root}" if isinstance(data, UserFolder) else data.name
    options = "" if isinstance(data, UserFolder) else f" --data-root {quote(str(data.data_root))}"
    # The report names the folder, which may have been moved since.
    place = hashlib.sha256(f"{target}{options}".encode(errors="surrogateescape")).hexdigest()[:16]
    kept = cache_folder() / "reports" / f"{_key(data)}-{place}.json"
    try:
        return Report.model_validate_json(kept.read_bytes())
    except (OSError, ValidationError):
        pass  # not examined yet, or by an earlier version
    report = examine_case(of_data_set(data, target, options)).report
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, report.model_dump_json())
    except OSError as error:
        logger.warning("The report cannot be kept in %s: %s.", kept.parent, error)
    return report


def before_training(data: DataSet) -> None:
    """Examines a data set; prints warnings, a line each, to standard error.

    Raises: `DataError` for errors, which training would stop at later or, worse, not at all.
    """
    report = examine(data)
    for finding in report.of("warning"):
        print(f"warning: {finding.line()}", file=sys.stderr)
    if errors := report.of("error"):
        options = f" --data-root {quote(str(data.data_root))}"
        target = report.target if isinstance(data, UserFolder) else data.name + options
        others = f" There are {len(errors) - 1} more errors." if len(errors) > 1 else ""
        raise DataError(
            f"{errors[0].line()}{others} `python -m model data check {target}` shows all, and "
            "can write a repaired copy."
        )


def _folder(path: Path) -> Case:
    if path.is_dir():
        return of_folder(path)
    what = "is a file; give the folder that it is in" if path.exists() else "does not exist"
    raise ConfigError(
        f"{path} {what}. `data check` takes a folder, or a data set: {sorted(DATA_SETS)}."
    )


def _key(data: FileDataSet) -> str:
    return f"{data.name}-{data.digest()}-{splits.digest(data.split)}-{VERSION}"
