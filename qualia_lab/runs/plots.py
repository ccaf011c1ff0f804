"""`runs.plot`: charts of many runs, each drawn when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.curves import STEP
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs import task_charts
from qualia_lab.runs.history_charts import Look, bands_chart, history_chart
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.per_task import MOST_TASKS, chart_per_task
from qualia_lab.runs.said import Said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.analysis.seed_bands import Middle, Spread
    from qualia_lab.charts.chart import Chart
    from qualia_lab.study.study import Task


class Plots(Namespace):
    """Charts. Experiments are different tasks: of several each has panels of its own, and nothing is compared across.

    metric: by default the objective of each experiment.  experiment: only this one, by its name or id.
    statistic: which value of a metric counts: `last`, `best`, `min`, `max`, `first` or `at:STEP`.
    Whose runs count, what repeats a configuration and which way is better says the study: `runs.about()`.
    """

    name = "plot"

    def history(
        self,
        metric: str | None = None,
        *,
        by: str = STEP,
        smooth: float = 0.0,
        limit: int | None = None,
        log: bool | None = None,
        columns: int | None = None,
        experiment: str | None = None,
    ) -> Chart | Said:
        """One metric over its steps: a line per run, and past 12 runs a panel per run, the others grey behind.

        Where runs repeat configurations, a panel holds the runs of one. Numbers are never computed from smoothed or
        reduced values.
        by: what x is. `step`; `relative`, the time since the run's first point; `time`, since the first of all; or a
        metric such as `epoch`, whose value at the same step is taken.
        smooth: from 0 to under 1, for the eye only; the values as recorded stay in sight, faint.
        limit: so many runs are coloured (20, over all experiments), or so many panels drawn (24), the best first.
        log: whether the y axis is logarithmic; None: when all values are positive and span two decades.
        columns: panels side by side, by default 4, of configurations 3; 1 puts all runs into one panel.
        """
        charts = min(len(self._loaded.tasks(experiment)), MOST_TASKS)
        look = Look(by, smooth, limit, log, columns, max(charts, 1))
        return self._each(experiment, metric, lambda task, key: history_chart(self._loaded, task, key, look))

    def bands(
        self,
        metric: str | None = None,
        *,
        by: str = STEP,
        middle: Middle = "mean",
        spread: Spread | None = None,
        limit: int | None = None,
        log: bool | None = None,
        experiment: str | None = None,
    ) -> Chart | Said:
        """One metric over its steps, averaged over the runs of each configuration, with n and their spread.

        middle: `mean` or `median`.  spread: `interval` (95 %, of the mean, each point on its own) or `range` (lowest
        and highest run); None: the interval where a configuration has five runs or more.
        limit: so many configurations are coloured (7), the best by last value; the others are grey.
        by, log: as in `history`.
        """
        look = Look(by, 0.0, limit, log, None)
        return self._each(
            experiment,
            metric,
            lambda task, key: bands_chart(self._loaded, task, key, look, middle=middle, spread=spread),
        )

    def groups(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> Chart | Said:
        """The configurations of `runs.groups`: every run a point, the mean and its 95 % interval; 30 at most."""
        return self._each(
            experiment, metric, lambda task, key: task_charts.group_chart(self._loaded, task, key, statistic)
        )

    def comparison(self, metrics: str | Sequence[str], *, experiment: str | None = None) -> Chart | Said:
        """The latest values of some metrics, run by run, best of the first metric first."""
        keys = [metrics] if isinstance(metrics, str) else list(metrics)
        self._loaded.check_metrics(keys)
        if not keys:
            return Said("No metric is named that could be compared.")
        return chart_per_task(
            self._loaded, experiment, lambda task: task_charts.comparison_chart(self._loaded, task, keys)
        )

    def param(self, param: str, metric: str | None = None, *, experiment: str | None = None) -> Chart | Said:
        """The latest value of a metric against the values of a param."""
        self._loaded.check_params([param])
        return self._each(experiment, metric, lambda task, key: task_charts.param_chart(self._loaded, task, key, param))

    def parallel(
        self,
        metric: str | None = None,
        params: Sequence[str] | None = None,
        *,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """Each run a line through its params to the metric; by default through the params that vary."""
        self._loaded.check_params(params or ())
        return self._each(
            experiment, metric, lambda task, key: task_charts.parallel_chart(self._loaded, task, key, params, statistic)
        )

    def importance(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> Chart | Said:
        """The numbers of `runs.relations.importance` as bars; grey where they are no more than chance."""
        return self._each(
            experiment, metric, lambda task, key: task_charts.importance_chart(self._loaded, task, key, statistic)
        )

    def param_pair(
        self,
        metric: str | None = None,
        params: tuple[str, str] | None = None,
        *,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """The mean of a metric over two params, by default the two that matter most, in cells with their n."""
        self._loaded.check_params(params or ())
        return self._each(
            experiment, metric, lambda task, key: task_charts.pair_chart(self._loaded, task, key, params, statistic)
        )

    def pareto(
        self,
        metric_x: str | None = None,
        metric_y: str | None = None,
        *,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """One metric against another, and the runs that no other beats in both.

        metric_y: by default the one that pulls apart from metric_x the most; one of training data is nobody's aim.
        """
        self._loaded.check_metrics([metric_y] if metric_y is not None else [])
        return self._each(
            experiment,
            metric_x,
            lambda task, key: task_charts.pareto_chart(self._loaded, task, key, metric_y, statistic),
        )

    def best_so_far(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> Chart | Said:
        """The best value so far, over the runs by their start and over time."""
        return self._each(
            experiment, metric, lambda task, key: task_charts.progress_chart(self._loaded, task, key, statistic)
        )

    def distribution(
        self,
        metric: str | None = None,
        by: str | None = None,
        *,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """The share of runs up to each value of a metric (ECDF); by: a param, a line for each of its values."""
        self._loaded.check_params([by] if by is not None else [])
        return self._each(
            experiment, metric, lambda task, key: task_charts.distribution_chart(self._loaded, task, key, by, statistic)
        )

    def timeline(self) -> Chart:
        """When the runs ran, children under their parents, by status."""
        from qualia_lab.analysis.timeline import timeline
        from qualia_lab.charts.timeline import timeline_chart

        return timeline_chart(timeline(self._loaded.tables.runs), self._loaded.labels)

    def system_metrics(self, metrics: Sequence[str] | None = None, *, limit: int = 12) -> Chart | Said:
        """What MLflow sampled of the machine (`system/...`), a panel per metric, over the time since its first value.

        metrics: some of them, by default all, of which 24 are drawn.  limit: so many runs are coloured.
        """
        from qualia_lab.charts.history_panels import MAX_PANELS
        from qualia_lab.charts.system_metrics import system_metrics_chart

        self._loaded.check_metrics(metrics or ())
        recorded = sorted(key for key in self._loaded.metric_keys if key.startswith(SYSTEM_METRICS))
        keys = recorded if metrics is None else list(metrics)
        if not keys:
            return Said("No run has system metrics.")
        history = self._loaded.history(keys[:MAX_PANELS])
        return system_metrics_chart(history, self._loaded.labels, keys, limit=limit)

    def _each(
        self, experiment: str | None, metric: str | None, draw: Callable[[Task, str], Chart | Said]
    ) -> Chart | Said:
        return chart_per_task(self._loaded, experiment, lambda task: draw(task, self._loaded.metric(metric, task)))
