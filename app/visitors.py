"""Who is asking: somebody at this machine, or somebody over the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

PROXIES = ("forwarded", "via", "x-real-ip")
"""Headers of a proxy, besides all of X-Forwarded-*: behind one, everybody seems to sit here."""

HERE = ("localhost", "127.0.0.1", "::1")


def sits_here(address: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a request comes from the machine that this runs on, and not through a proxy.

    Who asks under another name than this machine's own comes through a proxy that does not say
    so, or is a site whose name was made to lead here ("DNS rebinding").

    Args:
        address: the client's IP address, None where the connection has none.
        headers: the request's, whatever the case of their names.
    """
    given = {name.lower(): value for name, value in headers.items()}
    forwarded = any(name in PROXIES or name.startswith("x-forwarded-") for name in given)
    if forwarded or "SPACE_ID" in os.environ:
        return False
    return address in (None, "127.0.0.1", "::1") and _host(given.get("host", HERE[0])) in HERE


def _host(text: str) -> str | None:
    """The name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{text}").hostname
    except ValueError:
        return None
