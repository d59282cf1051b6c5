"""Other programs' JSON and YAML, checked by pydantic models; what is wrong is a `DataError`."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, TypeVar

import pydantic_core
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from model.errors import DataError


class Record(BaseModel):
    """Base of the models: keys they do not name are other programs' business, whatever they hold.
    Numbers are finite."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def parse_json(path: Path) -> Any:
    """The content of a JSON file. Raises `DataError` if it cannot be read as such."""
    try:
        return pydantic_core.from_json(path.read_bytes().removeprefix(BOM_UTF8))
    except ValueError as error:
        raise DataError(f"{path.name} is not JSON: {error}.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}.") from error


def parse_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises `DataError` if it cannot be read as such."""
    try:
        return yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except Exception as error:  # PyYAML lets ValueError and others through on odd scalars
        raise DataError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error


def validate(model: type[Model], content: Any, path: Path) -> Model:
    """The content as a model. Raises `DataError` naming the file and a wrong place."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # Where several forms are allowed there is an error for each; the deepest belongs to the
        # form that was meant.
        errors = error.errors(include_url=False, include_input=False)[:20]
        worst = max(errors, key=lambda entry: len(entry["loc"]))
        place = ".".join(str(step) for step in worst["loc"]) or "its top level"
        raise DataError(f"{path.name}, at {place}: {worst['msg']}.") from error
