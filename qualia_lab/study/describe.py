"""describe_study: tables, inventory and settings become a Study; nothing is read and nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.study.asked_for import check_keys
from qualia_lab.study.budgets import find_short_runs, last_steps
from qualia_lab.study.choice import chosen_by_metric
from qualia_lab.study.computations import find_copies
from qualia_lab.study.configurations import find_configurations
from qualia_lab.study.factor_names import words
from qualia_lab.study.factors import Competitors, describe_factors
from qualia_lab.study.left_out import names_of, not_competing, not_counted
from qualia_lab.study.metrics import describe_metrics
from qualia_lab.study.notes import direction_notes
from qualia_lab.study.parents import find_families
from qualia_lab.study.setting_columns import param_columns, tag_columns
from qualia_lab.study.settings import StudySettings
from qualia_lab.study.statuses import FINISHED, statuses_of
from qualia_lab.study.study import Study
from qualia_lab.study.tasks import describe_tasks, number_tasks
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    import numpy.typing as npt

    from qualia_lab.inventory import Inventory
    from qualia_lab.tables import RunTables


def describe_study(tables: RunTables, inventory: Inventory, settings: StudySettings | None = None) -> Study:
    """How to look at these runs: what their metrics, params, tags and the runs themselves are.

    Args:
        tables: what was read of the runs.
        inventory: the counts of the same tables.
        settings: what the person or the project says; it overrules what is inferred here.

    Raises:
        UnknownKey: a person names a metric, param or tag that no run has.
        QualiaLabError: a status that there is not.
    """
    settings = settings or StudySettings()
    metrics = describe_metrics(inventory.metrics, settings, tables.experiment_tags, tables.tags)
    objectives = [one.key for one in metrics if one.role == "objective"]
    compared = [one.key for one in metrics if one.role in ("objective", "training")]
    params = param_columns(tables)
    columns = [*params, *tag_columns(tables, [one.key for one in params])]
    names = names_of(tables)

    families = find_families(tables, columns, _having(tables, objectives))
    aside = not_competing(families, names)
    status = statuses_of(tables)
    uncounted = not_counted(tables, status, aside, settings.statuses)
    competing = _mask(tables, aside)
    experiments, task_of = number_tasks(tables, pool=settings.pool)
    tasks = describe_tasks(tables, metrics, settings, experiments=experiments, tasks=task_of, competing=competing)

    counted = competing & _mask(tables, uncounted)
    competitors = Competitors(competing, counted, task_of, compared, _of_optuna(tables))
    factors = describe_factors(columns, competitors, settings)
    places = [np.flatnonzero(competing & (task_of == number)) for number in range(len(tasks))]
    finished = competing & np.array([status[run] == FINISHED for run in tables.run_ids], np.bool_)
    copies = find_copies(tables, columns, factors, compared=compared, chosen=finished & counted, tasks=task_of)
    varying = [one for one, factor in zip(columns, factors, strict=True) if factor.role in ("factor", "tied")]
    led = [(task.objective.key, runs) for task, runs in zip(tasks, places, strict=True) if task.objective]
    steps = {key: last_steps(tables, key) for key in dict.fromkeys(key for key, _ in led)}
    short = [
        one for key, runs in led for one in find_short_runs(tables.run_ids, steps[key], runs[finished[runs]], varying)
    ]
    return Study(
        settings=settings,
        chosen_by=chosen_by_metric(settings.chosen_by, {one.key for one in metrics}),
        metrics=metrics,
        tasks=tasks,
        params=factors[: len(params)],
        tags=factors[len(params) :],
        configurations=find_configurations(tasks, places, columns, factors, tables.run_ids),
        left_out={
            **{run: f"copy of {names[first]}" for run, first in copies.of.items()},
            **uncounted,
            **aside,
        },
        parents=families.parents,
        copies=copies.of,
        possible_copies=copies.possible,
        continued=families.continued,
        short_runs=tuple(short),
        notes=(*check_keys(settings, metrics, factors), *direction_notes(tasks, settings)),
    )


def _mask(tables: RunTables, without: Container[str]) -> npt.NDArray[np.bool_]:
    """Of every run, whether it is none of these."""
    return np.fromiter((run not in without for run in tables.run_ids), np.bool_, len(tables.run_ids))


def _having(tables: RunTables, metrics: Iterable[str]) -> set[str]:
    """The runs that have one of these metrics."""
    return set(pc.unique(rows_with(tables.metrics, "key", metrics).column("run_id")).to_pylist())


def _of_optuna(tables: RunTables) -> npt.NDArray[np.bool_]:
    """Of every run, whether it has the tags that Optuna's callback writes."""
    found = None
    for key in words()["sweeper"]["optuna"]:
        having = set(rows_with(tables.tags, "key", [key]).column("run_id").to_pylist())
        found = having if found is None else found & having
    return ~_mask(tables, found or ())
