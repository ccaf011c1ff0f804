"""One number per run for a metric: its last, best, lowest, highest or first value, or the value at a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress
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
    """The value of a metric in each run.

    Every run of the tables is in exactly one of `values`, `not_finite` and `without`, in the order of the tables.

    Attributes:
        metric: the key of the metric.
        statistic: which value was taken.
        values: the finite values by run id.
        not_finite: the runs whose value is NaN or infinite.
        without: the runs without a value.
    """

    metric: str
    statistic: str
    values: Mapping[str, float] = field(default_factory=dict)
    not_finite: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def needs_history(statistic: str) -> bool:
    """Whether the statistic is computed from every logged point.

    Args:
        statistic: as in `scores`.

    Raises:
        QualiaLabError: it is no statistic.
    """
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

    Args:
        tables: the tables of the runs.
        metric: the key of the metric.
        statistic: `last`, the last value as MLflow has it (the highest step); `min` or `max` of the finite points;
            `best`, whichever of these is better; `first`, at the lowest step; or `at:100`, at exactly step 100. Of
            several points at one step the latest counts, as in MLflow.
        history: every logged point (schema.METRIC_HISTORY); needed by every statistic except `last`.
        greater_is_better: the direction of the metric; needed for `best`.

    Returns:
        The values, and the runs without one.

    Raises:
        QualiaLabError: the statistic is unknown, or `best` is asked of a metric without a direction.
        ValueError: the history is missing.
    """
    step = _step_of(statistic)
    if statistic == "best" and greater_is_better is None:
        raise QualiaLabError(
            f"Whether more of {one_line(metric, 100)} is better is not known, so no value of it is the best.",
            "Set GREATER_IS_BETTER, or ask for the statistic min or max.",
        )
    if statistic == "last":
        return _latest(tables, metric)
    if history is None:
        raise ValueError(f"the statistic {statistic} needs the history")
    if statistic == "best":
        statistic_of = "max" if greater_is_better else "min"
    else:
        statistic_of = "at" if step is not None else statistic
    known = _from_history(history, tables.run_ids, metric, statistic_of, step)
    values = {run_id: known[run_id] for run_id in tables.run_ids if run_id in known and isfinite(known[run_id])}
    if len(values) == len(tables.run_ids):
        return Scores(metric, statistic, values)
    not_finite = tuple(run_id for run_id in tables.run_ids if run_id in known and run_id not in values)
    without = tuple(run_id for run_id in tables.run_ids if run_id not in known)
    return Scores(metric, statistic, values, not_finite, without)


def statistic_label(statistic: str, metric: str) -> str:
    """The statistic and the metric in words, such as `last val_auc` or `val_auc at step 100`."""
    step = _step_of(statistic)
    names = {"last": "last", "best": "best", "min": "lowest", "max": "highest", "first": "first"}
    return f"{metric} at step {step}" if step is not None else f"{names[statistic]} {metric}"


def _step_of(statistic: str) -> int | None:
    """The step of `at:STEP`; None for a named statistic. Raises QualiaLabError for anything else."""
    if statistic in STATISTICS:
        return None
    if statistic.startswith(_AT):
        try:
            return int(statistic[len(_AT) :])
        except ValueError:
            pass
    raise QualiaLabError(
        f"Unknown statistic {one_line(statistic, 60)}.", f"The statistics are {', '.join(STATISTICS)}, and at:STEP."
    )


def _latest(tables: RunTables, metric: str) -> Scores:
    """The last value of a metric in each run."""
    import pyarrow.compute as pc

    rows = tables.metrics.filter(pc.equal(tables.metrics["key"], metric))
    values = real(rows["value"].fill_null(np.nan).to_numpy().astype(np.float64))
    owners = tables.owners_of(rows)
    latest, is_known = np.full(len(tables.run_ids), np.nan), np.zeros(len(tables.run_ids), np.bool_)
    latest[owners[owners >= 0]] = values[owners >= 0]
    is_known[owners[owners >= 0]] = True

    def run_ids(chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        return tables.run_ids if chosen.all() else tuple(compress(tables.run_ids, chosen.tolist()))

    finite = np.isfinite(latest)
    by_run = dict(zip(run_ids(finite), latest[finite].tolist(), strict=True))
    return Scores(metric, "last", by_run, run_ids(is_known & ~finite), run_ids(~is_known))


def _from_history(
    history: pa.Table, run_ids: tuple[str, ...], metric: str, statistic: str, step: int | None
) -> dict[str, float]:
    """The value of a metric by run id for a statistic that needs the history."""
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
    """The lowest or the highest finite value of each run; NaN for a run that has points but no finite one."""
    is_known, finite = owner >= 0, np.isfinite(values) & (owner >= 0)
    start, pick = (np.inf, np.minimum) if statistic == "min" else (-np.inf, np.maximum)
    extremes = np.full(len(run_ids), start)
    pick.at(extremes, owner[finite], values[finite])
    extremes[~np.isfinite(extremes)] = np.nan
    return {run_ids[index]: float(extremes[index]) for index in np.unique(owner[is_known])}
