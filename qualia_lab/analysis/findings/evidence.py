"""What rules look at: the tables, a few numbers per metric history, and what the metrics mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.analysis.by_run import ByRun
from qualia_lab.analysis.direction import rank_metrics
from qualia_lab.analysis.groups import is_seed_like
from qualia_lab.columns import texts_of
from qualia_lab.inventory import SYSTEM_METRICS, Inventory, take_inventory
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.findings.pairs import Curves
    from qualia_lab.analysis.findings.series import SeriesFacts
    from qualia_lab.analysis.importance import Importances
    from qualia_lab.tables import RunTables


_AT_ONCE = 10_000  # histories that are Python objects at a time


@dataclass(frozen=True, slots=True)
class History:
    """The facts of one metric history, for its metric's direction; see SeriesFacts for what each is."""

    run_id: str
    points: int
    nan: int
    infinite: int
    odd_step: int
    first: float
    last: float
    last_step: int
    best: float
    best_step: int
    early_best: float
    end_step: int
    last_time: int
    bad_points: int
    bad_step: int
    noise: float
    neumann: float
    spikes: int
    spike_step: int
    spike_value: float
    spike_before: float
    spike_size: float

    @property
    def gain(self) -> float:
        """How far the best value is from the first."""
        return abs(self.best - self.first)

    @property
    def lost(self) -> float:
        """How far the last value is from the best."""
        return abs(self.last - self.best)

    @property
    def chance(self) -> float:
        """How likely noise around a constant looks as smooth as this, whatever its distribution; 1 where unknown.

        By von Neumann's ratio, with the beta distribution that has its mean and variance in noise.
        """
        from scipy.special import betainc

        n = self.points - self.nan - self.infinite
        if n < 4 or not self.neumann >= 0:
            return 1.0
        shape = ((n * n - 1) / (n - 2) - 1) / 2
        return float(betainc(shape, shape, min(self.neumann / 4, 1.0)))


@dataclass(frozen=True)
class Evidence:
    """All that rules may know of some runs.

    labels: what each run is called.  greater_is_better: of every metric of the model, None where unknown.
    series: of those metrics, numbered as in `keys`.  curves: of runs in which training and held-out metrics part.
    all_curves: whether of all such runs.  importances: gives those of the primary metric; None to compute them here.
    seeds, statuses: what repeats a configuration, and whose runs count in its mean; None for the defaults.
    now: the moment of asking, in ms; only the rule of unfinished runs looks at it.
    """

    tables: RunTables
    labels: Mapping[str, str]
    primary_metric: str | None
    greater_is_better: Mapping[str, bool | None]
    series: SeriesFacts
    now: int
    curves: tuple[Curves, ...] = ()
    all_curves: bool = True
    importances: Callable[[], Importances] | None = None
    seeds: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The metrics of the model, sorted."""
        return model_keys(self.tables)

    @cached_property
    def inventory(self) -> Inventory:
        """Names and counts."""
        return take_inventory(self.tables)

    @cached_property
    def run_ids(self) -> tuple[str, ...]:
        """The runs, in order."""
        return self.tables.run_ids

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of every run, by its id."""
        return {run_id: place for place, run_id in enumerate(self.run_ids)}

    @cached_property
    def status(self) -> dict[str, str]:
        """FINISHED, FAILED, ... by run id."""
        said = texts_of(self.tables.runs.column("status"))
        return {run_id: status or "UNKNOWN" for run_id, status in zip(self.run_ids, said, strict=True)}

    @cached_property
    def parents(self) -> frozenset[str]:
        """The runs that have runs nested in them."""
        return frozenset(pc.unique(self.tables.runs.column("parent_run_id")).to_pylist()) - {None}

    @cached_property
    def params(self) -> ByRun:
        """The params of every run as texts, by key; also of one that has none."""
        return ByRun(self.places, self.tables.params)

    @cached_property
    def metrics(self) -> ByRun:
        """The latest value of every metric of the model, by run; NaN where it is none."""
        return ByRun(self.places, rows_with(self.tables.metrics, "key", self.keys))

    @cached_property
    def lead_curve(self) -> str | None:
        """The metric whose course is judged: the primary one, else the next with steps and a known direction."""
        ranked = rank_metrics(self.inventory, self.primary_metric)
        return next(
            (metric.key for metric in ranked if metric.stepped and self.greater_is_better[metric.key] is not None),
            None,
        )

    def name(self, run_id: str) -> str:
        """What the run is called."""
        return self.labels[run_id]

    def is_seed(self, param: str) -> bool:
        """Whether a param only repeats a configuration."""
        return is_seed_like(param) if self.seeds is None else param in self.seeds

    def histories(self, key: str, among: npt.NDArray[np.bool_] | None = None) -> Iterator[History]:
        """The facts of one metric, in the order of the runs; the best value is the lowest where no way is known.

        among: of every row of `series` whether it is wanted; None: all are.
        """
        of_key = self.series.key == self.keys.index(key)
        rows = np.flatnonzero(of_key if among is None else of_key & among)
        rows = rows[np.argsort(self.series.run[rows], kind="stable")]
        for begin in range(0, len(rows), _AT_ONCE):
            yield from self._histories(rows[begin : begin + _AT_ONCE], "high" if self.greater_is_better[key] else "low")

    def _histories(self, rows: npt.NDArray[np.int64], side: str) -> Iterator[History]:
        """The facts of these rows of `series`.  side: on which the best value is."""
        facts = self.series
        columns = {
            "run_id": [self.run_ids[run] for run in facts.run[rows].tolist()],
            "best": getattr(facts, side)[rows].tolist(),
            "best_step": getattr(facts, f"{side}_step")[rows].tolist(),
            "early_best": getattr(facts, f"early_{side}")[rows].tolist(),
        }
        for name in History.__dataclass_fields__:
            if name not in columns:
                columns[name] = getattr(facts, name)[rows].tolist()
        for values in zip(*(columns[name] for name in History.__dataclass_fields__), strict=True):
            yield History(*values)


def model_keys(tables: RunTables) -> tuple[str, ...]:
    """The metrics of the model, sorted; the machine's own are none."""
    return tuple(
        sorted(key for key in pc.unique(tables.metrics.column("key")).to_pylist() if not key.startswith(SYSTEM_METRICS))
    )
