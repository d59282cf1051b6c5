"""What is examined: the pictures and masks of a folder or a data set, whatever is wrong with them.

A data set refuses to open when a file is missing; a case is collected anyway, and what is missing
is one of its findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shlex import quote

from model.data import annotations, class_file
from model.data.annotations import AnnotationSet
from model.data.annotations.convert import match
from model.data.class_file import ClassFile
from model.data.classes import ClassTable
from model.data.datasets import DATA_SETS, FileDataSet
from model.data.datasets.folder import (
    ANNOTATIONS,
    OWN_PARTS,
    Place,
    UserFolder,
    agreed,
    class_files,
    find_places,
    match_masks,
    part_folders,
)
from model.data.datasets.outlined import OutlinedDataSet
from model.data.doctor.findings import Finding, counted, some
from model.data.doctor.look import Painter
from model.data.files import entries, files_in, key_of, list_pictures
from model.data.images import SUFFIXES, has_more_pages
from model.data.masks import MaskEncoding
from model.data.recognise import look_at_all
from model.errors import DataError


@dataclass
class Case:
    """The files that are examined together.

    Attributes:
        target: what it is called on the command line.
        options: further arguments that the command line needs to find it, with a leading space.
        root: the folder.
        images, masks: files by name; those of one name belong together.
        painters: instead of mask files, what draws the labels of a picture, by its name.
        described: the folder's `classes.yaml`.
        encoding, classes: of a known data set; for a folder they are detected.
        part_of: the part of a split that each picture is in, if that is known beforehand.
        fixed_parts: these parts stay as they are if pictures are left out.
        film: neighbours in the order of names are frames of a video.
        own: a folder of the user's, whose encoding and split are up to them.
        rivals: names of pictures that several files or masks claim.
        unread: there are masks or annotations that could not be collected.
        findings: what collecting the files found.
    """

    target: str
    root: Path
    options: str = ""
    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    painters: dict[str, Painter] = field(default_factory=dict)
    described: ClassFile = field(default_factory=ClassFile)
    encoding: MaskEncoding | None = None
    classes: ClassTable | None = None
    part_of: dict[str, str] = field(default_factory=dict)
    fixed_parts: bool = False
    film: bool = False
    own: bool = True
    rivals: set[str] = field(default_factory=set)
    unread: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def pairs(self) -> list[str]:
        """The names that have both a picture and a mask, and no rivals, sorted."""
        both = self.images.keys() & (self.masks.keys() | self.painters.keys())
        return sorted(both - self.rivals)

    @property
    def name(self) -> str:
        """What other commands call it, with the options to find it."""
        target = self.target.removeprefix("folder:")
        return f"folder:{quote(target)}" if self.own else f"{self.target}{self.options}"

    @property
    def fix(self) -> str:
        """The command that writes a repaired copy."""
        return f"python -m model data check {quote(self.target)}{self.options} --fix OUT"

    def found(self, **fields) -> None:
        """Adds a finding with these fields."""
        self.findings.append(Finding(**fields))


def of_data_set(data: FileDataSet, target: str, options: str = "") -> Case:
    """The files of a data set that could be opened."""
    parts = {part: {data.file_of(n) for n in names} for part, names in data.split.items()}
    case = Case(
        target,
        data.root,
        options,
        images=data.images,
        classes=data.classes,
        part_of={name: part for part, names in parts.items() for name in names},
        fixed_parts=not isinstance(data, UserFolder) or data.split_rule == OWN_PARTS,
        film=data.fold_rule == "contiguous",
        own=isinstance(data, UserFolder),
    )
    if isinstance(data, OutlinedDataSet):
        case.painters = {name: partial(data.annotations.labels, name) for name in data.masks}
    else:
        case.masks, case.encoding = data.masks, data.encoding
    case.findings += _more_pages(case)
    return case


def of_folder(root: Path) -> Case:
    """The files of any folder: pictures with masks or polygons, or masks alone."""
    case = Case(str(root), root)
    places = find_places(root) or _together(root)
    for place in places:
        _collect(case, place)
    if not places:
        case.masks = list_pictures(root)[0]
        case.findings += _no_layout(case)
    _describe(case, places or [Place("", root, None, root)])
    case.findings += [*_more_pages(case), *_other_files(case, places)]
    if not case.unread:
        case.findings += [*_odd_layout(case, places), *_without_partner(case)]
    case.findings += _known_set(case)
    return case


def _together(root: Path) -> list[Place]:
    """Where pictures and annotations are in one folder, as LabelMe and Roboflow keep them."""
    for folders in ([root], part_folders(root)):
        found = {folder: _annotations_beside(folder) for folder in folders}
        if any(found.values()):
            return [
                Place("" if folder == root else f"{folder.name}/", folder, path and folder, path)
                for folder, path in found.items()
            ]
    return []


def _annotations_beside(folder: Path) -> Path | None:
    """A file like Roboflow's `_annotations.coco.json`, or the folder, if as with LabelMe some of
    its pictures have a JSON file of their name."""
    roboflow = (path for path in sorted(entries(folder)) if path.name.endswith(".coco.json"))
    if found := next(roboflow, None):
        return found
    described = {key_of(path) for path in files_in(folder, (".json",))}
    pictures = (key_of(path) for path in files_in(folder, SUFFIXES))
    return folder if described and not described.isdisjoint(pictures) else None


def _describe(case: Case, places: Sequence[Place]) -> None:
    """Reads what `classes.yaml` says."""
    found = partial(case.found, code="class-file", severity="error")
    try:
        files = class_files(case.root, places)
    except DataError as error:
        found(
            what=str(error),
            why="The file is ignored until it can be read; training stops with this error.",
            mend="Correct it; docs/masks.md shows what it may hold.",
        )
        return
    try:
        case.described = agreed(case.root, files)
    except DataError as error:
        # A copy of masks that mean different things could not be told from a right one.
        case.masks, case.unread = {}, True
        found(
            what=str(error),
            why="Training stops with this error, and until then no mask can be examined.",
            files=[_shown(case, path) for path in files],
        )


def _collect(case: Case, place: Place) -> None:
    prefix, images = place.prefix, place.images
    if images is None:
        return
    masks = place.masks or _annotations_beside(images)
    pictures, same = list_pictures(images)
    case.images |= {prefix + name: path for name, path in pictures.items()}
    apart = masks and masks.is_dir() and masks != images
    files, same_masks = list_pictures(masks) if apart else ({}, {})
    matched, rivals = match_masks(pictures, files)
    claims = [*same.values(), *same_masks.values(), *rivals.values()]
    if claims:
        doubled = {name: paths[0] for name, paths in same_masks.items()}
        names = [*same, *rivals, *match_masks(pictures, doubled)[0]]
        case.rivals |= {prefix + name for name in names}
        case.found(
            code="rivals",
            severity="error",
            what=f"{counted(len(claims), 'name is', 'names are')} claimed by more than one file.",
            why="It is unclear which of the files is meant; training stops with an error.",
            mend=f"Remove or rename the wrong ones; `{case.fix}` leaves these out.",
            files=[" and ".join(path.name for path in paths) for paths in claims],
        )
    case.masks |= {prefix + name: path for name, path in matched.items()}
    if not files and masks:
        _collect_annotations(case, prefix, pictures, masks)


def _collect_annotations(case: Case, prefix: str, pictures: dict[str, Path], path: Path) -> None:
    if path.is_dir() and not next(files_in(path, ANNOTATIONS), None):
        return
    try:
        shapes: AnnotationSet = annotations.read(path)
    except DataError as error:
        case.unread = True
        case.found(
            code="annotations",
            severity="error",
            what=str(error),
            why="No mask can be drawn from annotations that cannot be read.",
            mend="Correct the file, or export it again.",
            files=[_shown(case, path)],
        )
        return
    partner = match(shapes.names(), list(pictures))
    if case.classes is not None and case.classes != shapes.classes:
        case.unread = True
        case.found(
            code="annotations",
            severity="error",
            what=f"The annotations in {_shown(case, path)} have other classes than earlier ones: "
            f"{some(shapes.classes.names)}; {some(case.classes.names)}.",
            why="The same label would mean different things in different parts of the split.",
            mend="State the names of the classes beside the annotations, the same for all parts.",
            files=[_shown(case, path)],
        )
        return
    case.classes = shapes.classes
    case.painters |= {
        prefix + name: partial(shapes.labels, partner[name]) for name in pictures if name in partner
    }
    case.found(
        code="polygons",
        severity="error",
        what=f"The masks are outlines: {shapes.format} in {_shown(case, path)}.",
        why="Training on a folder reads mask images.",
        mend=f"`{case.fix}` draws them; `python -m model data masks` has more options.",
    )


def _no_layout(case: Case) -> Iterator[Finding]:
    folders = [f"{path.name}/" for path in sorted(entries(case.root)) if path.is_dir()]
    yield Finding(
        code="layout",
        severity="note" if case.masks else "error",
        what=(
            f"{case.root} has no folders images/ and masks/"
            + (f"; it has {some(folders)}." if folders else ".")
            + (" Its pictures were looked at as masks." if case.masks else "")
        ),
        why="Without the pictures, pairs, sizes and copies cannot be examined.",
        mend="Put the pictures into images/ and their masks, of the same names, into masks/.",
    )


def _known_set(case: Case) -> Iterator[Finding]:
    """If the folder is named like that of a data set, and not laid out like a user's own."""
    known = [name for name, kind in DATA_SETS.items() if case.root.name in _folder_names(kind)]
    if known and case.findings:
        parent = quote(str(case.root.absolute().parent))
        yield Finding(
            code="layout",
            severity="note",
            what=f"This looks like the data set '{known[0]}'.",
            why="The program knows its layout and its encoding; it need not be changed.",
            mend=f"`python -m model data check {known[0]} --data-root {parent}` examines it.",
        )


def _folder_names(kind: type) -> tuple[str, ...]:
    return getattr(kind, "folders", ())


def _more_pages(case: Case) -> Iterator[Finding]:
    files = [*case.images.items(), *case.masks.items()]
    files = [(name, path) for name, path in files if path.suffix.lower() in (".tif", ".tiff")]
    have = look_at_all(has_more_pages, [path for _, path in files], "pages")
    names = [name for (name, _), more in zip(files, have, strict=True) if more]
    if names:
        yield Finding(
            code="pages",
            severity="warning",
            what=f"{counted(len(names), 'TIFF has', 'TIFFs have')} several pages.",
            why="Of each only the first page is read.",
            mend="If the others count, save each page as a file of its own.",
            files=list(dict.fromkeys(names)),
        )


def _other_files(case: Case, places: Sequence[Place]) -> Iterator[Finding]:
    """If there are no pictures, or files that are neither pictures nor annotations."""
    images = {place.images for place in places if place.images not in (None, place.folder)}
    masks = {place.masks for place in places if place.masks and place.masks.is_dir()}
    others = [
        _shown(case, path)
        for folder in sorted(images | masks)
        for path in files_in(folder)
        if path.suffix.lower() not in SUFFIXES + ANNOTATIONS
        and path.name.lower() not in class_file.NAMES
    ]
    formats = ", ".join(suffix[1:] for suffix in SUFFIXES)
    if places and not case.images:
        shown = some(_shown(case, folder) for folder in sorted(images))
        yield Finding(
            code="empty",
            severity="error",
            what=f"There are no pictures in {shown}{', but other files' if others else ''}.",
            why=f"There is nothing to train on. Pictures that can be read are {formats}.",
            files=others,
        )
    elif others:
        yield Finding(
            code="other-files",
            severity="note",
            what=f"{counted(len(others), 'file is no picture', 'files are no pictures')}.",
            why=f"They are left out. Pictures that can be read are {formats}.",
            files=others,
        )


def _odd_layout(case: Case, places: Sequence[Place]) -> Iterator[Finding]:
    odd = [
        _shown(case, path)
        for place in places
        for path, name in ((place.images, "images"), (place.masks, "masks"))
        if path
        and path.name.lower() != name
        and path != place.folder
        and (name == "images" or not case.painters)
    ]
    if odd:
        yield Finding(
            code="layout",
            severity="error",
            what=f"{counted(len(odd), 'folder has', 'folders have')} an unusual name.",
            why="Training looks for images/ and masks/.",
            mend=f"Rename them, or `{case.fix}`.",
            files=odd,
        )
    missing = [
        _shown(case, place.folder / name)
        for place in places
        for path, name in ((place.images, "images"), (place.masks, "masks"))
        if path is None and (name == "images" or not case.painters)
    ]
    if missing:
        yield Finding(
            code="layout",
            severity="error",
            what=f"There is no folder {some(missing)}.",
            why="Each picture needs a mask of the same name, and each part pictures and masks.",
            mend="Put them there.",
        )


def _without_partner(case: Case) -> Iterator[Finding]:
    if not case.images:
        return
    masks = case.masks.keys() | case.painters.keys()
    # The names of pictures and masks without a partner may differ only in an ending.
    for alone, thing, other in (
        (sorted(case.images.keys() - masks), "picture", "mask"),
        (sorted(case.masks.keys() - case.images.keys()), "mask", "picture"),
    ):
        if alone:
            yield Finding(
                code="no-partner",
                severity="error",
                what=f"{counted(len(alone), thing + ' has', thing + 's have')} no {other}.",
                why="Training stops: a pair is missing, or its names do not match.",
                mend=f"Give both the same name, or add what is missing; `{case.fix}` leaves these "
                "out.",
                files=alone,
            )


def _shown(case: Case, path: Path) -> str:
    return path.relative_to(case.root).as_posix() + ("" if path.suffix else "/")
