"""One computation at a time for each visitor, and none that nobody wants."""

from __future__ import annotations

import pytest

from app.segment import jobs as module
from app.segment.jobs import Jobs, Watch
from model.errors import StudioError


def nothing(fraction: float) -> None:
    pass


def test_a_new_job_takes_the_place_of_the_one_before():
    jobs = Jobs()
    with jobs.begin("me", nothing) as first, jobs.begin("other", nothing) as foreign:
        with jobs.begin("me", nothing) as second:
            assert first.cancelled()
            assert not second.cancelled()
            jobs.cancel("me")
            assert second.cancelled()
        assert not foreign.cancelled()
    jobs.cancel("me")  # nothing runs: nothing happens


def test_a_finished_job_does_not_end_the_next_one():
    jobs = Jobs()
    with jobs.begin("me", nothing):
        pass
    with jobs.begin("me", nothing) as watch:
        assert not watch.cancelled()


def test_nothing_is_computed_for_ever(monkeypatch):
    monkeypatch.setattr(module, "PAGE_SECONDS", -60)
    with pytest.raises(StudioError, match="took longer"):
        Watch().cancelled()
