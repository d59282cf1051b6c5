"""`Spacefile`: the one description of the hosted app, checked before anything is made of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from model.checkpoints.hub_id import HubId
from model.checkpoints.licence import HUB_LICENCES, hub_licence
from model.errors import ConfigError

Colour = Literal["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]
Text = Annotated[str, Field(min_length=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _emoji(text: str) -> str:
    # Some are several characters, joined by the zero-width U+200D; none begins below U+203C.
    if not re.fullmatch(r"(?:[^\x00-\u203b]|\u200d){1,8}", text):
        raise ValueError("must be one emoji")
    return text


def _licence(text: str) -> str:
    if text not in HUB_LICENCES:
        known = hub_licence(text)
        hint = f'; "{text}" is "{known}" there' if known != "other" else ""
        raise ValueError(f"must be one of the Hub's identifiers{hint}")
    return text


def _inside(text: str) -> str:
    if Path(text).is_absolute() or ".." in Path(text).parts:
        raise ValueError("must lie inside the repository")
    return text


class Spacefile(BaseModel):
    """The fields of `Spacefile`."""

    # A misspelt field would otherwise silently mean the default.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: Text
    """Name of the Space."""
    emoji: Annotated[str, AfterValidator(_emoji)]
    """On its thumbnail."""
    colour_from: Colour
    """Left end of the thumbnail's gradient."""
    colour_to: Colour
    """Its right end."""
    summary: Annotated[str, Field(min_length=1, max_length=60)]
    """One line under the title."""
    licence: Annotated[str, AfterValidator(_licence)]
    """The Hub's identifier of the licence of this program, such as "mit"."""
    tags: list[Text] = []
    """For the Hub's search."""
    sdk: Literal["docker", "gradio"] = "docker"
    """"docker": the whole app in an image of its own; "gradio": segment page and API alone, in
    an image that the Hub makes."""
    hardware: Literal["cpu-basic", "cpu-upgrade", "zero-a10g"] = "cpu-basic"
    """What it runs on; "zero-a10g" is ZeroGPU, for the gradio SDK only."""
    python: Annotated[str, Field(pattern=r"^3\.1[1-9]$")]
    """Version of Python, at least 3.11."""
    port: Annotated[int, Field(ge=1024, le=65535)] = 7860
    """Where the app listens inside; the Hub's gradio SDK wants 7860."""
    models: Annotated[list[Text], Field(min_length=1)]
    """Names in `weights/`, or ids on the Hub."""
    variables: dict[Variable, str] = {}
    """Environment variables of the Space, visible to everybody."""
    secrets: dict[Variable, Text] = {}
    """Secrets that it needs, and what for; never their values."""
    files: Annotated[list[Annotated[str, AfterValidator(_inside)]], Field(min_length=1)]
    """Files and folders that go, besides the models."""
    leave_out: list[Text] = []
    """Packages of requirements.txt that only training needs."""

    @field_validator("models")
    @classmethod
    def _told_apart(cls, models: list[str]) -> list[str]:
        names = [HubId.parse(name).short_name if "/" in name else name for name in models]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two would be called {twice[0]} in the Space")
        return models

    @model_validator(mode="after")
    def _fits_together(self) -> Spacefile:
        if self.sdk == "docker" and self.hardware == "zero-a10g":
            raise ValueError("hardware zero-a10g (ZeroGPU) needs sdk: gradio")
        if self.hardware == "zero-a10g" and self.python != "3.12":
            raise ValueError('hardware zero-a10g (ZeroGPU) needs python: "3.12"')
        if self.sdk == "gradio" and self.port != 7860:
            raise ValueError("sdk: gradio needs port: 7860")
        return self


def read(path: Path) -> Spacefile:
    """Reads and checks a Spacefile.

    Raises: `ConfigError` with the line of every fault in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content, node = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path.name}, line {line}: {error.problem or error.context}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path.name}, line 1: there must be fields, such as `title: ...`.")
    try:
        return Spacefile.model_validate(content)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False):
            place = ".".join(str(step) for step in fault["loc"])
            words = fault["msg"].removeprefix("Value error, ")
            where = f"{path.name}, line {_line(node, fault['loc'])}"
            faults.append(": ".join(part for part in (where, place, words) if part) + ".")
        raise ConfigError("\n".join(faults)) from error


def _line(node: yaml.Node, place: tuple[Any, ...]) -> int:
    """The line, from 1, of a place such as ("models", 2); of its surroundings if it is missing."""
    line = node.start_mark.line + 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(step)), None)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
