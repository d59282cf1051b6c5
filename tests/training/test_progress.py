"""What a run shows while it goes."""

import sys

import pytest

from model.training import run
from model.training.progress import RunProgress


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    """What is shown where the output is no terminal, filled while a run goes."""
    shown: list[str] = []
    monkeypatch.setattr(run, "RunProgress", lambda config: RunProgress(config, shown.append))
    return shown


def test_a_file_gets_a_line_per_epoch(tiny, few_streets, lines, capsys):
    run.train(tiny(), few_streets, score=False)
    assert [line.split(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    for line in lines:
        for part in ("loss ", "on validation ", "mean IoU ", "accuracy ", "pictures/s", "left"):
            assert part in line
    assert lines[-1].endswith(" 0 s left")
    assert "\r" not in capsys.readouterr().err


def test_a_terminal_gets_one_bar_with_its_rate(tiny, few_streets, lines, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run.train(tiny(), few_streets, score=False)
    assert lines == []
    bars = [bar for bar in capsys.readouterr().err.split("\r") if bar.startswith("epoch 3/3")]
    assert "24/24" in bars[-1]
    assert " pictures/s, validation IoU 0." in bars[-1]
    assert "<" in bars[0]  # between the time taken and the time left


def test_a_resumed_run_begins_where_it_was(tiny, few_streets, lines):
    class Stop(Exception):
        pass

    def stop(row):
        raise Stop

    with pytest.raises(Stop):
        run.train(tiny(), few_streets, score=False, on_epoch=stop)
    lines.clear()
    run.train(tiny(resume=True), few_streets, score=False)
    assert [line.split(":")[0] for line in lines] == ["epoch 2/3", "epoch 3/3"]
