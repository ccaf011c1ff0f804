"""Charts of the runs of one task; `Plots` documents what each shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import listed
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.runs.answers import answer_or_message
from qualia_lab.runs.history_charts import competing
from qualia_lab.runs.message import Message
from qualia_lab.runs.values import directed, excluded_counts, importances, left_out_of, no_direction, pair_of, values_of
from qualia_lab.study.left_out import names_of
from qualia_lab.study.statuses import FINISHED, counts_text, kind_of, statuses_of
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.over_problems import OverProblems
    from qualia_lab.charts.chart import Chart
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task


def group_chart(loaded: Loaded, task: Task, metric: str, statistic: str) -> Chart:
    """Configurations with their runs, mean and interval."""
    from qualia_lab.charts.group_means import group_means

    better = loaded.better(metric)
    groups = loaded.groups_of(task, metric, statistic)
    return group_means(
        groups,
        loaded.labels,
        metric,
        statistic=statistic,
        greater_is_better=better,
        order=loaded.colour_order(task),
        run_names=names_of(loaded.tables),
    )


def answer_chart(loaded: Loaded, task: Task) -> Chart | Message:
    """The configurations in the order of the answer, and the curves of the first ones."""
    from qualia_lab.analysis.over_problems import over_problems
    from qualia_lab.charts import answer as drawing

    answer = answer_or_message(loaded, task)
    if isinstance(answer, Message):
        return answer
    over = over_problems(answer.groups)
    if over is not None:
        return _over(over)
    history = loaded.history(answer.leader.metric, drawing.curve_runs(answer))
    order, names = loaded.colour_order(task), names_of(loaded.tables)
    return drawing.answer_chart(answer, loaded.labels, history, order, names)


def comparison_chart(loaded: Loaded, task: Task, metrics: Sequence[str]) -> Chart | Message:
    """The latest values for each run, without parent runs; a panel for each metric that one of them recorded."""
    from qualia_lab.charts.metric_comparison import metric_comparison

    labels = loaded.labels_in(competing(loaded, task))
    own = rows_with(rows_with(loaded.tables.metrics, "run_id", list(labels)), "key", list(metrics))
    recorded = set(own.column("key").to_pylist())
    metrics = [key for key in metrics if key in recorded]
    if not metrics:
        return Message("No run recorded any of these metrics.")
    directions = {key: loaded.aim(key) for key in metrics}
    return metric_comparison(
        loaded.tables.metrics,
        labels,
        metrics,
        greater_is_better=directions,
        order=loaded.colour_order(task),
        excluded={run_id: kind_of(why) for run_id, why in loaded.left_out.items()},
    )


def param_chart(loaded: Loaded, task: Task, metric: str, param: str) -> Chart | Message:
    """A metric over the values of a param, for the runs that take part in comparisons."""
    from qualia_lab.analysis.distributions import pair_up
    from qualia_lab.charts.param_distribution import param_distribution

    settings, key = loaded.setting(param)
    runs = _counted(loaded, task)
    values = set(pair_up(settings, loaded.tables.metrics, list(runs), key, metric).params)
    if len(values) == 1:
        (value,) = values
        return Message(
            f"{one_line(param, 80)} is {one_line(value, 80)} in every run that is compared and has it: nothing to draw."
        )
    chart = param_distribution(
        settings, loaded.tables.metrics, runs, key, metric,
        greater_is_better=loaded.better(metric), unfinished=_unfinished(loaded),
    )  # fmt: skip
    tied = [name for name, factor in loaded.settings.items() if factor.tied_to == param]
    if tied:
        together = one_line(", ".join(tied), 120)
        chart = replace(chart, note=f"{chart.note} Changes only together with {together}.".strip())
    return _with_note(chart, loaded, task)


def parallel_chart(
    loaded: Loaded, task: Task, metric: str, params: Sequence[str] | None, statistic: str
) -> Chart | Message:
    """Parallel coordinates: each run is a line through the values of its params."""
    from qualia_lab.analysis.param_columns import varying_columns
    from qualia_lab.charts.parallel import parallel_axes

    values = values_of(loaded, task, metric, statistic)
    columns, _ = varying_columns(loaded.tables, loaded.study, list(values))
    if params is not None:
        columns = sorted(
            (column for column in columns if column.param in params), key=lambda column: params.index(column.param)
        )
    if not columns:
        return Message(f"No param varies among {counted(len(values), 'run')} with a finite {metric}.")
    chart = parallel_axes(
        columns,
        values,
        _counted(loaded, task),
        metric,
        # Among runs on different problems none is best.
        greater_is_better=None if _problems_of(loaded, task, metric, statistic) else loaded.better(metric),
        order=loaded.colour_order(task),
    )
    return _with_note(chart, loaded, task)


def importance_chart(loaded: Loaded, task: Task, metric: str, statistic: str) -> Chart | Message:
    """The three measures of importance as bars."""
    from qualia_lab.charts.importance import importance_bars

    importance = importances(loaded, task, metric, statistic)
    if all((row.forest, row.ped_anova, row.rho) == (None, None, None) for row in importance.params):
        return Message(importance.refusal[0].upper() + importance.refusal[1:] + ".")
    return importance_bars(importance, metric, left_out_of(loaded, task, values_of(loaded, task, metric, statistic)))


def pair_chart(
    loaded: Loaded, task: Task, metric: str, params: tuple[str, str] | None, statistic: str
) -> Chart | Message:
    """A heat map of means over two params."""
    from qualia_lab.analysis.param_pairs import mean_in_cells
    from qualia_lab.charts.param_heat import param_heat

    unimportant: list[str] = []
    if params is None:
        importance = importances(loaded, task, metric, statistic)
        if importance.refusal:
            return Message(f"The two most important params cannot be determined: {importance.refusal}.")
        separable = [row for row in importance.params if "together with" not in row.note and "left out" not in row.note]
        if len(separable) < 2:
            return Message(f"No two params vary independently among the runs with a finite {metric}.")
        params = (separable[0].param, separable[1].param)
        unimportant = [row.param for row in separable[:2] if "forest: no more than chance" in row.note]
    values = values_of(loaded, task, metric, statistic)
    cells = mean_in_cells(loaded.tables, loaded.study, values, params)
    if cells is None:
        return Message(
            f"Not both of {params[0]} and {params[1]} vary among {counted(len(values), 'run')} with a finite {metric}."
        )
    left_out = left_out_of(loaded, task, values)
    return param_heat(
        cells, params, metric, greater_is_better=loaded.better(metric), left_out=left_out, idle=unimportant
    )


def pareto_chart(loaded: Loaded, task: Task, first: str, second: str | None, statistic: str) -> Chart | Message:
    """A scatter plot of two metrics with the Pareto front."""
    from qualia_lab.charts.pareto import pareto_front

    pair = pair_of(loaded, task, first, second, statistic)
    if isinstance(pair, Message):
        return pair
    values, directions, _ = directed(loaded, task, pair, statistic)
    return _with_note(pareto_front(values, _counted(loaded, task), directions, loaded.colour_order(task)), loaded, task)


def progress_chart(loaded: Loaded, task: Task, metric: str, statistic: str) -> Chart | Message:
    """The best value so far."""
    from qualia_lab.analysis.progress import best_so_far
    from qualia_lab.charts.best_so_far import best_so_far_chart

    better = loaded.better(metric)
    if better is None:
        return no_direction(metric)
    over = _problems_of(loaded, task, metric, statistic)
    if over is not None:
        return _over(over)
    values = values_of(loaded, task, metric, statistic)
    progress = best_so_far(loaded.tables.runs, values, greater_is_better=better)
    chart = best_so_far_chart(
        progress, _counted(loaded, task), metric, greater_is_better=better, unfinished=_unfinished(loaded)
    )
    return _with_note(chart, loaded, task)


def distribution_chart(loaded: Loaded, task: Task, metric: str, by: str | None, statistic: str) -> Chart:
    """The share of runs up to each value."""
    from qualia_lab.analysis.progress import grouped
    from qualia_lab.charts import distribution

    values = values_of(loaded, task, metric, statistic)
    groups = {"": list(values.values())}
    if by is not None:
        settings, key = loaded.setting(by)
        groups = grouped(settings, values, key)
    chart = distribution.distribution_chart(
        groups, metric, by=by or "", greater_is_better=loaded.better(metric), runs=len(loaded.counted(task))
    )
    return _with_note(chart, loaded, task)


def _problems_of(loaded: Loaded, task: Task, metric: str, statistic: str) -> OverProblems | None:
    """The comparison over problems, if some factors say what a configuration was tried on."""
    from qualia_lab.analysis.over_problems import over_problems

    return over_problems([group for group in loaded.groups_of(task, metric, statistic) if group.values])


def _over(over: OverProblems) -> Message:
    """The message instead of a chart in which runs on different problems would be rivals."""
    return Message(f"Not drawn: the levels of {listed(over.problems)} are problems, not rivals.")


def _counted(loaded: Loaded, task: Task) -> dict[str, str]:
    """The labels of the runs that take part in comparisons."""
    return loaded.labels_in(loaded.counted(task))


def _unfinished(loaded: Loaded) -> dict[str, str]:
    """The status of each run that did not finish."""
    return {run_id: status for run_id, status in statuses_of(loaded.tables).items() if status != FINISHED}


def _with_note(chart: Chart, loaded: Loaded, task: Task) -> Chart:
    """Add a note to a chart that says how many runs take part in no comparison, and why."""
    excluded = counts_text(excluded_counts(loaded, task))
    return replace(chart, note=f"{chart.note} Left out: {excluded}.".strip()) if excluded else chart
