"""What OpenAPI is to say of the bodies: forms and pictures, which FastAPI does not read for us."""

from __future__ import annotations

from typing import Any

from app import limits
from app.api.schema import BatchWishes, PredictWishes, Wishes
from model.inference.exports import EXPORTS

BINARY = {"schema": {"type": "string", "format": "binary"}}
_PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/tiff")

ANSWERS = {
    media_type: BINARY
    for media_type in dict.fromkeys(export.media_type for export in EXPORTS.values())
    if media_type != "application/json"
}
"""What a picture is answered with, by media type."""


def _form(wishes: type[Wishes], field: str, file: dict[str, Any]) -> dict[str, Any]:
    """The multipart form, for OpenAPI: a file and the arguments of the address."""
    schema = wishes.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    properties = {field: file, **schema["properties"]}
    return {"schema": schema | {"properties": properties, "required": [field]}}


_FILE = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, TIFF, BMP, ..."}
PREDICT_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": _form(PredictWishes, "file", _FILE),
        **dict.fromkeys((*_PICTURE_TYPES, "application/octet-stream"), BINARY),
    },
}
BATCH_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": _form(
            BatchWishes,
            "files",
            {
                "type": "array",
                "items": _FILE,
                "description": f"Pictures, or one ZIP of them; {limits.MOST_FILES} at most.",
            },
        ),
        "application/zip": BINARY,
    },
}
