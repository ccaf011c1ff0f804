"""Chart of an answer: the configurations with their runs, the leading ones first, beside the curves of these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.curves import STEP, align, as_drawn
from qualia_lab.analysis.findings.naming import brief_names, narrow_names
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import run_styles
from qualia_lab.charts.group_means import group_means
from qualia_lab.charts.marks import Panel
from qualia_lab.charts.metric_history import history_axis, robust_axis, run_marks
from qualia_lab.charts.ticks import round_ticks
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.curves import Curves
    from qualia_lab.charts.colours import Style
    from qualia_lab.charts.marks import Mark

MAX_GROUPS = 8
_LEADING = 3  # configurations whose runs are drawn as curves
_MOST_CURVES = 10  # for each of them
_TICKS = 5
_NAME_WIDTH = 28  # characters of the name of a configuration, beside the second panel


def curve_runs(answer: Answer) -> list[str]:
    """Return the runs whose curves are drawn: at most ten of each of the first three configurations.

    Args:
        answer: the comparison of the configurations of a task.
    """
    return [run_id for group in answer.groups[:_LEADING] for run_id in group.scored[:_MOST_CURVES]]


def answer_chart(
    answer: Answer,
    labels: Mapping[str, str],
    history: pa.Table,
    order: Sequence[str],
    run_names: Mapping[str, str] | None = None,
) -> Chart:
    """Draw at most eight configurations in the order of the answer, and the curves of the first three.

    Args:
        answer: the comparison of the configurations of a task.
        labels: the label of each run, by run id.
        history: the history of the objective in the `curve_runs`.
        order: the runs of the task, the leading ones first, which decides the colours (see colours.run_styles).
        run_names: the name of each run as it was logged, for configurations that have no factor in common.
    """
    metric, better = answer.leader.metric, answer.leader.greater_is_better
    leading = answer.groups[:_LEADING]
    styles = run_styles(curve_runs(answer), order)
    curves = _curve_panel(align(history, list(styles), metric, STEP), labels, styles, greater_is_better=better)
    configurations = [group.configuration for group in answer.groups]
    names = brief_names(configurations, run_names)
    beside = narrow_names(configurations, _NAME_WIDTH, run_names)
    if all(len(group.scored) == 1 for group in answer.groups):
        names = {group.run_ids[0]: labels[group.scored[0]] for group in answer.groups}
        beside = dict(zip(names, distinct_names(list(names.values()), width=_NAME_WIDTH), strict=True)), ""
    means = group_means(
        answer.groups,
        labels,
        metric,
        greater_is_better=better,
        limit=MAX_GROUPS,
        ranked=names,
        beside=beside,
        order=order,
    )
    [panel] = means.panels
    panel = replace(panel, x=replace(panel.x, ticks=panel.x.ticks or tuple(round_ticks(panel.x.limits, _TICKS))))
    if curves is None:
        return replace(means, panels=(panel,))
    first = f"the first {len(leading)}" if len(leading) < len(answer.groups) else "these"
    drawn, runs = len(curve_runs(answer)), sum(len(group.scored) for group in leading)
    limited = f"Curves: {drawn} of {runs:,} runs." if drawn < runs else ""
    return Chart(
        title=f"{metric} by configuration, and the curves of {first}",
        panels=(panel, curves),
        sentence=means.sentence,
        note=" ".join(filter(None, (means.note, limited))),
        height=max(240, means.height),
        columns=2,
        shared_y=False,
    )


def _curve_panel(
    curves: Curves, labels: Mapping[str, str], styles: Mapping[str, Style], *, greater_is_better: bool | None
) -> Panel | None:
    """Draw curves in the colours of their configurations; None if no run has more than one point."""
    history = as_drawn(curves)
    lines = [series for series in history.series if len(series.x) > 1]
    if not lines:
        return None
    y_axis, _ = robust_axis(history.key, [series.y for series in lines], log=None)
    marks: list[Mark] = []
    for series in reversed(lines):  # the best is drawn last, on top
        style = styles[series.run_id]
        marks += run_marks(series, labels[series.run_id], style, y_axis, greater_is_better, in_legend=False)
    return Panel(history_axis(history), y_axis, tuple(marks), title="")
