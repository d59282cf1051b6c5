"""Who counts as sitting at the machine."""

from __future__ import annotations

import pytest

from app.visitors import sits_here


@pytest.mark.parametrize(
    ("address", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        (None, {}, True),
        ("192.168.0.7", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, False),
        ("127.0.0.1", {"X-Forwarded-Prefix": "/studio"}, False),
    ],
)
def test_only_direct_requests_of_this_machine(address, headers, expected, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert sits_here(address, headers) is expected


def test_nobody_sits_at_a_space(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/name")
    assert not sits_here("127.0.0.1", {})
