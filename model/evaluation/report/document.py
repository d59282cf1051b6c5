"""The report: one self-contained HTML file with text, charts and tables.

Charts are rendered here and embedded as SVG: no script runs in the report, nothing is fetched,
and it can be printed. Text and axes follow the reader's light or dark scheme.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from model import __version__
from model.evaluation.cost import TYPICAL_WH, Cost
from model.evaluation.report import tables
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.per_class import bar_rows, difference_rows, per_class
from model.evaluation.report.small_data import (
    colours,
    how_drawn,
    in_words,
    on_the_same_split,
    points,
)
from model.evaluation.report.table import Table, archive
from model.evaluation.report.verdict import Verdict
from model.evaluation.report.words import FIGURE_TITLES, cell
from model.evaluation.studies import SmallDataResult

if TYPE_CHECKING:
    import altair as alt

WIDE, HALF = 900, 420
"""Widths of charts in pixels: alone, and two side by side."""

LONG = 40
"""Tables with more rows are folded."""

INK = "currentColor"
SVG_CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "title": {"color": INK, "fontSize": 13, "anchor": "start"},
    "axis": {
        "labelColor": INK, "titleColor": INK, "tickColor": "#8888", "domainColor": "#8888",
        "gridColor": "#8883", "titleFontWeight": "normal",
    },
    "legend": {"labelColor": INK, "titleColor": INK},
    "text": {"color": INK},
}  # fmt: skip

PAPER_CONFIG = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "title": {"anchor": "start"},
}
"""For a chart in a separate file, outside of any page."""

STYLE = """
:root { color-scheme: light dark; --paper: light-dark(#fff, #0a0f1e); --ink: light-dark(#12211f,
  #f1f5f9); --soft: light-dark(#5b6b68, #94a3b8); --line: light-dark(#d9e2e0, #334155);
  --accent: light-dark(#0f766e, #2dd4bf); }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 960px; margin: auto; padding: 2rem 1.25rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.02em; text-wrap: balance; }
h2 { font-size: 1.35rem; margin: 3rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .4rem; }
p.lead { color: var(--accent); font-weight: 600; margin-bottom: 0; }
p.note { color: var(--soft); font-size: .88rem; }
p.warning { border-left: 4px solid #D55E00; padding-left: .75rem; }
.key span { display: inline-block; margin-right: 1.5rem; }
.key i { display: inline-block; width: .75em; height: .75em; border-radius: 50%;
  margin-right: .4em; }
.charts { display: flex; flex-wrap: wrap; gap: 1.25rem; }
.charts svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child, .text { text-align: left; }
summary { cursor: pointer; color: var(--accent); }
@media print { main { max-width: none; } h2, svg, tr { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Report:
    """All that a comparison found, ready to be saved.

    Attributes:
        models: at least one.
        verdict: on them.
        costs: what was measured on this machine, by checkpoint name; may be empty.
        studies: of small data, by name; those of the models' data are drawn.
        smoothing: of the learning curves, in [0, 1).
    """

    models: Sequence[Candidate]
    verdict: Verdict
    costs: Mapping[str, Cost] = field(default_factory=dict)
    studies: Mapping[str, SmallDataResult] = field(default_factory=dict)
    smoothing: float = 0.0

    def tables(self) -> list[Table]:
        return tables.all_tables(self.models, self.verdict, self.costs)

    def csv(self) -> bytes:
        """A zip file with all tables as CSV."""
        return archive(self.tables(), protocol_text(self.models))

    def html(self) -> str:
        """The whole report."""
        by_key = {table.key: table for table in self.tables()}
        sections = [
            _opening(self),
            _section("Scores", _tables(by_key, "scores", "verdict")),
            _section("Learning", _learning(self), _tables(by_key, "learning")),
            _section("Where", *_where(self), _tables(by_key, "classes", "boundaries", "objects")),
            _section("Confidence", _confidence(self), _tables(by_key, "calibration")),
            _section("Price", _price(self), _tables(by_key, "price")),
            _section("Pictures", _tables(by_key, "pictures")),
            _section(
                "Confusion matrices",
                _tables(by_key, *(tables.confusion_key(model) for model in self.models)),
            ),
        ]
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{escape(self.verdict.headline)}</title><style>{STYLE}</style></head>"
            f"<body><main>{''.join(sections)}</main></body></html>\n"
        )


def protocol_text(models: Sequence[Candidate]) -> str:
    """What all figures were measured on and how, in a paragraph."""
    protocol = models[0].protocol
    count = protocol.pictures or "all"
    how = f" by {protocol.engine} in {protocol.precision}" if protocol.engine else ""
    return (
        f"Measured on {protocol.title or protocol.data} (digest {protocol.digest or 'unknown'}), "
        f"its {count} {protocol.part} pictures (split {protocol.split_digest or 'unknown'}: "
        f"{protocol.split_rule or 'rule unknown'}), at the pictures' own resolution{how}. "
        "Mean IoU and Dice come from one confusion matrix over all pixels, void left out, and "
        "are means over the classes that occur. They hold for these weights; another training "
        "run of the same network would differ. Checkpoints: "
        f"{', '.join(model.name for model in models)}."
    )


def svg(chart: alt.TopLevelMixin, width: int, config: Mapping | None = None) -> str:
    """A chart as SVG, drawn without network access.

    Args: config: Vega-Lite's; by default for a page that sets the colour of its text.
    """
    import vl_convert

    specification = chart.properties(width=width).to_dict()
    specification["config"] = config or SVG_CONFIG
    # "Fit" makes titles and labels part of the width, so that charts end where text does.
    specification["autosize"] = {"type": "fit", "contains": "padding"}
    return vl_convert.vegalite_to_svg(specification)


def _opening(report: Report) -> str:
    verdict = report.verdict
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in verdict.details)
    paragraphs += "".join(f'<p class="warning">{escape(t)}</p>' for t in verdict.warnings)
    paragraphs += "".join(f'<p class="note">{escape(t)}</p>' for t in verdict.cautions)
    key = "".join(
        f'<span><i style="background: {m.colour}"></i>{escape(m.title)}</span>'
        for m in report.models
    )
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        '<p class="lead">U-Net Studio: a comparison</p>'
        f"<h1>{escape(verdict.headline)}</h1>{paragraphs}"
        f'<p class="key">{key}</p>'
        f'<p class="note">{escape(protocol_text(report.models))} Report of {today}, U-Net Studio '
        f"{__version__}.</p>"
    )


def _learning(report: Report) -> str:
    from model.evaluation.report import charts

    runs = [
        charts.Series(model.title, model.colour, rows)
        for model in report.models
        if (rows := model.checkpoint.history())
    ]
    drawn = [charts.learning_curve(runs, f, smoothing=report.smoothing) for f in
             ("iou", "dice", "loss", "accuracy")] if runs else []  # fmt: skip
    studies = on_the_same_split(report.studies, report.models[0].protocol)
    small = points(studies)
    text = _charts(*((chart, HALF) for chart in drawn))
    if drawn:
        text += '<p class="note">Solid: validation; dashed: training; dot: the epoch kept.</p>'
    if small:
        known = {model.title: model.colour for model in report.models}
        chart = charts.small_data_curve(small, colours(small, known))
        text += f"<h3>With fewer training pictures</h3>{_charts((chart, WIDE))}"
        text += f'<p>{escape(in_words(small))}</p><p class="note">{escape(how_drawn(studies))}</p>'
    return text


def _where(report: Report) -> list[str]:
    from model.evaluation.report import charts

    scored = [model for model in report.models if model.scored]
    if not scored or report.verdict.refused:
        return []
    series = [charts.Series(m.title, m.colour, None) for m in scored]
    parts = []
    for figure in ("iou", "dice"):
        table = per_class(scored, report.verdict, figure)
        bars = charts.class_bars(
            bar_rows(table), series, FIGURE_TITLES[figure], scored[0].protocol.part
        )
        drawn = [(bars, HALF)]
        if len(scored) > 1:
            title = f"{table.leader} less the other, points of {FIGURE_TITLES[figure]}"
            differences = charts.difference_bars(difference_rows(table), series, title)
            drawn.append((differences, HALF))
        parts.append(_charts(*drawn))
    names = scored[0].checkpoint.classes.names
    matrices = [(charts.confusion_matrix(m.metrics.matrix, names, m.title), HALF) for m in scored]
    if len(scored) == 2:
        first, second = scored
        title = f"{first.title} less {second.title}"
        matrices.append(
            (
                charts.confusion_matrix(first.metrics.matrix, names, title, second.metrics.matrix),
                HALF,
            )
        )
    parts.append(f"<h3>Confusion matrix</h3>{_charts(*matrices)}")
    objects = [
        charts.Series(m.title, m.colour, m.scored.objects) for m in scored if m.scored.objects
    ]
    if objects:
        drawn = _charts((charts.object_bars(objects), HALF))
        parts.append(f"<h3>Objects found, by size</h3>{drawn}")
    return parts


def _confidence(report: Report) -> str:
    from model.evaluation.report import charts

    curves = [
        charts.Series(m.title, m.colour, m.scored.calibration)
        for m in report.models
        if m.scored and m.scored.calibration
    ]
    if not curves or report.verdict.refused:
        return ""
    return _charts((charts.reliability(curves), HALF))


def _price(report: Report) -> str:
    from model.evaluation.report import charts

    points = [
        charts.Series(
            m.title, m.colour, (report.costs[m.name].latency[TYPICAL_WH].median, m.metrics.mean_iou)
        )
        for m in report.models
        if m.scored and m.name in report.costs
    ]
    if not points or report.verdict.refused:
        return ""
    size = f"{TYPICAL_WH[0]} x {TYPICAL_WH[1]}"
    return _charts((charts.quality_against_latency(points, size), WIDE))


def _charts(*drawn: tuple[alt.TopLevelMixin, int]) -> str:
    if not drawn:
        return ""
    return f'<div class="charts">{"".join(svg(chart, width) for chart, width in drawn)}</div>'


def _section(title: str, *parts: str) -> str:
    text = "".join(parts)
    return f"<h2>{escape(title)}</h2>{text}" if text else ""


def _tables(by_key: Mapping[str, Table], *keys: str) -> str:
    return "".join(_table(by_key[key]) for key in keys if key in by_key)


def _table(table: Table) -> str:
    kinds = [column.kind for column in table.columns]
    classes = ['class="text"' if kind == "text" else "" for kind in kinds]
    heads = "".join(
        f"<th {c}>{escape(column.title)}</th>"
        for column, c in zip(table.columns, classes, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td {c}>{escape(cell(value, kind))}</td>"
            for value, kind, c in zip(row, kinds, classes, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    text = (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    if len(table.rows) > LONG:
        text = f"<details><summary>{len(table.rows)} rows</summary>{text}</details>"
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return f"<h3>{escape(table.title)}</h3>{text}{note}"
