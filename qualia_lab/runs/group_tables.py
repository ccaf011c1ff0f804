"""Tables of configurations: averaged over seeds, and each compared with a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.analysis.baseline import choose_baseline, compare_to_baseline
from qualia_lab.analysis.findings.naming import whole_names
from qualia_lab.analysis.scores import statistic_label
from qualia_lab.errors import NothingToCompare
from qualia_lab.escaping import one_line
from qualia_lab.study.left_out import names_of
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.baseline import Difference
    from qualia_lab.analysis.groups import Group
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

    Wanted = str | Mapping[str, str] | None

_NUMBERS = ("difference", "95 % low", "95 % high", "P(A>B)", "effect", "p (Holm)", "would show")


class Headings(NamedTuple):
    """The columns that a table of configurations has before and over its numbers.

    Attributes:
        mean: the name of the column of means.
        metric: whether there is a column that names the metric.
        experiment: whether there is a column that names the experiment.
    """

    mean: str
    metric: bool
    experiment: bool

    def of(self, group: Group, loaded: Loaded) -> dict[str, str]:
        """The cells that name the experiment and the metric of a row, if the rows are of several."""
        columns = {}
        if self.experiment:
            task = next(candidate for candidate in loaded.study.tasks if candidate.experiment_id == group.experiment_id)
            columns["experiment"] = loaded.called(task)
        return columns | ({"metric": one_line(group.metric, 60)} if self.metric else {})


def headings(loaded: Loaded, metric: str | None, statistic: str) -> Headings:
    """The headings for a table of one metric, or of each task's objective."""
    tasks = loaded.study.tasks
    leading = {one.objective.key for one in tasks if one.objective}
    if metric is None and len(leading) != 1:
        return Headings("mean" if statistic == "last" else f"mean {statistic}", metric=True, experiment=len(tasks) > 1)
    return Headings(mean_of(metric or next(iter(leading)), statistic), metric=False, experiment=len(tasks) > 1)


def mean_of(metric: str, statistic: str) -> str:
    """The name of the column of means; the statistic is named unless it is the last value, the default everywhere."""
    return f"mean {metric}" if statistic == "last" else f"mean {statistic_label(statistic, metric)}"


def best_first(groups: Iterable[Group]) -> list[Group]:
    """Sort configurations by task, then by mean, best first.

    If no direction is known, the highest mean is first. Configurations without a value come last.
    """
    places: dict[str, int] = {}
    return sorted(groups, key=lambda group: (places.setdefault(group.experiment_id, len(places)), *_place(group)))


def group_table(loaded: Loaded, metric: str | None, statistic: str) -> pd.DataFrame:
    """A row per configuration, best mean first; tasks follow one another."""
    import pandas as pd

    head = headings(loaded, metric, statistic)
    groups = best_first(loaded.groups(metric, statistic))
    columns: list[dict[str, object]] = [
        {
            "runs": len(group.run_ids),
            "n": len(group.values),
            head.mean: group.mean,
            "95 % low": group.interval.low if group.interval else None,
            "95 % high": group.interval.high if group.interval else None,
            "median": group.median,
            "IQM": group.interquartile_mean,
            "lowest": min(group.values, default=None),
            "highest": max(group.values, default=None),
            **_named_runs(loaded, group),
            **why_n(group, groups),
        }
        for group in groups
    ]
    keys = dict.fromkeys(key for group in groups for key, _ in group.params)
    rows = [
        {**head.of(group, loaded), **_factors(group, list(keys), numbers), **numbers}
        for group, numbers in zip(groups, columns, strict=True)
    ]
    return pd.DataFrame(rows).convert_dtypes()


def baseline_table(loaded: Loaded, task: Task, metric: str | None, statistic: str, wanted: Wanted) -> pd.DataFrame:
    """Each configuration of one task against the baseline, which is the first row."""
    import pandas as pd

    groups = loaded.groups_of(task, metric, statistic)
    if not groups:
        raise NothingToCompare("There is no configuration to compare.", "Name a metric that was logged.")
    started = dict(zip(loaded.tables.run_ids, loaded.tables.runs.column("start_time").to_pylist(), strict=True))
    table = compare_to_baseline(groups, *choose_baseline(groups, started, wanted))
    labels = whole_names([group.configuration for group in groups], names_of(loaded.tables))
    head = headings(loaded, metric, statistic)
    differences = {one.group.run_ids[0]: one for one in table.differences}
    ordered = [differences[one.run_ids[0]] for one in best_first(one.group for one in table.differences)]
    metric_column = {"metric": one_line(table.baseline.metric, 60)} if head.metric else {}
    first = {**metric_column, **_n_and_mean(table.baseline, head.mean), "verdict": "baseline"}
    rows = [
        {**first, **dict.fromkeys(_NUMBERS), **why_n(table.baseline, groups), "test": table.chosen},
        *(metric_column | _difference_row(one, head.mean, groups) for one in ordered),
    ]
    names = [labels[group.run_ids[0]] for group in (table.baseline, *(one.group for one in ordered))]
    return pd.DataFrame(rows, pd.Index(names)).convert_dtypes()


def wanted_baseline(loaded: Loaded, task: Task, baseline: Wanted) -> Wanted:
    """The baseline requested for one task, by default that of the study; None if it is a run of another task."""
    requested = loaded.study.settings.baseline if baseline is None else baseline
    if not isinstance(requested, str):
        return requested
    run_id = loaded.run_id(requested)
    return run_id if run_id in task.run_ids or len(loaded.study.tasks) == 1 else None


def why_n(group: Group, groups: Sequence[Group]) -> dict[str, str | None]:
    """Columns that explain n: runs left out, and how many of those counted did not finish or stopped early.

    The latter two columns only exist if any configuration of the table has such runs.
    """
    columns: dict[str, str | None] = {"left out": counts_text(group.left_out) or None}
    if any(one.unfinished for one in groups):
        columns["not finished"] = counts_text(group.unfinished) or None
    if any(one.short for one in groups):
        columns["stopped early"] = str(group.short) if group.short else None
    return columns


def _n_and_mean(group: Group, mean: str) -> dict[str, object]:
    return {"runs": len(group.run_ids), "n": len(group.values), mean: group.mean}


def _factors(group: Group, keys: Sequence[str], columns: Mapping[str, object]) -> dict[str, str | None]:
    """A column per distinguishing factor; its name gets ` (param)` if it clashes with another column.

    If there is only one configuration, a column without a name contains `all runs`.
    """
    values = dict(group.params)
    return {key if key not in columns else f"{key} (param)": values.get(key) for key in keys} or {"": "all runs"}


def _named_runs(loaded: Loaded, group: Group) -> dict[str, str | None]:
    """The best run; if no direction is known, the lowest and the highest."""
    runs = (
        {"lowest run": group.lowest_run, "highest run": group.highest_run}
        if group.greater_is_better is None
        else {"best run": group.best_run}
    )
    return {name: None if run_id is None else loaded.labels[run_id] for name, run_id in runs.items()}


def _difference_row(difference: Difference, mean: str, groups: Sequence[Group]) -> dict[str, object]:
    comparison = difference.comparison
    numbers = (
        *(comparison.difference, comparison.low, comparison.high, comparison.superiority),
        *(comparison.effect, difference.corrected_p, comparison.smallest),
    )
    return {
        **_n_and_mean(difference.group, mean),
        "verdict": difference.verdict,
        **dict(zip(_NUMBERS, numbers, strict=True)),
        **why_n(difference.group, groups),
        "test": f"{comparison.test or 'none'} ({comparison.why})",
    }


def _place(group: Group) -> tuple[bool, float]:
    return group.mean is None, (group.mean or 0.0) * (1 if group.greater_is_better is False else -1)
