"""The repaired copy: pictures, masks as index PNGs, and a `classes.yaml` that `folder:` reads.

    OUT/images/..., OUT/masks/...   the pairs that could be repaired, under their own names
    OUT/classes.yaml                the classes of the masks
    OUT/before_after.png            some of the masks as they were and as they are
    OUT/report.json                 what was found in the original, and what was left out and why

It is written under another name and renamed when it is complete; the original is not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from model.data import class_file
from model.data.classes import VOID
from model.data.doctor.case import Case
from model.data.doctor.examination import Examination
from model.data.doctor.findings import counted
from model.data.doctor.pairs import is_turned, same_aspect
from model.data.doctor.sheet import write_sheet
from model.data.images import decode
from model.data.masks import index_png
from model.data.recognise import look_at_all
from model.errors import ConfigError, DataError, StudioError

REPORT_FILE = "report.json"
SHEET_FILE = "before_after.png"


@dataclass
class Copy:
    """What was written, and why some pairs were not.

    Attributes:
        written: the pairs, by their name in the original.
        left_out: for each picture or mask without a copy, the reason.
    """

    written: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """What was done, in a line or two."""
        text = f"{counted(len(self.written), 'pair')} repaired or copied."
        if self.left_out:
            reasons = ", ".join(f"{n} {why}" for why, n in Counter(self.left_out.values()).items())
            text += f" Left out: {reasons}."
        return text


def write_copy(seen: Examination, output: Path) -> Copy:
    """Writes the repaired copy of what was examined.

    Args: output: a folder that does not exist yet, or is empty.

    Raises: `ConfigError` if the folder is not empty, is inside the original, or cannot be created;
        `DataError` if nothing can be repaired.
    """
    case = seen.case
    output = check_place(output, case)
    copy = Copy(left_out=_left_out(seen))
    names = [name for name in case.pairs if name not in copy.left_out]
    if not names or seen.reading is None:
        raise DataError(
            f"--fix: nothing in {case.target} can be repaired by a program: "
            f"{_first_error(seen)} Nothing was written."
        )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _write(seen, names, copy, output)
    except OSError as error:
        raise ConfigError(
            f"--fix: {output} cannot be written: {error.strerror or error}. The part that was "
            "written is removed."
        ) from error
    return copy


def _write(seen: Examination, names: list[str], copy: Copy, output: Path) -> None:
    case = seen.case
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as folder:
        partial = Path(folder) / "copy"

        def write(name: str) -> str | None:
            try:
                _write_pair(seen, name, partial)
            except StudioError as error:  # changed since it was examined
                return str(error)
            return None

        for name, problem in zip(names, look_at_all(write, names, "writing"), strict=True):
            if problem:
                copy.left_out[name] = problem
            else:
                copy.written.append(name)
        text = class_file.text(seen.reading.classes, [VOID])
        (partial / class_file.NAME).write_text(text, encoding="utf-8")
        write_sheet(
            case,
            seen.report,
            copy.written,
            seen.reading.classes,
            seen.labels,
            partial / SHEET_FILE,
        )
        content = seen.report.model_dump() | {"left_out": copy.left_out}
        (partial / REPORT_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
        if output.exists():
            output.rmdir()  # it is empty; not every system lets a folder replace one
        os.replace(partial, output)


def name_in_copy(seen: Examination, name: str) -> str:
    """A pair's name in the copy: its own, or below its part for data sets with their own split."""
    return name if seen.case.own else f"{seen.case.part_of[name]}/{name}"


def _write_pair(seen: Examination, name: str, folder: Path) -> None:
    source = seen.case.images[name]
    labels = seen.labels(name)
    scale = labels.shape[::-1] != seen.pictures[name].size_wh
    place = name_in_copy(seen, name)
    mask = folder / "masks" / f"{place}.png"
    image = folder / "images" / f"{place}{'.png' if scale else source.suffix}"
    for path in (mask, image):
        path.parent.mkdir(parents=True, exist_ok=True)
    mask.write_bytes(index_png(labels, seen.reading.classes))
    if scale:
        scaled = Image.fromarray(decode(source)).resize(
            labels.shape[::-1], Image.Resampling.LANCZOS
        )
        scaled.save(image)
    else:
        shutil.copyfile(source, image)


def _left_out(seen: Examination) -> dict[str, str]:
    """Why pictures and masks are not in the copy, by name."""
    case = seen.case
    reasons = {}
    kinds = seen.reading.storages if seen.reading else {}
    for name in sorted(case.images.keys() | case.masks.keys()):
        picture, mask = seen.pictures.get(name), seen.masks.get(name)
        if name in case.rivals:
            reasons[name] = "several files claim this name"
        elif name not in case.images or name not in case.masks.keys() | case.painters.keys():
            reasons[name] = "without a partner"
        elif picture is None or mask is None:
            reasons[name] = "cannot be read"
        elif mask.kind not in kinds:
            reasons[name] = "its values are unclear"
        elif (
            picture.size_wh != mask.size_wh
            and not is_turned(picture, mask)
            and not same_aspect(picture.size_wh, mask.size_wh)
        ):
            reasons[name] = "picture and mask have different shapes"
        elif name in seen.superfluous:
            reasons[name] = "a copy of another picture"
    return reasons


def check_place(output: Path, case: Case) -> Path:
    """Raises `ConfigError` if a copy must not be written there; returns the resolved path."""
    output, original = output.expanduser().resolve(), case.root.resolve()
    if output == original or original in output.parents:
        raise ConfigError(f"--fix: {output} is inside the original. Choose a folder outside it.")
    try:
        filled = output.exists() and (not output.is_dir() or any(output.iterdir()))
    except OSError as error:
        raise ConfigError(f"--fix: {output} cannot be used: {error.strerror or error}.") from error
    if filled:
        raise ConfigError(f"--fix: {output} is not empty. Choose another folder.")
    return output


def _first_error(seen: Examination) -> str:
    errors = seen.report.of("error")
    return errors[0].what if errors else "there are no pairs of pictures and masks."
