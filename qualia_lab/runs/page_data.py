"""The runs as data for the exported page: what its filter, its choice of runs and its downloads need."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.naming import whole_names
from qualia_lab.columns import whole
from qualia_lab.runs.values import all_values
from qualia_lab.study.left_out import names_of
from qualia_lab.tables import rows_with
from qualia_lab.times import possible_runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.study.study import Task

MAX_RUNS = 2_000
_MAX_VALUES = 200_000  # params, metrics and tags of all runs
_MAX_TEXT = 1_000  # characters of the value of a param or tag
_LEADING = 20  # runs or configurations of a task that a page shows on paper, where it does not show all
_SYSTEM = "mlflow."  # tags that MLflow sets, and not the user


def page_data(loaded: Loaded, *, max_runs: int = MAX_RUNS, max_values: int = _MAX_VALUES) -> dict[str, Any]:
    """Return the runs and configurations as JSON; NaN and infinities are texts, because JSON does not have them.

    Args:
        loaded: the runs.
        max_runs: of more runs, the best by the objective of their experiment are returned, in their order.
        max_values: of more params, metrics and tags than this in all, fewer runs are returned.

    Returns:
        `runs`, `configurations`, `objectives` (keys of metrics), `leading` (the ids of the leading runs of each task),
        and `of`: how many runs there are in all.
    """
    tables = loaded.tables
    values = tables.params.num_rows + tables.metrics.num_rows + tables.tags.num_rows
    limit = min(max_runs, max(1, int(max_values * len(loaded) / max(values, 1))))
    run_ids = tables.run_ids if len(loaded) <= limit else _best(loaded, limit)
    return {
        "runs": _runs(loaded, run_ids),
        "configurations": _configurations(loaded, frozenset(run_ids)),
        "objectives": list(dict.fromkeys(task.objective.key for task in loaded.study.tasks if task.objective)),
        "leading": [
            run_id
            for task in loaded.study.tasks
            for entry in loaded.colour_order(task)[:_LEADING]
            for run_id in entry.split()
        ],
        "of": len(loaded),
    }


def _best(loaded: Loaded, limit: int) -> list[str]:
    """Return the runs with the best ranks in their experiments, in the order of the runs."""
    rank: dict[str, int] = {}
    for task in loaded.study.tasks:
        rank |= {run_id: place for place, run_id in enumerate(_ranked(loaded, task))}
    best = frozenset(sorted(loaded.tables.run_ids, key=lambda run_id: rank.get(run_id, len(loaded)))[:limit])
    return [run_id for run_id in loaded.tables.run_ids if run_id in best]


def _ranked(loaded: Loaded, task: Task) -> list[str]:
    """Return the runs of a task that have its objective, best first; if no direction is known, highest first."""
    if task.objective is None:
        return []
    values = all_values(loaded, task.objective.key)
    highest_first = loaded.better(task.objective.key) is not False
    having = [run_id for run_id in task.run_ids if run_id in values]
    return sorted(having, key=lambda run_id: values[run_id], reverse=highest_first)


def _runs(loaded: Loaded, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    tables = loaded.tables
    params = _by_run(rows_with(tables.params, "run_id", run_ids), _text)
    metrics = _by_run(rows_with(tables.metrics, "run_id", run_ids), _number)
    tags = _by_run(rows_with(tables.tags, "run_id", run_ids), _text)
    rows = rows_with(possible_runs(tables.runs), "run_id", run_ids).to_pylist()
    names = {row["experiment_id"]: row["name"] or "" for row in tables.experiments.to_pylist()}
    runs = []
    for row in rows:
        run_id, start, end = row["run_id"], row["start_time"], row["end_time"]
        run = {
            "id": run_id,
            "label": loaded.labels[run_id],
            "name": row["run_name"],
            "experiment": names.get(row["experiment_id"]),
            "experiment_id": row["experiment_id"],
            "status": row["status"],
            "user": row["user_id"],
            "parent": row["parent_run_id"],
            "start": start,
            "end": end,
            "seconds": None if start is None or end is None else (end - start) / 1000,
            "params": params.get(run_id, {}),
            "metrics": metrics.get(run_id, {}),
            "tags": {key: text for key, text in tags.get(run_id, {}).items() if not key.startswith(_SYSTEM)},
        }
        runs.append({key: value for key, value in run.items() if value is not None})
    return runs


def _configurations(loaded: Loaded, run_ids: frozenset[str]) -> list[dict[str, Any]]:
    """Return the configurations of these runs, named as in tables and charts."""
    configurations = []
    run_names = names_of(loaded.tables)
    for task in loaded.study.tasks:
        own = loaded.study.in_task(task)
        names = whole_names(own, run_names)
        configurations += [
            {
                "name": names[one.run_ids[0]],
                "runs": [run_id for run_id in one.run_ids if run_id in run_ids],
                "params": {key: value or "" for key, value in one.params},
            }
            for one in own
        ]
    return [one for one in configurations if one["runs"]]


def _by_run(tidy: pa.Table, convert: Any) -> Mapping[str, dict[str, Any]]:
    """Return {run id: {key: value}} of a tidy table."""
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    columns = (whole(tidy.column(name)).to_pylist() for name in ("run_id", "key", "value"))
    for run_id, key, value in zip(*columns, strict=True):
        if value is not None:
            found[run_id][key] = convert(value)
    return found


def _text(value: str) -> str:
    if len(value) <= _MAX_TEXT:
        return value
    return f"{value[:_MAX_TEXT]} … (showing {_MAX_TEXT:,} of {len(value):,} characters)"


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
