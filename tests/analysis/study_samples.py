"""Build runs with their study, their groups and their findings, for tests of computations on them."""

from __future__ import annotations

from dataclasses import replace

from qualia_lab.analysis.groups import group_runs
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from tests.planted import run_rules
from tests.planted.store import PlantedStore, Run


def runs_of(rows):
    """One run `run0`, `run1`, ... for each (params, metrics)."""
    return [Run(f"run{place}", params, metrics) for place, (params, metrics) in enumerate(rows)]


def evidence_of(runs, settings=None):
    """The evidence on some runs, or on runs by experiment."""
    return run_rules.evidence_of(PlantedStore(runs if isinstance(runs, dict) else {"e": runs}), settings)


def groups_of(rows, metric="auc", *, better=True):
    """The configurations of runs given as (params, metrics); `better` is None where the direction is unknown."""
    tables = PlantedStore({"e": runs_of(rows)}).tables()
    directions = {} if better is None else {metric: "higher" if better else "lower"}
    keys = {key for params, _ in rows for key in params}
    settings = StudySettings(
        metric=metric, better=directions, factors=tuple(keys - {"seed"}), seeds=("seed",) if "seed" in keys else ()
    )
    groups = group_runs(tables, describe_study(tables, take_inventory(tables), settings), metric)
    return [replace(group, greater_is_better=better) for group in groups]
