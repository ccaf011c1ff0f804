"""Convert a study to plain data, as printed by `qualia study --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualia_lab.study.study import Configuration, Factor, Metric, Objective, Study
    from qualia_lab.tables import RunTables


def study_as_data(study: Study, tables: RunTables) -> dict[str, Any]:
    """Convert a study to JSON types.

    Args:
        study: the study.
        tables: the tables it describes; they give the order of the runs.

    Returns:
        metrics, objective (of the only task, else None), tasks, params, tags, configurations (each with the values of
        the factors that differ, its runs, and how many of its computations count), parents, copies, possible_copies,
        left_out, short_runs, seeds, notes.
    """
    experiments = {one.experiment_id: one.experiment for one in study.tasks}
    place = tables.positions
    return {
        "metrics": [_metric(one) for one in study.metrics],
        "objective": _objective(study.tasks[0].objective) if len(study.tasks) == 1 else None,
        "tasks": [
            {"experiment": one.experiment, "runs": len(one.run_ids), "objective": _objective(one.objective)}
            for one in study.tasks
        ],
        "params": [_factor(one) for one in study.params],
        "tags": [_factor(one) for one in study.tags],
        "configurations": [
            {"experiment": experiments[one.experiment_id], **_configuration(one, study)} for one in study.configurations
        ],
        "parents": sorted(study.parents, key=place.__getitem__),
        "children": {run_id: list(children) for run_id, children in study.parents.items()},
        "copies": dict(study.copies),
        "possible_copies": [list(one) for one in study.possible_copies],
        "continued": dict(study.continued),
        "left_out": dict(study.left_out),
        "short_runs": [{"run": one.run_id, "last_step": one.last_step, "usual": one.usual} for one in study.short_runs],
        "seeds": list(study.seeds),
        "notes": list(study.notes),
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "key": metric.key,
        "role": metric.role,
        "better": metric.better,
        "from": metric.source,
        "split": metric.split,
        "family": metric.family,
        "twin": metric.twin,
    }


def _objective(metric: Objective | None) -> dict[str, Any] | None:
    if metric is None:
        return None
    return {
        "key": metric.key,
        "better": metric.better,
        "from": metric.source,
        "rivals": list(metric.rivals),
    }


def _factor(entry: Factor) -> dict[str, Any]:
    tied = {} if entry.tied_to is None else {"tied_to": entry.tied_to}
    return {
        "key": entry.key,
        "role": entry.role,
        "from": entry.source,
        "values": entry.values,
        "runs": entry.runs,
        **tied,
    }


def _configuration(configuration: Configuration, study: Study) -> dict[str, Any]:
    return {
        "values": dict(configuration.params),
        "runs": list(configuration.run_ids),
        "computations": sum(run_id not in study.left_out for run_id in configuration.run_ids),
    }
