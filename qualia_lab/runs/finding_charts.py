"""The small chart of the evidence for a finding: which of the charts in `charts/evidence.py` each rule has."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.naming import narrow_names
from qualia_lab.analysis.histories import real
from qualia_lab.charts import evidence as small
from qualia_lab.errors import StoreError
from qualia_lab.inventory import is_number
from qualia_lab.runs.answers import answers
from qualia_lab.runs.history_charts import competing
from qualia_lab.study.left_out import names_of
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.analysis.groups import Group
    from qualia_lab.charts.chart import Chart
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task


def finding_charts(loaded: Loaded, findings: Sequence[Finding]) -> dict[int, Chart]:
    """The charts of those findings that have one, by position; a history that cannot be read only costs its chart.

    Args:
        loaded: the runs.
        findings: the findings.
    """
    charts: dict[int, Chart] = {}
    for place, finding in enumerate(findings):
        with suppress(StoreError):
            chart = finding_chart(loaded, finding)
            if chart is not None:
                charts[place] = chart
    return charts


def finding_chart(loaded: Loaded, finding: Finding) -> Chart | None:
    """The small chart of the evidence for a finding; None if its rule has none, or if there is nothing to draw.

    Args:
        loaded: the runs.
        finding: the finding.

    Raises:
        StoreError: a history cannot be read.
    """
    draw = _CHARTS.get(finding.rule)
    task = _task(loaded, finding)
    return draw(loaded, finding, task) if draw is not None and task is not None else None


def _task(loaded: Loaded, finding: Finding) -> Task | None:
    """The task of a finding: that of its runs, else the one that it names, else the only one."""
    if finding.run_ids:
        return loaded.study.task_of.get(finding.run_ids[0])
    named = [task for task in loaded.study.tasks if task.experiment == finding.experiment or not finding.experiment]
    return named[0] if len(named) == 1 else None


def _curves(loaded: Loaded, finding: Finding, task: Task) -> Chart | None:
    """The first runs of the finding before an even sample of the other runs of the task."""
    if not finding.keys:
        return None
    # A finding of overfitting names the metric on training data and the same on held-out data.
    key, twin = finding.keys[0], None
    if finding.rule == "overfitting":
        twin, key = finding.keys[:2]
    shown = finding.run_ids[: small.MOST_CURVES]
    steps = {run_id: finding.steps[place] if finding.steps else None for place, run_id in enumerate(shown)}
    rest = [run_id for run_id in competing(loaded, task) if run_id not in finding.run_ids]
    chosen = np.unique(np.linspace(0, len(rest) - 1, min(len(rest), small.MOST_OTHERS)).round().astype(int))
    others = [rest[place] for place in chosen.tolist()]
    history = loaded.history([key, twin] if twin else key, [*shown, *others])
    return small.curves_evidence(
        history, key, steps, others, loaded.labels, greater_is_better=loaded.better(key), dashed=twin
    )


def _groups(loaded: Loaded, finding: Finding, task: Task, *, only_named: bool = False) -> Chart | None:
    """The configurations of the task in the order of the answer; `only_named`: those with runs of the finding."""
    answer = answers(loaded).get(task.experiment_id)
    if answer is None:
        return None
    named = set(finding.run_ids)
    groups = [group for group in answer.groups if not only_named or not named.isdisjoint(group.run_ids)]
    names, _ = narrow_names([group.configuration for group in groups], small.NAME_WIDTH, names_of(loaded.tables))
    return small.levels_evidence(
        [(names[group.run_ids[0]], _values(group)) for group in groups],
        answer.leader.metric,
        loaded.labels,
        named if finding.kind != "answer" else (),
    )


def _values(group: Group) -> dict[str, float]:
    return dict(zip(group.scored, group.values, strict=True))


def _all_runs(loaded: Loaded, finding: Finding, task: Task) -> Chart | None:
    """All runs of the task by the metric of the finding, in one row, those of the finding in another colour."""
    if not finding.keys:
        return None
    values = _latest(loaded, finding.keys[0], competing(loaded, task))
    return small.levels_evidence([("all runs", values)], finding.keys[0], loaded.labels, set(finding.run_ids))


def _by_param(loaded: Loaded, finding: Finding, task: Task) -> Chart | None:
    """The objective against the first param of the finding: a point per run if it is numeric, else a row per level."""
    param = next((key for key in finding.keys if key in loaded.settings), None)
    if param is None or task.objective is None:
        return None
    values = {run_id: value for group in loaded.groups_of(task) for run_id, value in _values(group).items()}
    levels = {run_id: level for run_id, level in _settings(loaded, param).items() if run_id in values}
    if len(set(levels.values())) > small.MOST_LEVELS and all(map(is_number, levels.values())):
        points = {run_id: (float(level), values[run_id]) for run_id, level in levels.items()}
        return small.pairs_evidence(points, (param, task.objective.key), loaded.labels, set(finding.run_ids))
    rows: dict[str, dict[str, float]] = {}
    for run_id, level in levels.items():
        rows.setdefault(level, {})[run_id] = values[run_id]
    order = sorted(rows, key=float if all(map(is_number, rows)) else str)
    if finding.rule == "edge" and len(order) > small.MOST_LEVELS:
        order = order[-small.MOST_LEVELS :]
    at_edge = finding.run_ids if finding.rule == "edge" else ()
    return small.levels_evidence(
        [(f"{param}={level}", rows[level]) for level in order], task.objective.key, loaded.labels, set(at_edge)
    )


def _by_two_params(loaded: Loaded, finding: Finding, task: Task) -> Chart | None:
    """A row for each pair of levels of two params, among the runs of the finding."""
    if task.objective is None:
        return None
    first, second = (_settings(loaded, name) for name in finding.keys[:2])
    values = {run_id: value for group in loaded.groups_of(task) for run_id, value in _values(group).items()}
    rows: dict[str, dict[str, float]] = {}
    for run_id in finding.run_ids:
        if run_id in values and run_id in first and run_id in second:
            rows.setdefault(f"{second[run_id]}, {first[run_id]}", {})[run_id] = values[run_id]
    return small.levels_evidence([(name, rows[name]) for name in sorted(rows)], task.objective.key, loaded.labels)


def _two_metrics(loaded: Loaded, finding: Finding, task: Task) -> Chart | None:
    """A point per run at two metrics; those of the finding stand out unless they are all."""
    x, y = (_latest(loaded, key, loaded.counted(task)) for key in finding.keys[:2])
    points = {run_id: (x[run_id], y[run_id]) for run_id in x if run_id in y}
    return small.pairs_evidence(
        points, (finding.keys[0], finding.keys[1]), loaded.labels, set(finding.run_ids) & set(points)
    )


def _shares(loaded: Loaded, finding: Finding, task: Task) -> Chart | None:  # noqa: ARG001 - as the others
    """How many runs failed with the condition of the finding and without it."""
    numbers = {one.what: int(one.value) for one in finding.numbers if one.what != "corrected p"}
    failed, finished = numbers["failed with it"], numbers["finished with it"]
    rows = [("with it", failed, failed + finished)]
    without = numbers["failed"] - failed
    if total := without + numbers["finished"] - finished:
        rows.append(("without it", without, total))
    return small.shares_evidence(rows, "failed")


def trace_finding_charts(findings: Sequence[Finding]) -> dict[int, Chart]:
    """The charts of those findings about traces that have one, by position."""
    return {place: _onset_shares(finding) for place, finding in enumerate(findings) if finding.rule == "errors_began"}


def _onset_shares(finding: Finding) -> Chart:
    """How many traces failed from a time or with a version, and of the others."""
    numbers = {one.what: int(one.value) for one in finding.numbers if one.what != "corrected p"}
    is_time = "since, ms" in numbers
    rows = [
        ("from then on" if is_time else "with it", numbers["failed"], numbers["traces"]),
        ("before" if is_time else "other traces", numbers["others failed"], numbers["others"]),
    ]
    return small.shares_evidence([row for row in rows if row[2]], "failed")


def _latest(loaded: Loaded, key: str, run_ids: Sequence[str]) -> dict[str, float]:
    """The latest finite value of a metric by run id."""
    if key not in loaded.metric_keys:
        return {}
    values = real(loaded.latest(key, run_ids))
    return {run_id: value for run_id, value in zip(run_ids, values.tolist(), strict=True) if np.isfinite(value)}


def _settings(loaded: Loaded, name: str) -> Mapping[str, str]:
    """The value of a param or tag by run id; of equal values such as `0.1` and `1e-1`, the first spelling."""
    table, key = loaded.setting(name)
    rows = zip(*(table.column(column).to_pylist() for column in ("run_id", "key", "value")), strict=True)
    spelling: dict[Hashable, str] = {}
    return {
        run_id: spelling.setdefault(canonical(value), value)
        for run_id, one, value in rows
        if one == key and value is not None
    }


_CHARTS: dict[str, Callable[[Loaded, Finding, Task], Chart | None]] = {
    **dict.fromkeys(
        (
            "diverged",
            "non_finite",
            "never_learned",
            "collapse",
            "overfitting",
            "best_not_last",
            "oscillation",
            "spikes",
            "plateau",
            "still_improving",
            "step_gaps",
        ),
        _curves,
    ),
    **dict.fromkeys(("best_configuration", "seeds_vary_more"), _groups),
    **dict.fromkeys(("confounded", "seed_collapse"), partial(_groups, only_named=True)),
    **dict.fromkeys(("saturated", "not_computed", "unequal_budgets", "best_alone"), _all_runs),
    **dict.fromkeys(("factor_effect", "edge", "matters", "monotone"), _by_param),
    "interaction": _by_two_params,
    **dict.fromkeys(("leak", "trade_offs", "cheaper", "carries_over"), _two_metrics),
    "failed_apart": _shares,
    "errors_began": lambda _loaded, finding, _task: _onset_shares(finding),
}

DRAWN_RULES = frozenset(_CHARTS)  # the rules whose findings have a chart
