"""`runs.plot`: charts of the loaded runs, each computed when its method is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.curves import STEP
from qualia_lab.analysis.headline import MOST_TASKS as HEADLINE_TASKS
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs import task_charts
from qualia_lab.runs.history_charts import Look, bands_chart, history_chart
from qualia_lab.runs.message import Message
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.per_task import chart_per_task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.analysis.seed_bands import Middle, Spread
    from qualia_lab.charts.chart import Chart
    from qualia_lab.study.study import Task


class Plots(Namespace):
    """Charts of the loaded runs.

    Every experiment is a task of its own: with several, each gets its own panels, and nothing is compared across them.
    Which runs count, which params are seeds and which direction of a metric is better is decided by the study; see
    `runs.about()`.

    Arguments that several methods share:

    - `metric`: the key of a metric; by default the objective of each experiment.
    - `experiment`: the name or id of one experiment; by default all of them.
    - `statistic`: which value of a metric is used for a run: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

    All methods return a chart, which displays in a notebook, or a message that says why there is none.
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
    ) -> Chart | Message:
        """A metric over its steps: a line per run, or above 12 runs a panel per run, with all other runs in grey.

        If runs repeat configurations, a panel holds the runs of one configuration. Numbers in the chart are computed
        from the recorded values, never from smoothed or downsampled ones.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            by: the x axis: `step`; `relative`, the time since the run's first point; `time`, the time since the first
                point of all runs; or the key of a metric such as `epoch`, whose value at the same step is used.
            smooth: strength of the smoothing, from 0 (none) to under 1; the recorded values stay visible as faint
                lines.
            limit: how many of the best runs by this metric are coloured (by default the leading 7, the same in all
                charts), or how many panels are drawn (by default 24).
            log: whether the y axis is logarithmic; None if all values are positive and span at least two decades.
            columns: panels per row; by default 4, or 3 for panels of configurations. 1 draws all runs in one panel.
            experiment: the name or id of one experiment; None for all.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.

        Example:
            >>> runs.plot.history("train_loss", by="epoch", smooth=0.6, log=True)
        """
        look = Look(by, smooth, limit, log, columns)
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
    ) -> Chart | Message:
        """A metric over its steps, averaged over the runs of each configuration, with their spread and n.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            by: the x axis, as in `history`.
            middle: the line: `mean` or `median`.
            spread: the band: `interval` (pointwise 95 % confidence interval of the mean) or `range` (lowest and highest
                run); None for the interval if a configuration has five runs or more.
            limit: how many of the best configurations by last value are coloured (by default the leading 7, the same
                in all charts); the others are grey.
            log: whether the y axis is logarithmic; None if all values are positive and span at least two decades.
            experiment: the name or id of one experiment; None for all.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.

        Example:
            >>> runs.plot.bands("val_auc", middle="median", spread="range")
        """
        look = Look(by, 0.0, limit, log, None)
        return self._each(
            experiment,
            metric,
            lambda task, key: bands_chart(self._loaded, task, key, look, middle=middle, spread=spread),
        )

    def groups(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> Chart | Message:
        """The configurations of `runs.groups`: each run as a point, with the mean and its 95 % interval; at most 30.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.

        Example:
            >>> runs.plot.groups("val_auc", statistic="best")
        """
        return self._each(
            experiment, metric, lambda task, key: task_charts.group_chart(self._loaded, task, key, statistic)
        )

    def answer(self, *, experiment: str | None = None) -> Chart | Message:
        """The configurations of `runs.answer` with their runs, mean and interval; beside it the curves of the first.

        At most eight configurations and, of several experiments, the three with most runs.

        Args:
            experiment: the name or id of one experiment; None for all.

        Raises:
            UnknownKey: there is no such experiment.
        """
        return chart_per_task(
            self._loaded, experiment, lambda task: task_charts.answer_chart(self._loaded, task), largest=HEADLINE_TASKS
        )

    def comparison(self, metrics: str | Sequence[str], *, experiment: str | None = None) -> Chart | Message:
        """The latest values of some metrics for each run, sorted by the first metric, best first.

        Args:
            metrics: the key of a metric, or several.
            experiment: the name or id of one experiment; None for all.

        Raises:
            UnknownKey: no run has one of the metrics, or there is no such experiment.

        Example:
            >>> runs.plot.comparison(["val_auc", "val_f1"])
        """
        keys = [metrics] if isinstance(metrics, str) else list(metrics)
        self._loaded.check_metrics(keys)
        if not keys:
            return Message("No metric was named.")
        return chart_per_task(
            self._loaded, experiment, lambda task: task_charts.comparison_chart(self._loaded, task, keys)
        )

    def param(self, param: str, metric: str | None = None, *, experiment: str | None = None) -> Chart | Message:
        """The latest value of a metric against the values of a param.

        Args:
            param: the name of a param or tag.
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.

        Raises:
            UnknownKey: no run has the param or metric, or there is no such experiment.

        Example:
            >>> runs.plot.param("lr")
        """
        self._loaded.check_params([param])
        return self._each(experiment, metric, lambda task, key: task_charts.param_chart(self._loaded, task, key, param))

    def parallel(
        self,
        metric: str | None = None,
        params: Sequence[str] | None = None,
        *,
        experiment: str | None = None,
        statistic: str = "last",
    ) -> Chart | Message:
        """Parallel coordinates: each run is a line through the values of its params to the metric.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            params: the params that become axes, in this order; None for all params that vary.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has the metric or a param, or there is no such experiment.

        Example:
            >>> runs.plot.parallel(params=["lr", "depth"])
        """
        self._loaded.check_params(params or ())
        return self._each(
            experiment, metric, lambda task, key: task_charts.parallel_chart(self._loaded, task, key, params, statistic)
        )

    def importance(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> Chart | Message:
        """The numbers of `runs.relations.importance` as bars; grey where they are no larger than by chance.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.
        """
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
    ) -> Chart | Message:
        """A heat map of the mean of a metric over two params, with n in each cell.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            params: the two params; None for the two most important ones.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has the metric or a param, or there is no such experiment.

        Example:
            >>> runs.plot.param_pair("val_auc", ("lr", "depth"))
        """
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
    ) -> Chart | Message:
        """A scatter plot of two metrics, with the Pareto front: the runs that no other run beats in both.

        Args:
            metric_x: the key of a metric; None for the objective of each experiment.
            metric_y: the key of a metric; None for the one with the strongest trade-off against metric_x, among
                objectives and costs.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metrics is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has one of the metrics, or there is no such experiment.

        Example:
            >>> runs.plot.pareto("val_auc", "fit_seconds")
        """
        self._loaded.check_metrics([metric_y] if metric_y is not None else [])
        return self._each(
            experiment,
            metric_x,
            lambda task, key: task_charts.pareto_chart(self._loaded, task, key, metric_y, statistic),
        )

    def best_so_far(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> Chart | Message:
        """The best value of a metric so far, over the runs in the order of their start, and over time.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.
        """
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
    ) -> Chart | Message:
        """The cumulative distribution (ECDF) of a metric: the share of runs up to each value.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            by: the name of a param or tag, to draw a line for each of its values; None for one line.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Raises:
            UnknownKey: no run has the metric or param, or there is no such experiment.

        Example:
            >>> runs.plot.distribution("val_auc", by="optimizer")
        """
        self._loaded.check_params([by] if by is not None else [])
        return self._each(
            experiment, metric, lambda task, key: task_charts.distribution_chart(self._loaded, task, key, by, statistic)
        )

    def timeline(self) -> Chart:
        """When each run ran, coloured by status, with child runs under their parents."""
        from qualia_lab.analysis.timeline import timeline
        from qualia_lab.charts.timeline import timeline_chart

        return timeline_chart(timeline(self._loaded.tables.runs), self._loaded.labels)

    def system_metrics(self, metrics: Sequence[str] | None = None, *, limit: int = 7) -> Chart | Message:
        """The system metrics that MLflow sampled (`system/...`), a panel each, over the time since the first sample.

        Args:
            metrics: keys of system metrics; None for all. At most 24 are drawn.
            limit: how many runs are coloured.

        Raises:
            UnknownKey: no run has one of the metrics.
        """
        from qualia_lab.charts.history_panels import MAX_PANELS
        from qualia_lab.charts.system_metrics import system_metrics_chart

        self._loaded.check_metrics(metrics or ())
        recorded = sorted(key for key in self._loaded.metric_keys if key.startswith(SYSTEM_METRICS))
        keys = recorded if metrics is None else list(metrics)
        if not keys:
            return Message("No run has system metrics.")
        history = self._loaded.history(keys[:MAX_PANELS])
        return system_metrics_chart(history, self._loaded.labels, keys, limit=limit, order=self._order())

    def _order(self) -> list[str]:
        """The runs in the order that decides their colours: of the only experiment, or as they were loaded."""
        tasks = self._loaded.study.tasks
        return self._loaded.colour_order(tasks[0]) if len(tasks) == 1 else []

    def _each(
        self, experiment: str | None, metric: str | None, draw: Callable[[Task, str], Chart | Message]
    ) -> Chart | Message:
        return chart_per_task(self._loaded, experiment, lambda task: draw(task, self._loaded.metric(metric, task)))
