"""Tables for a paper, one per task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.paper_table import paper_numbers
from qualia_lab.errors import NothingToCompare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.paper_table import PaperTable
    from qualia_lab.charts.paper_tables import PaperTables
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task


def paper_table(
    loaded: Loaded,
    metrics: str | Sequence[str] | None,
    params: Sequence[str] | None,
    experiment: str | None,
    statistic: str,
) -> PaperTable | PaperTables:
    """The table of `Runs.paper_table`, or a table per task if there are several."""
    from qualia_lab.charts.paper_tables import PaperTables

    keys = [metrics] if isinstance(metrics, str) else list(metrics or ())
    loaded.check_metrics(keys)
    loaded.check_params(params or ())
    if not len(loaded):
        raise NothingToCompare("No run was read, so there is nothing to compare.", "Choose runs that exist.")
    tasks = loaded.tasks(experiment)
    if len(tasks) == 1:
        return _table(loaded, tasks[0], keys, params, statistic)
    with_metric = [task for task in tasks if keys or task.objective]
    return PaperTables({task.experiment: _table(loaded, task, keys, params, statistic) for task in with_metric})


def _table(
    loaded: Loaded, task: Task, metrics: Sequence[str], params: Sequence[str] | None, statistic: str
) -> PaperTable:
    from qualia_lab.charts.paper_table import PaperTable

    keys = list(metrics) or [loaded.metric(None, task)]
    columns = {
        key: [replace(group, greater_is_better=loaded.aim(key)) for group in loaded.groups_of(task, key, statistic)]
        for key in keys
    }
    return PaperTable(paper_numbers(columns, statistic=statistic, params=params))
