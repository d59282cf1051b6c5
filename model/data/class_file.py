"""`classes.yaml`: what the values in a folder of masks mean. Every key is optional.

    classes:                # in the order of their ids: names, with or without a colour
      - background
      - {name: road, colour: "#804080"}
    void: [255]             # stored values (or "#rrggbb") of pixels to ignore
    encoding: index         # index | binary | red | colour; otherwise detected from the pixels
    values: {0: background, 7: road}   # stored value (or "#rrggbb") -> class name

Without `values`, stored values are the class ids, or in colour masks the classes' colours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints

from model.data.classes import VOID, ClassTable, default_classes
from model.data.masks import TRANSPARENT, MaskEncoding, Storage, pack_colour
from model.data.schema import Record, parse_yaml, validate
from model.errors import DataError

NAME = "classes.yaml"
NAMES = (NAME, "classes.yml")
"""What the file may be called, in any case."""

Colour = Annotated[str, StringConstraints(pattern="^#[0-9A-Fa-f]{6}$", to_lower=True)]
Value = Annotated[int, Field(ge=0, lt=2**31)] | Colour


class ClassEntry(Record):
    """One class of the file."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    colour: Colour | None = None


def _entries(value: Any) -> Any:
    if isinstance(value, dict):  # the short way to write it: name: colour
        value = [{"name": name, "colour": colour} for name, colour in value.items()]
    if isinstance(value, list):
        value = [{"name": entry} if isinstance(entry, str) else entry for entry in value]
    return value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class ClassFile(Record):
    """The content of a `classes.yaml`."""

    # A misspelt key would otherwise silently mean the default.
    model_config = ConfigDict(extra="forbid")

    classes: Annotated[list[ClassEntry], BeforeValidator(_entries)] = Field(default_factory=list)
    void: Annotated[list[Value], BeforeValidator(_as_list)] = Field(default_factory=list)
    encoding: Literal["index", "binary", "red", "colour"] | None = None
    values: dict[Value, str] | None = None

    def table(self) -> ClassTable:
        """The class table; colours the file does not give come from the default palette."""
        default = default_classes([entry.name for entry in self.classes])
        return ClassTable.of(
            (entry.name, entry.colour or info.colour)
            for entry, info in zip(self.classes, default, strict=True)
        )

    def states_colours(self, found: Collection[int]) -> bool:
        """Whether the file states the colours of RGB masks, as those of classes or void.

        Args: found: the masks' colours, as `masks.read_colours` returns them.
        """
        stated = [value for value in [*(self.values or ()), *self.void] if isinstance(value, str)]
        if stated:
            return True
        colours = [entry.colour for entry in self.classes if entry.colour]
        if self.values is not None or not colours or len(colours) < len(self.classes):
            return False
        return set(found) <= {pack_colour(colour) for colour in colours}

    def two_levels(self) -> list[int]:
        """The class ids of the darker and of the brighter value in masks of two values: as stated
        where the classes' colours are black and white, else in their order."""
        colours = [entry.colour for entry in self.classes]
        return [1, 0] if colours == ["#ffffff", "#000000"] else [0, 1]

    def mask_encoding(self, storage: Storage) -> MaskEncoding:
        """How masks with this storage are read. Raises `DataError` if the file contradicts it."""
        ids = {entry.name: i for i, entry in enumerate(self.classes)}
        void = {_stored(value, storage): VOID for value in self.void}
        if storage == "colour":
            void[TRANSPARENT] = VOID
        if self.values is not None:
            unknown = sorted(set(self.values.values()) - set(ids))
            if unknown:
                raise DataError(
                    f"{NAME}: `values` names the classes {unknown}, which are not under `classes`."
                )
            known = {_stored(value, storage): ids[name] for value, name in self.values.items()}
        elif storage == "colour":
            missing = [entry.name for entry in self.classes if entry.colour is None]
            if missing:
                raise DataError(
                    f"{NAME}: the masks are coloured, but the classes {missing} have no colour. "
                    'Write them as {name: road, colour: "#804080"}.'
                )
            known = {pack_colour(entry.colour): ids[entry.name] for entry in self.classes}
            if len(known) < len(ids):
                raise DataError(
                    f"{NAME}: the masks are coloured, but some classes have the same colour: "
                    f"{', '.join(f'{entry.name} {entry.colour}' for entry in self.classes)}."
                )
        else:
            known = {i: i for i in ids.values()}
        twice = sorted(set(known) & set(void))
        if twice:
            raise DataError(f"{NAME}: the stored values {twice} are both a class and void.")
        return MaskEncoding(storage, known | void)


def read(path: Path) -> ClassFile:
    """Reads a `classes.yaml`. Raises `DataError` naming what is wrong in it."""
    content = validate(ClassFile, parse_yaml(path) or {}, path)
    names = [entry.name for entry in content.classes]
    if len(set(names)) != len(names):
        raise DataError(f"{path.name}: class names must differ; got {names}.")
    if content.values is not None and not names:
        raise DataError(f"{path.name}: `values` needs `classes`.")
    return content


def text(classes: ClassTable, void: Iterable[int] = ()) -> str:
    """The file for masks of class ids, as `masks.index_png` writes them."""
    content: dict[str, Any] = {
        "classes": [{"name": info.name, "colour": info.colour} for info in classes]
    }
    if void := list(void):
        content["void"] = void
    content["encoding"] = "index"
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _stored(value: int | str, storage: Storage) -> int:
    if storage == "binary" and value == 255:  # which is read as 1
        return 1
    if isinstance(value, str) != (storage == "colour"):
        wanted = "colours, #rrggbb" if storage == "colour" else "numbers"
        raise DataError(f"{NAME}: the masks store {wanted}, but it has the value {value!r}.")
    return pack_colour(value) if isinstance(value, str) else value
