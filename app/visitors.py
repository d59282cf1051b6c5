"""Who is asking: somebody at this machine, or somebody over the network."""

from __future__ import annotations

import os
from collections.abc import Container

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix")
"""Headers of a proxy: behind one, everybody seems to sit at this machine."""


def sits_here(address: str | None, headers: Container[str]) -> bool:
    """Whether a request comes from the machine that this runs on, and not through a proxy.

    Args:
        address: the client's IP address, None where the connection has none.
        headers: the request's; names are looked up whatever their case.
    """
    if any(name in headers for name in FORWARDED) or "SPACE_ID" in os.environ:
        return False
    return address in (None, "127.0.0.1", "::1")
