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
        ("127.0.0.1", {"x-forwarded-prefix": "/studio"}, False),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, False),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.1"}, False),
        ("127.0.0.1", {"Host": "localhost:7860"}, True),
        ("127.0.0.1", {"host": "127.0.0.1:7860"}, True),
        ("::1", {"host": "[::1]:7860"}, True),
        ("127.0.0.1", {"host": "example.org"}, False),
        ("127.0.0.1", {"host": "localhost.example.org:7860"}, False),
        ("127.0.0.1", {"host": "[broken"}, False),
    ],
)
def test_only_direct_requests_of_this_machine(address, headers, expected, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert sits_here(address, headers) is expected


def test_nobody_sits_at_a_space(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/name")
    assert not sits_here("127.0.0.1", {})
