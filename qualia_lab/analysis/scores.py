"""One number per run for a metric: its last, best, lowest, highest or first value, or the one at a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.histories import real
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.tables import RunTables

STATISTICS = ("last", "best", "min", "max", "first")
_AT = "at:"


@dataclass(frozen=True)
class Scores:
    """A metric's value per run.

    values: by run id, finite ones only.  not_finite: runs whose value is NaN or infinite.  without: runs that have
    none. Every run of the tables is in exactly one of the three, in the order of the tables.
    """

    metric: str
    statistic: str
    values: Mapping[str, float] = field(default_factory=dict)
    not_finite: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def needs_history(statistic: str) -> bool:
    """Whether the statistic is computed from every logged point. Raises QualiaLabError when it is no statistic."""
    _step_of(statistic)
    return statistic != "last"


def scores(
    tables: RunTables,
    metric: str,
    statistic: str = "last",
    history: pa.Table | None = None,
    greater_is_better: bool | None = None,
) -> Scores:
    """The value of a metric in each run.

    statistic: `last`, the latest value as MLflow has it (the highest step); `min` and `max` of the finite points;
    `best`, whichever of the two is better; `first`, at the lowest step; `at:100`, at step 100 exactly. Of several
    points at one step the latest counts, as in MLflow.
    history: every logged point (schema.METRIC_HISTORY); only `last` does without.
    Raises QualiaLabError for another word, or for `best` where the metric has no direction.
    """
    step = _step_of(statistic)
    if statistic == "best" and greater_is_better is None:
        raise QualiaLabError(
            f"Whether more of {one_line(metric, 100)} is better is not known, so no value of it is the best.",
            "Set GREATER_IS_BETTER, or ask for the statistic min or max.",
        )
    if statistic == "last":
        found = _latest(tables, metric)
    elif history is None:
        raise ValueError(f"the statistic {statistic} needs the history")
    else:
        if statistic == "best":
            statistic_of = "max" if greater_is_better else "min"
        else:
            statistic_of = "at" if step is not None else statistic
        found = _from_history(history, tables.run_ids, metric, statistic_of, step)
    values = {run_id: found[run_id] for run_id in tables.run_ids if run_id in found and isfinite(found[run_id])}
    if len(values) == len(tables.run_ids):
        return Scores(metric, statistic, values)
    odd = tuple(run_id for run_id in tables.run_ids if run_id in found and run_id not in values)
    without = tuple(run_id for run_id in tables.run_ids if run_id not in found)
    return Scores(metric, statistic, values, odd, without)


def said(statistic: str, metric: str) -> str:
    """`last val_auc`, `val_auc at step 100`: what such a number is, in words."""
    step = _step_of(statistic)
    words = {"last": "last", "best": "best", "min": "lowest", "max": "highest", "first": "first"}
    return f"{metric} at step {step}" if step is not None else f"{words[statistic]} {metric}"


def _step_of(statistic: str) -> int | None:
    """The step of `at:STEP`, None for a word. Raises QualiaLabError for anything else."""
    if statistic in STATISTICS:
        return None
    if statistic.startswith(_AT):
        try:
            return int(statistic[len(_AT) :])
        except ValueError:
            pass
    raise QualiaLabError(
        f"There is no statistic {one_line(statistic, 60)}.", f"There are: {', '.join(STATISTICS)}, and at:STEP."
    )


def _latest(tables: RunTables, metric: str) -> dict[str, float]:
    import pyarrow.compute as pc

    rows = tables.metrics.filter(pc.equal(tables.metrics["key"], metric))
    values = real(rows["value"].fill_null(np.nan).to_numpy().astype(np.float64))
    return dict(zip(rows["run_id"].to_pylist(), values.tolist(), strict=True))


def _from_history(
    history: pa.Table, run_ids: tuple[str, ...], metric: str, statistic: str, step: int | None
) -> dict[str, float]:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = history.filter(pc.equal(history["key"], metric))
    if step is not None:
        rows = rows.filter(pc.equal(rows["step"], step))
    owner = pc.index_in(rows["run_id"], value_set=pa.array(run_ids, pa.string())).fill_null(-1).to_numpy()
    values = real(rows["value"].fill_null(np.nan).to_numpy().astype(np.float64))
    if statistic in ("min", "max"):
        return _extremes(owner, values, run_ids, statistic)
    steps, times = (rows[name].fill_null(0).to_numpy().astype(np.float64) for name in ("step", "timestamp"))
    if statistic == "first":
        steps = -steps
    order = np.lexsort((values, times, steps, owner))  # the last row of each run is the one that counts
    owner, values = owner[order], values[order]
    last = np.flatnonzero(np.append(owner[1:] != owner[:-1], [True] * bool(len(owner))))
    return {run_ids[owner[row]]: float(values[row]) for row in last if owner[row] >= 0}


def _extremes(
    owner: npt.NDArray[np.int64], values: Numbers, run_ids: tuple[str, ...], statistic: str
) -> dict[str, float]:
    """The lowest or highest finite value of each run; NaN for a run that has points and no finite one."""
    there, finite = owner >= 0, np.isfinite(values) & (owner >= 0)
    start, pick = (np.inf, np.minimum) if statistic == "min" else (-np.inf, np.maximum)
    extremes = np.full(len(run_ids), start)
    pick.at(extremes, owner[finite], values[finite])
    extremes[~np.isfinite(extremes)] = np.nan
    return {run_ids[index]: float(extremes[index]) for index in np.unique(owner[there])}
