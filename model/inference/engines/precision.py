"""In which precision a network may compute: what the processor supports, and what it costs.

A precision below float32 is used by default only if the checkpoint's own `metrics.json` says
that it costs at most `MOST_POINTS` of mean IoU on the validation split (the test split where
it has learned from both others), measured with the same weights (`python -m model evaluate
--precision ... --split validation --record`), and if the processor has instructions for it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

from model.checkpoints.folder import Checkpoint
from model.errors import ConfigError
from model.processor import instructions

FASTEST_FIRST = ("int8", "bf16", "f32")
Precision = Literal["auto", "f32", "bf16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

MOST_POINTS = 0.1
"""The highest cost of a precision that is used by default, in hundredths of mean IoU."""

VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""The kernel's names for instructions that multiply 8-bit integers without saturating."""


@cache
def native() -> frozenset[str]:
    """The precisions that this processor has instructions for; "f32" always.

    For bf16 OpenVINO says so. It claims int8 everywhere, but without VNNI its sums saturate
    and the labels differ; for int8 the kernel is asked, and where it says nothing int8
    counts as missing.
    """
    from model.inference.engines.openvino import capabilities

    found = {"f32"}
    if "BF16" in capabilities():
        found.add("bf16")
    if VNNI & instructions():
        found.add("int8")
    return frozenset(found)


def check(precision: str) -> None:
    """Raises `ConfigError` if this processor cannot compute in that precision itself."""
    if precision not in native():
        has = ", ".join(name for name in FASTEST_FIRST if name in native())
        raise ConfigError(f"This processor has no instructions for {precision}; it has {has}.")


def affordable(checkpoint: Checkpoint) -> list[str]:
    """The precisions that may be used by default, fastest first; the last is "f32"."""
    prices = checkpoint.prices()
    cheap = [p for p in FASTEST_FIRST[:-1] if prices.get(p, MOST_POINTS + 1) <= MOST_POINTS]
    return [
        *(p for p in cheap if p in native() and _is_of_these_weights(checkpoint, p)),
        "f32",
    ]


def _is_of_these_weights(checkpoint: Checkpoint, precision: str) -> bool:
    try:
        digest = checkpoint.digest(precision)
    except OSError:  # its ranges were measured, and are gone
        return False
    return checkpoint.metrics["splits"][checkpoint.price_split][precision].get("digest") == digest
