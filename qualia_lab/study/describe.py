"""`describe_study`: compute a Study from tables, inventory and settings, without side effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.collection import collection_paused
from qualia_lab.columns import filled, numbers_of
from qualia_lab.study.budgets import find_short_runs, last_steps
from qualia_lab.study.choice import chosen_by_metric
from qualia_lab.study.computations import find_copies
from qualia_lab.study.configurations import find_configurations
from qualia_lab.study.factor_names import words
from qualia_lab.study.factors import Competitors, describe_factors
from qualia_lab.study.left_out import names_of, not_competing, not_counted
from qualia_lab.study.metric_names import stored_key
from qualia_lab.study.metrics import describe_metrics
from qualia_lab.study.notes import direction_notes
from qualia_lab.study.parents import find_families
from qualia_lab.study.requested_keys import check_keys
from qualia_lab.study.setting_columns import param_columns, tag_columns
from qualia_lab.study.settings import StudySettings
from qualia_lab.study.statuses import FINISHED, statuses_of
from qualia_lab.study.study import Study
from qualia_lab.study.tasks import describe_tasks, number_tasks
from qualia_lab.study.units import OTHER_UNITS, in_other_units
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import numpy.typing as npt

    from qualia_lab.inventory import Inventory
    from qualia_lab.tables import RunTables


@collection_paused()
def describe_study(tables: RunTables, inventory: Inventory, settings: StudySettings | None = None) -> Study:
    """Describe runs: the roles of their metrics, params and tags, their configurations, and which runs may be compared.

    Args:
        tables: the tables of the runs.
        inventory: the counts of the same tables.
        settings: settings of the user and the project, which override what is inferred.

    Raises:
        UnknownKey: a user names a metric, param or tag that no run has.
        QualiaLabError: a status that does not exist.

    Example:
        >>> study = describe_study(tables, take_inventory(tables))
        >>> study.objective.key
    """
    settings = settings or StudySettings()
    metrics = describe_metrics(inventory.metrics, settings, tables.experiment_tags, tables.tags)
    objectives = [one.key for one in metrics if one.role == "objective"]
    compared = [one.key for one in metrics if one.role in ("objective", "training")]
    params = param_columns(tables)
    columns = [*params, *tag_columns(tables)]
    names = names_of(tables)

    families = find_families(tables, columns, _runs_with(tables, objectives))
    not_rivals = not_competing(families, names)
    status = statuses_of(tables)
    uncounted = not_counted(tables, status, not_rivals, settings.statuses)
    competing = _mask(tables, not_rivals)
    experiments, task_of = number_tasks(tables, pool=settings.pool)
    tasks = describe_tasks(tables, metrics, settings, experiments=experiments, tasks=task_of, competing=competing)

    counted = competing & _mask(tables, uncounted)
    competitors = Competitors(competing, counted, task_of, compared, _of_optuna(tables))
    factors = describe_factors(columns, competitors, settings)
    places = [np.flatnonzero(competing & (task_of == number)) for number in range(len(tasks))]
    finished = competing & np.array([status[run] == FINISHED for run in tables.run_ids], np.bool_)
    copies = find_copies(tables, columns, factors, compared=compared, chosen=finished & counted, tasks=task_of)
    varying = [one for one, factor in zip(columns, factors, strict=True) if factor.role in ("factor", "tied")]
    leading = [(task.objective.key, runs) for task, runs in zip(tasks, places, strict=True) if task.objective]
    steps = {key: last_steps(tables, key) for key in dict.fromkeys(key for key, _ in leading)}
    short = [
        one
        for key, runs in leading
        for one in find_short_runs(tables.run_ids, steps[key], runs[(finished & counted)[runs]], varying)
    ]
    others = {
        tables.run_ids[place]: OTHER_UNITS
        for task, runs in zip(tasks, places, strict=True)
        if task.objective and settings.findings.get("mixed_units") is not False
        for place in _of_other_units(tables, task.objective.key, runs[counted[runs]])
    }
    return Study(
        settings=settings,
        chosen_by=chosen_by_metric(
            settings.chosen_by, {key for one in metrics for key in (one.key, stored_key(one.key))}
        ),
        metrics=metrics,
        tasks=tasks,
        params=factors[: len(params)],
        tags=factors[len(params) :],
        configurations=find_configurations(tasks, places, columns, factors, tables.run_ids),
        left_out={
            **others,
            **{run: f"copy of {names[first]}" for run, first in copies.of.items()},
            **uncounted,
            **not_rivals,
        },
        parents=families.parents,
        copies=copies.of,
        possible_copies=copies.possible,
        continued=families.continued,
        short_runs=tuple(short),
        notes=(*check_keys(settings, metrics, factors), *direction_notes(tasks, settings)),
    )


def _mask(tables: RunTables, without: Collection[str]) -> npt.NDArray[np.bool_]:
    """Whether each run is not among these."""
    if not without:
        return np.ones(len(tables.run_ids), np.bool_)
    return np.array([run not in without for run in tables.run_ids], np.bool_)


def _of_other_units(tables: RunTables, key: str, places: npt.NDArray[np.int64]) -> list[int]:
    """Which of these runs have this metric in another unit than most."""
    rows = rows_with(tables.metrics, "key", [key])
    values = np.full(tables.runs.num_rows, np.nan)
    values[tables.owners_of(rows)] = numbers_of(filled(rows.column("value"), np.nan))
    return list(places[in_other_units(key, values[places])].tolist())


def _runs_with(tables: RunTables, metrics: Iterable[str]) -> set[str]:
    """The ids of the runs that have at least one of these metrics."""
    return set(pc.unique(rows_with(tables.metrics, "key", metrics).column("run_id")).to_pylist())


def _of_optuna(tables: RunTables) -> npt.NDArray[np.bool_]:
    """Whether each run has the tags that Optuna's callback writes."""
    run_ids = None
    for key in words()["sweeper"]["optuna"]:
        tagged = set(rows_with(tables.tags, "key", [key]).column("run_id").to_pylist())
        run_ids = tagged if run_ids is None else run_ids & tagged
    return ~_mask(tables, run_ids or ())
