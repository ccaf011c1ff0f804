"""Tasks: every experiment is one, unless experiments are pooled."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from qualia_lab.columns import column_of, texts_of
from qualia_lab.study.objective import choose_objective, presence_of
from qualia_lab.study.study import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Metric
    from qualia_lab.tables import RunTables


def number_tasks(tables: RunTables, *, pool: bool) -> tuple[list[tuple[str, str]], npt.NDArray[np.int64]]:
    """The experiments with runs, as (id, name), and for every run the number of its task.

    Args:
        tables: the tables of the runs.
        pool: whether all experiments are one task.
    """
    experiment_of_run = texts_of(tables.runs.column("experiment_id"))
    if pool:
        return ([("", "")] if experiment_of_run else []), np.zeros(len(experiment_of_run), np.int64)
    names = dict(zip(*(tables.experiments.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
    present = dict.fromkeys(experiment_of_run)
    ids = [one for one in names if one in present] + [one for one in present if one not in names]
    number = {one: place for place, one in enumerate(ids)}
    task_of_run = np.fromiter((number[one] for one in experiment_of_run), np.int64, len(experiment_of_run))
    return [(one or "", names.get(one) or one or "") for one in ids], task_of_run


def describe_tasks(
    tables: RunTables,
    metrics: Sequence[Metric],
    settings: StudySettings,
    *,
    experiments: Sequence[tuple[str, str]],
    tasks: npt.NDArray[np.int64],
    competing: npt.NDArray[np.bool_],
) -> tuple[Task, ...]:
    """Describe the tasks, each with its objective, chosen by the metrics of the runs that compete in it.

    Args:
        tables: the tables of the runs.
        metrics: the described metrics.
        settings: settings that override what is inferred.
        experiments: (id, name) of each task.
        tasks: the number of the task of each run.
        competing: whether each run competes.
    """
    run_ids = np.array(tables.run_ids, object)
    owners = tables.owners_of(tables.metrics)
    of_rows = np.where(competing[owners], tasks[owners], -1)
    order = np.argsort(of_rows, kind="stable")
    starts = np.searchsorted(of_rows[order], np.arange(len(experiments) + 1))
    tags: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in tables.experiment_tags.to_pylist():
        tags["" if settings.pool else row["experiment_id"]].append((row["key"], row["value"]))
    described = []
    for number, (experiment_id, name) in enumerate(experiments):
        rows = order[starts[number] : starts[number + 1]]
        table = tables.metrics.take(column_of(rows.astype(np.int64), pa.int64()))
        objective = choose_objective(metrics, settings, presence_of(table, tags[experiment_id]))
        described.append(Task(experiment_id, name, tuple(run_ids[tasks == number]), objective))
    return tuple(described)
