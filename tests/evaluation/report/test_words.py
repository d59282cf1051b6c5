"""Units and rounding."""

from __future__ import annotations

import pytest

from model.evaluation.report import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.points(0.1234), "12.3"),
        (words.points(-0.004), "\N{MINUS SIGN}0.4"),
        (words.points(-0.0001), "0.0"),
        (words.probability(0.0312), "p = 0.031"),
        (words.probability(0.0001), "p < 0.001"),
        (words.million(24439559), "24.4 million"),
        (words.million(486571), "0.49 million"),
        (words.million("many"), words.NOTHING),
        (words.megabytes(48_900_000), "48.9 MB"),
        (words.megabytes(None), words.NOTHING),
        (words.milliseconds(12.34), "12.3 ms"),
        (words.milliseconds(1234), "1234 ms"),
        (words.duration(5400), "90 min"),
        (words.duration(14400), "4 h 00 min"),
        (words.duration(None), words.NOTHING),
        (words.cell(None, "share"), words.NOTHING),
        (words.cell(0.5, "share"), "50.0 %"),
        (words.cell(1234567, "count"), "1,234,567"),
        (words.cell("x", "text"), "x"),
        (words.title_of_kind("File", "megabytes"), "File, MB"),
        (words.title_of_kind("Model", "text"), "Model"),
    ],
)
def test_words(text, expected):
    assert text.replace(words.SPACE, " ") == expected


def test_a_length_of_time_stays_on_one_line():
    assert " " not in words.duration(14400)


def test_titles_of_columns_are_the_names_of_figures_with_a_capital():
    assert words.FIGURE_TITLES == {
        "iou": "IoU", "dice": "Dice (F1)", "precision": "Precision", "recall": "Recall"
    }  # fmt: skip
    assert list(words.SCORE_TITLES.items())[1:4] == [
        ("mean_dice", "Mean Dice (F1)"), ("accuracy", "Accuracy"), ("boundary_iou", "Boundary IoU")
    ]  # fmt: skip
