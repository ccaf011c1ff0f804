"""A study as plain data: what `qualia study --json` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualia_lab.study.study import Configuration, Factor, Metric, Objective, Study
    from qualia_lab.tables import RunTables


def study_as_data(study: Study, tables: RunTables) -> dict[str, Any]:
    """The study as JSON has it.

    Args:
        study: of the runs of the tables.
        tables: what was read; they hold the order of the runs.

    Returns:
        metrics, objective (of the only task, else None), tasks, params, tags, configurations (each with the values of
        the factors that differ, its runs, and how many computations of them count), parents, copies, possible_copies,
        left_out, short_runs, seeds, notes.
    """
    experiments = {one.experiment_id: one.experiment for one in study.tasks}
    place = {run_id: at for at, run_id in enumerate(tables.run_ids)}
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


def _metric(one: Metric) -> dict[str, Any]:
    return {
        "key": one.key,
        "role": one.role,
        "better": one.better,
        "from": one.source,
        "split": one.split,
        "family": one.family,
        "twin": one.twin,
    }


def _objective(one: Objective | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"key": one.key, "better": one.better, "from": one.source, "rivals": list(one.rivals)}


def _factor(one: Factor) -> dict[str, Any]:
    tied = {} if one.tied_to is None else {"tied_to": one.tied_to}
    return {"key": one.key, "role": one.role, "from": one.source, "values": one.values, "runs": one.runs, **tied}


def _configuration(one: Configuration, study: Study) -> dict[str, Any]:
    return {
        "values": dict(one.params),
        "runs": list(one.run_ids),
        "computations": sum(run_id not in study.left_out for run_id in one.run_ids),
    }
