"""Metric histories as charts: lines, small multiples, bands over seeds, and the machine's own."""

from __future__ import annotations

import math
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.analysis.curves import RELATIVE, STEP, TIME
from qualia_lab.analysis.histories import choose_drawn, real
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs.loaded import LoadedRuns
from qualia_lab.study.statuses import FINISHED, left_out, statuses_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.analysis.groups import Configuration
    from qualia_lab.analysis.seed_bands import Middle, Spread
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.history_panels import RunGroup

# Past so many runs lines on one another say little, and each run or configuration has a panel of its own.
RUNS_IN_ONE_PANEL = 12

# Lines of one chart; past so many none can be told from another, and the browser has to hold them all.
RUNS_DRAWN = 1000
# Configurations of which a band is computed; past so many none can be told from another, and all have to be read.
CONFIGURATIONS_DRAWN = 60


class Curves(LoadedRuns):
    """Each reads the histories that it needs, once; numbers are never computed from smoothed or reduced values.

    by: what x is. `step`; `relative`, the time since the run's first point; `time`, since the first of all; or a
    metric such as `epoch`, whose value at the same step is taken.
    log: whether the y axis is logarithmic; None: when all values are positive and span two decades.
    """

    def plot_history(
        self,
        metric: str,
        *,
        by: str = STEP,
        smooth: float = 0.0,
        limit: int | None = None,
        log: bool | None = None,
        columns: int | None = None,
        statuses: Sequence[str] | None = None,
    ) -> Chart:
        """One metric over its steps: a line per run, and past 12 runs a panel per run, the others grey behind.

        Where runs repeat configurations, a panel holds the runs of one.
        smooth: from 0 to under 1, for the eye only; the values as recorded stay in sight, faint.
        limit: so many runs are coloured (20), or so many panels drawn (24), the best by last value.
        columns: panels side by side, by default 4, of configurations 3; 1 puts all runs into one panel.
        statuses: whose runs count in the means of the titles; None takes FINISHED, or all where no run finished.
        """
        from qualia_lab.charts.history_panels import MOST_PANELS, history_panels
        from qualia_lab.charts.metric_history import metric_history

        if not 0 <= smooth < 1:
            raise QualiaLabError(f"{smooth} is no smoothing.", "Give a number from 0, not at all, to under 1.")
        better = self._better(metric)
        if columns == 1 or (columns is None and len(self) <= RUNS_IN_ONE_PANEL):
            limit = 20 if limit is None else limit
            drawn = self._drawn(metric, limit)
            return metric_history(
                self._history_by(metric, by, drawn),
                self._labels,
                metric,
                greater_is_better=better,
                log_y=log,
                limit=limit,
                by=by,
                smooth=smooth,
                drawn=drawn if len(drawn) < len(self) else None,
            )
        limit = MOST_PANELS if limit is None else limit
        groups = self._panel_groups(statuses)
        drawn = self._drawn(metric, limit if groups is None else 0)  # no means of the best runs alone
        return history_panels(
            self._history_by(metric, by, drawn),
            self._labels,
            metric,
            groups,
            greater_is_better=better,
            log_y=log,
            limit=limit,
            columns=columns,
            by=by,
            smooth=smooth,
            drawn=drawn if len(drawn) < len(self) else None,
        )

    def plot_bands(
        self,
        metric: str | None = None,
        *,
        by: str = STEP,
        middle: Middle = "mean",
        spread: Spread | None = None,
        seeds: Sequence[str] | None = None,
        statuses: Sequence[str] | None = None,
        limit: int | None = None,
        log: bool | None = None,
    ) -> Chart:
        """One metric over its steps, averaged over the runs of each configuration, with n and their spread.

        middle: `mean` or `median`.  spread: `interval` (95 %, of the mean, each point on its own) or `range` (lowest
        and highest run); None: the interval where a configuration has five runs or more.
        seeds: the params that only repeat a configuration; None takes seed, fold and the like.
        statuses: whose runs count; None takes FINISHED, or all where no run finished.
        limit: so many configurations are coloured (7), the best by last value; the others are grey.
        """
        from qualia_lab.analysis.curves import align
        from qualia_lab.analysis.seed_bands import seed_bands
        from qualia_lab.charts.seed_bands import MOST_NAMED, seed_bands_chart

        metric = metric or self.primary_metric or ""
        limit = MOST_NAMED if limit is None else limit
        status = statuses_of(self.tables)
        uncounted = left_out(status, statuses)
        everything = [one for each in self._configurations(seeds) if (one := each.without(uncounted))]
        configured = self._best_configurations(everything, metric, limit)
        run_ids = [run_id for one in configured for run_id in one.run_ids]
        # Those of all runs are there already when another chart has shown them.
        read = run_ids if len(configured) < len(everything) else self.tables.run_ids
        alone = by in (STEP, RELATIVE, TIME)
        history = self._histories.stream(read, metric) if alone else self._history_by(metric, by, read)
        curves = align(history, run_ids, metric, by)
        found = seed_bands(curves, [one.run_ids for one in configured], middle=middle, spread=spread)
        return seed_bands_chart(
            found,
            configured,
            self.tables.run_ids,
            greater_is_better=self._better(metric),
            log_y=log,
            limit=limit,
            in_all=len(everything),
            left_out=[(one.lower(), 1) for one in uncounted.values()],
            unfinished=[(status[run_id].lower(), 1) for run_id in run_ids if status[run_id] != FINISHED],
        )

    def plot_system_metrics(self, metrics: Sequence[str] | None = None, *, limit: int = 12) -> Chart:
        """What MLflow sampled of the machine (`system/...`), a panel per metric, over the time since its first value.

        metrics: some of them, by default all, of which 24 are drawn.  limit: so many runs are coloured.
        """
        from qualia_lab.charts.history_panels import MOST_PANELS
        from qualia_lab.charts.system_metrics import system_metrics_chart

        recorded = sorted(pc.unique(self.tables.metrics.column("key")).to_pylist())
        keys = [key for key in recorded if key.startswith(SYSTEM_METRICS)] if metrics is None else list(metrics)
        return system_metrics_chart(self._history(keys[:MOST_PANELS]), self._labels, keys, limit=limit)

    def _history_by(self, metric: str, by: str, run_ids: Sequence[str]) -> pa.Table:
        """The history of a metric, and of the one that is its x. Raises QualiaLabError where no run has that one."""
        if by in (STEP, RELATIVE, TIME):
            return self._history(metric, run_ids)
        if not pc.any(pc.equal(self.tables.metrics["key"], by)).as_py():
            raise QualiaLabError(
                f"No run recorded {one_line(by, 80)}, over which {one_line(metric, 80)} was to be drawn.",
                f"by is {STEP}, {RELATIVE}, {TIME} or the name of a metric.",
            )
        return self._history([metric, by], run_ids)

    def _drawn(self, metric: str, named: int) -> list[str]:
        """The runs of a chart: all, or of very many the best `named` and an even choice of the others."""
        return choose_drawn(
            self.tables.run_ids,
            self._latest(metric),
            named=named,
            most=max(RUNS_DRAWN, named),
            greater_is_better=self._better(metric),
        )

    def _best_configurations(
        self, configured: Sequence[Configuration], metric: str, limit: int
    ) -> Sequence[Configuration]:
        """Of very many configurations the best ones by the mean of the latest values, and an even choice of others."""
        latest = dict(zip(self.tables.run_ids, real(self._latest(metric)).tolist(), strict=True))
        finite = [[latest[run_id] for run_id in one.run_ids if math.isfinite(latest[run_id])] for one in configured]
        means = np.array([fmean(values) if values else math.nan for values in finite])
        places = choose_drawn(
            [str(place) for place in range(len(configured))],
            means,
            named=limit,
            most=max(CONFIGURATIONS_DRAWN, limit),
            greater_is_better=self._better(metric),
        )
        return [configured[int(place)] for place in places]

    def _configurations(self, seeds: Sequence[str] | None) -> list[Configuration]:
        from qualia_lab.analysis.groups import configurations

        return configurations(self.tables, seeds)

    def _panel_groups(self, statuses: Sequence[str] | None) -> list[RunGroup] | None:
        """The configurations as panels, where two thirds as many hold all runs; else None, a panel per run."""
        from qualia_lab.charts.history_panels import RunGroup

        if not self._repeated:
            return None
        uncounted = frozenset(left_out(statuses_of(self.tables), statuses))
        return [RunGroup(name, run_ids, uncounted.intersection(run_ids)) for name, run_ids in self._repeated]

    @cached_property
    def _repeated(self) -> list[tuple[str, tuple[str, ...]]]:
        """Name and runs of the configurations, where they repeat; every metric that is drawn asks for them."""
        from qualia_lab.analysis.groups import short_labels

        configured = self._configurations(None)
        if len(configured) < 2 or len(configured) * 3 > len(self) * 2:
            return []
        names = short_labels(configured)
        return [(names[one.run_ids[0]], one.run_ids) for one in configured]
