"""One computation at a time for each visitor, and none that nobody wants."""

from __future__ import annotations

import pytest

from app.segment import jobs as module
from app.segment.jobs import Jobs, Replaced, Watch
from model.errors import StudioError
from model.inference.segmenter import Cancelled


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


def test_a_file_is_made_beside_the_segmentation():
    jobs = Jobs()
    with jobs.begin("me", nothing, aside=True) as file:
        assert not jobs.busy("me")
        with jobs.begin("me", nothing) as segmentation:
            with jobs.begin("me", nothing, aside=True) as other_file:
                assert jobs.busy("me")
                assert not segmentation.cancelled()
                assert file.replaced
                assert not other_file.replaced
                jobs.cancel("me")
            assert not jobs.busy("me")
            assert segmentation.cancelled()
            assert file.cancelled()


def test_whether_something_newer_is_the_reason_is_known():
    jobs = Jobs()
    with pytest.raises(Replaced), jobs.begin("me", nothing) as first, jobs.begin("me", nothing):
        first.check()
    told = None
    try:
        with jobs.begin("me", nothing) as second:
            jobs.cancel("me")
            with jobs.begin("me", nothing):
                second.check()
    except Cancelled as error:
        told = type(error)
    assert told is Cancelled


def test_nothing_is_computed_for_ever(monkeypatch):
    monkeypatch.setattr(module, "PAGE_SECONDS", -60)
    with pytest.raises(StudioError, match="took longer"):
        Watch().cancelled()
