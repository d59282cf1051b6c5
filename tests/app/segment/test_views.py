"""The HTML of the segment page, without a browser."""

import re

from app.segment import views
from model.data.classes import ClassTable
from model.evaluation.metrics import Metrics
from model.evaluation.report.words import FIGURE_TITLES, cell


def test_scores_have_the_names_that_figures_have_everywhere():
    metrics = Metrics.of([[6, 2], [1, 3]])
    html = views.scores(metrics, ClassTable.named(road="#804080", sky="#4682B4"), "by colour")
    assert re.findall(r'<th scope="col">([^<]+)<', html) == [*FIGURE_TITLES.values()]
    road = re.search("road</th>(.+?)</tr>", html)[1]
    values = [getattr(metrics, figure)[0] for figure in FIGURE_TITLES]
    assert re.findall("<td>([^<]+)<", road) == [cell(value, "share") for value in values]
