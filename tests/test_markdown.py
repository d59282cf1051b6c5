"""Tables keep their columns, whatever is in them."""

from model.markdown import table


def test_a_bar_in_a_cell_begins_no_column():
    assert table(["class", "a|b"], [["c|d", 68.0]]).splitlines() == [
        r"| class | a\|b |",
        "|---|---|",
        r"| c\|d | 68.0 |",
    ]
