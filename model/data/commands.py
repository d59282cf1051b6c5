"""The commands `data list`, `info`, `get`, `check`, `preview` and `masks`: arguments and output.

python -m model data list
python -m model data info pets
python -m model data get pets --data-root data
python -m model data check photos --fix fixed
python -m model data preview folder:photos --output preview
python -m model data masks labels/ --images images/ --output masks/
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from model.errors import ConfigError, DataError, StudioError


@dataclass(frozen=True)
class List:
    """List the data sets that the program knows, and which of them are here."""

    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""


@dataclass(frozen=True)
class Info:
    """Show a data set's classes, void, split, licence, and where to get it."""

    name: tyro.conf.Positional[str]
    """A data set's name, or folder:PATH for your own."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    write_split: Path | None = None
    """Also write the split to this file, a JSON with a digest."""


@dataclass(frozen=True)
class Get:
    """Download a data set, or say how to get it; then check every picture and mask."""

    name: tyro.conf.Positional[str]
    """A data set's name."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""


@dataclass(frozen=True)
class Check:
    """Find what is wrong with pictures and masks; write a repaired copy.

    Exit code: 0 if nothing is wrong (notes do not count), 1 with warnings, 2 with errors. With
    --fix it is that of the repaired copy.
    """

    target: tyro.conf.Positional[str]
    """A folder (images/ and masks/, or masks alone), or a data set's name."""
    fix: Path | None = None
    """Write a repaired copy into this folder, which is empty or new; nothing else is changed."""
    json: bool = False
    """Print the report as JSON, with all files concerned, instead of text."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""


@dataclass(frozen=True)
class Preview:
    """Write a contact sheet and a page with class shares, sizes and splits."""

    name: tyro.conf.Positional[str]
    """A data set's name, or folder:PATH for your own."""
    output: Path
    """Folder for index.html and contact_sheet.png; empty or new."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    pictures: int = 12
    """How many pictures of each part are shown."""

    def __post_init__(self) -> None:
        if self.pictures < 1:
            raise ConfigError("--pictures must be at least 1.")


@dataclass(frozen=True)
class Masks:
    """Turn polygon annotations into mask images: YOLO, COCO, LabelMe, Scalabel / BDD100K."""

    annotations: tyro.conf.Positional[Path]
    """A folder of YOLO .txt or LabelMe .json files, or a COCO or Scalabel .json file."""
    images: Path
    """Folder of the pictures that were annotated."""
    output: Path
    """Folder for the masks (palette PNGs of class ids) and classes.yaml; empty or new."""
    missing: Literal["error", "background", "skip"] = "error"
    """What a picture without annotations means."""
    crowd: Literal["class", "void", "skip"] = "class"
    """What COCO's iscrowd regions count as."""
    classes: tuple[str, ...] = ()
    """Class names in the order of their ids, where the annotations do not state them."""


DataCommand = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Get, tyro.conf.subcommand("get")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Preview, tyro.conf.subcommand("preview")]
    | Annotated[Masks, tyro.conf.subcommand("masks")]
)


def run(command: List | Info | Get | Check | Preview | Masks) -> int:
    """Runs a command and prints its results.

    Returns: the exit code: for `check` see `Check`; 1 if `get` found nothing to check; else 0.
    Raises: `StudioError`.
    """
    runners = {
        List: list_all, Info: info, Get: get, Check: check, Preview: preview, Masks: masks,
    }  # fmt: skip
    return runners[type(command)](command)


def list_all(command: List) -> int:
    from model.data import datasets

    print(f"{'name':13}{'samples here':>13}  {'licence':44}title")
    for name, kind in datasets.DATA_SETS.items():
        here = "-"
        if name != datasets.UserFolder.name:
            try:
                split = datasets.load(name, command.data_root).split
                here = str(sum(map(len, split.values())))
            except DataError:
                pass  # not here, or not complete: `info` and `get` say which
        print(f"{name:13}{here:>13}  {kind.licence:44}{kind.title}")
    print(f"\nLooked in {datasets.data_folder(command.data_root)}/. Your own: folder:PATH.")
    return 0


def info(command: Info) -> int:
    from model.data import datasets, split_file, splits

    name = command.name
    kind = datasets.DATA_SETS.get(name.partition(":")[0])
    try:
        data = datasets.load(name, command.data_root)
    except DataError as error:
        # Without the files there is still a lot to show, unless the folder itself was asked for.
        if kind is datasets.UserFolder or command.write_split:
            raise
        data, problem = kind, error
    print(f"{data.title} ({name})")
    print(f"  licence  {data.licence}{'' if data.publishable else ' (not for publication)'}")
    print(f"  source   {data.source}")
    print(f"  files    {data.layout or 'none'}")
    print(f"  split    {data.split_rule}")
    print(f"  void     {data.void}")
    print("  classes")
    for entry in data.classes:
        print(f"    {entry.id:3}  {entry.colour}  {entry.name}")
    if data is kind:
        print(f"\nNot here: {problem}")
        return 0
    sizes = ", ".join(f"{len(names)} {part}" for part, names in data.split.items())
    print(f"  here     {sizes}; split digest {splits.digest(data.split)}, data {data.digest()}")
    if command.write_split:
        split_file.write(command.write_split, data.split, data=data.name, rule=data.split_rule)
        print(f"  written  {command.write_split}")
    return 0


def get(command: Get) -> int:
    from model.data import datasets
    from model.data.datasets import pets
    from model.data.statistics import measure

    if command.name not in datasets.DATA_SETS or command.name == datasets.UserFolder.name:
        known = sorted(set(datasets.DATA_SETS) - {datasets.UserFolder.name})
        raise ConfigError(f"There is no data set '{command.name}' to get; choose one of {known}.")
    root = datasets.data_folder(command.data_root)
    kind = datasets.DATA_SETS[command.name]
    try:
        data = datasets.load(command.name, root)
    except DataError as error:
        if not issubclass(kind, pets.Pets):
            print(how_to_get(kind, root))
            print(f"\nNow: {error}")
            return 1
        print(f"Downloading {kind.title} ({kind.licence}) into {root}/, about 800 MB.")
        pets.fetch(root)
        data = datasets.load(command.name, root)
    names = [name for part in data.split.values() for name in part]
    counted = measure(data, names, "checking")
    print(
        f"{data.title}: {counted.num_images} samples, every picture and mask was read; sizes and "
        "label values are right."
    )
    if data.published > counted.num_images:
        print(f"The full set has {data.published}.")
    return 0


def how_to_get(kind, root: Path) -> str:
    """The steps to get a data set that cannot be downloaded without an account."""
    lines = [f"{kind.title} ({kind.licence})", f"1. Download it from {kind.source}"]
    if "kaggle.com" in kind.source:
        lines[-1] += " (Kaggle asks for a free account)."
    if "kaggle.com/datasets/" in kind.source:
        slug = kind.source.partition("kaggle.com/datasets/")[2]
        lines += [
            "   With Kaggle's own program (pip install kaggle, then a token from your account):",
            f"   kaggle datasets download {slug} --unzip -p {root / kind.name}",
        ]
    files = "\n".join(f"     {root}/{pattern}" for pattern in kind.layout.split(", "))
    lines += [
        f"2. Unpack or move it so that there are\n{files}",
        f"3. Run `python -m model data get {kind.name} --data-root {root}` again: it checks them.",
    ]
    return "\n".join(lines)


def check(command: Check) -> int:
    import json

    from model.data import doctor

    seen = doctor.check(command.target, command.data_root, command.fix)
    report = seen.report
    content = report.model_dump()
    if not command.json:
        print(report.text())
    if command.fix:
        try:
            copy = doctor.write_copy(seen, command.fix)
        except StudioError as error:
            if command.json:
                print(json.dumps(content | {"error": str(error), "exit_code": 2}, indent=1))
            raise
        report = doctor.check(str(command.fix)).report
        content |= {"left_out": copy.left_out, "copy": report.model_dump()}
        if not command.json:
            print(f"\n{copy.text()} Written to {command.fix} and checked:\n{report.text()}")
    if command.json:
        print(json.dumps(content | {"exit_code": report.exit_code}, indent=1))
    return report.exit_code


def preview(command: Preview) -> int:
    from model.data import datasets
    from model.data.preview import write_preview

    data = datasets.load(command.name, command.data_root)
    page = write_preview(data, command.output, command.pictures)
    print(f"Written: {page}, {page.with_name('contact_sheet.png')}")
    return 0


def masks(command: Masks) -> int:
    from model.data import annotations
    from model.data.annotations.convert import write_masks
    from model.data.classes import VOID

    shapes = annotations.read(command.annotations, list(command.classes) or None, command.crowd)
    done = write_masks(shapes, command.images, command.output, command.missing)
    print(f"{done.written} masks written to {command.output}, from {shapes.format}:")
    total = max(1, done.pixels.sum())
    for entry in shapes.classes:
        print(f"  {entry.id:3}  {entry.name:24}{100 * done.pixels[entry.id] / total:7.2f} %")
    if done.pixels[VOID]:
        print(f"  {VOID}  {'(void)':24}{100 * done.pixels[VOID] / total:7.2f} %")
    if done.without_annotation:
        treated = "left out" if command.missing == "skip" else "all background"
        print(f"{len(done.without_annotation)} pictures without annotations: {treated}.")
    if done.without_picture:
        print(
            f"{len(done.without_picture)} annotated pictures are not in {command.images}, such as "
            f"{done.without_picture[0]}."
        )
    for kind, count in sorted(done.skipped.items()):
        print(f"{count} annotations have no area and paint nothing: {kind}.")
    return 0
