"""`runs.relations`: relations between params and metrics, between metrics, and the progress of a search, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import counted
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.message import Message
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.per_task import frame_per_task
from qualia_lab.runs.values import (
    directed,
    importances,
    means_over_configurations,
    no_direction,
    pair_of,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from qualia_lab.analysis.relations import Relation
    from qualia_lab.analysis.trade_offs import TradeOff
    from qualia_lab.study.study import Task


class Relations(Namespace):
    """Relations between params and metrics, within each experiment.

    Arguments that several methods share:

    - `metric`: the key of a metric; by default the objective of each experiment.
    - `experiment`: the name or id of one experiment; by default all, one after the other.
    - `statistic`: which value of a metric is used for a run: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

    All methods return a DataFrame, or a message that says why there is none.
    """

    name = "relations"

    def importance(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Message:
        """How much each param that varies matters for a metric, most important first.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            The index is the param.

            - `forest`: the out-of-bag R² that a random forest loses when the param is shuffled; `±`: its standard
              deviation.
            - `PED-ANOVA`: the share of the param in what distinguishes the best runs (Watanabe et al. 2023), as in
              Optuna.
            - `rank correlation`: Spearman's rho, for numeric params.
            - `n`: runs with the param and a finite metric.
            - `note`: why a number should not be relied on: too few configurations, a forest that explains little, or a
              param that changes only together with another one.

            `attrs` has `out-of-bag R²`, `n`, `configurations` (how many were used), `interaction` (of the two most
            important params), `refusal` (why there is no result) and `best`: by param, the number of the best runs with
            the lowest, the middle and the highest of their values, or only the best value if the param has few.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.

        Example:
            >>> runs.relations.importance("val_auc")[["forest", "note"]]
        """
        return frame_per_task(self._loaded, experiment, lambda task: self._importance(task, metric, statistic))

    def correlations(self, metric: str | None = None, *, experiment: str | None = None) -> pd.DataFrame | Message:
        """The rank correlation of each numeric param that varies with the latest value of a metric.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.

        Returns:
            The index is the param. `n`: configurations; `rank correlation`: Spearman's rho (Spearman 1904) with ties
            ranked by their mean, empty if n is too small; a last column without a name has notes.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.
        """
        return frame_per_task(self._loaded, experiment, lambda task: self._correlations(task, metric))

    def trade_offs(
        self, metrics: Sequence[str], *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Message:
        """Trade-offs between pairs of metrics, the strongest first: better in one tends to be worse in the other.

        Args:
            metrics: keys of metrics.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metrics is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            A row per pair.

            - `metric`, `and`: the keys. `n`: configurations with both.
            - `rank correlation`: Spearman's rho over their means, with signs changed so that higher is better in both;
              empty if n is too small.
            - `best`, `best in the other`: the best configuration in each of the two metrics; a run, if it ran once.
            - a last column without a name: `pull apart` if there is a trade-off, or a note.

            `attrs["left out"]` lists the metrics of which it is not known which direction is better.

        Raises:
            UnknownKey: no run has one of the metrics, or there is no such experiment.

        Example:
            >>> runs.relations.trade_offs(["val_auc", "fit_seconds"])
        """
        self._loaded.check_metrics(metrics)
        return frame_per_task(self._loaded, experiment, lambda task: self._trade_offs(task, metrics, statistic))

    def pareto(
        self, metrics: str | Sequence[str] | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Message:
        """The Pareto front: the runs that no other run beats in all of some metrics, best of the first metric first.

        Args:
            metrics: keys of metrics. A single one, or None for the objective, is combined with the metric with the
                strongest trade-off against it, as in `runs.plot.pareto`.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metrics is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            The index is the run's label, a column per metric. Runs without a finite value of all metrics are left out;
            `attrs["n"]` is the number of runs that were compared. `attrs["left out"]` lists the metrics of which it is
            not known which direction is better.

        Raises:
            UnknownKey: no run has one of the metrics, or there is no such experiment.

        Example:
            >>> runs.relations.pareto(["val_auc", "fit_seconds"])
        """
        if metrics is not None:
            self._loaded.check_metrics([metrics] if isinstance(metrics, str) else metrics)
        return frame_per_task(self._loaded, experiment, lambda task: self._pareto(task, metrics, statistic))

    def best_so_far(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Message:
        """The best value of a metric so far, for the runs in the order of their start.

        Args:
            metric: the key of a metric; None for the objective of each experiment.
            experiment: the name or id of one experiment; None for all.
            statistic: which value of the metric is used: `last`, `best`, `min`, `max`, `first` or `at:STEP`.

        Returns:
            A row per run: `place` (its number by start), `start` (UTC), the value of the metric, `best so far`, and
            `improved`: whether the run was better than all before.

        Raises:
            UnknownKey: no run has the metric, or there is no such experiment.
        """
        return frame_per_task(self._loaded, experiment, lambda task: self._best_so_far(task, metric, statistic))

    def _importance(self, task: Task, metric: str | None, statistic: str) -> pd.DataFrame:
        import pandas as pd

        importance = importances(self._loaded, task, self._loaded.metric(metric, task), statistic)
        names = ["param", "forest", "±", "PED-ANOVA", "rank correlation", "n", "note"]
        rows = [
            (
                *(row.param, row.forest, row.deviation, row.ped_anova, row.rho, row.n),
                "; ".join(
                    filter(None, (row.note, importance.refusal if row.forest is not None or not row.note else ""))
                ),
            )
            for row in importance.params
        ]
        frame = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[1:5], "Float64")).set_index("param")
        joint = importance.interaction
        frame.attrs = {
            "n": importance.n,
            "configurations": importance.configurations,
            "out-of-bag R²": importance.r2,
            "out-of-bag R² in %": None if importance.r2 is None else 100 * importance.r2,
            "refusal": importance.refusal,
            "asked": importance.sampled,
            "best": {
                row.param: [row.best.value]
                if row.best.value
                else [row.best.count, row.best.low, row.best.middle, row.best.high]
                for row in importance.params
                if row.best is not None
            },
            "interaction": joint and [joint.first, joint.second, joint.share],
        }
        return frame

    def _correlations(self, task: Task, metric: str | None) -> pd.DataFrame | Message:
        import pandas as pd

        from qualia_lab.analysis.relations import FEWEST_RUNS, rank_correlations

        correlations = rank_correlations(
            self._loaded.tables, self._loaded.study, self._loaded.metric(metric, task), task, self._loaded.diverged
        )
        rows = [{"param": row.param, "n": row.n, "rank correlation": row.rho, "": row.note} for row in correlations]
        if correlations and all(row.n < FEWEST_RUNS for row in correlations):
            return _too_few("params", correlations)
        frame = pd.DataFrame(rows, columns=["param", "n", "rank correlation", ""])
        return frame.astype({"rank correlation": "Float64"}).set_index("param")

    def _trade_offs(self, task: Task, metrics: Sequence[str], statistic: str) -> pd.DataFrame | Message:
        import pandas as pd

        from qualia_lab.analysis.groups import short_labels
        from qualia_lab.analysis.relations import FEWEST_RUNS
        from qualia_lab.analysis.trade_offs import trade_offs

        values, directions, unknown = directed(self._loaded, task, metrics, statistic)
        pairs = trade_offs(means_over_configurations(self._loaded, task, values), directions)
        if pairs and all(pair.n < FEWEST_RUNS for pair in pairs):
            return _too_few("pairs of metrics", pairs)
        if not pairs:
            return Message("No two of these metrics have a known direction and values in the same configurations.")
        configurations = self._loaded.study.in_task(task)
        named = short_labels(configurations)
        # The best is a mean over the runs of a configuration, of which only one may be called by its own name.
        labels = {
            one.run_ids[0]: named[one.run_ids[0]] if len(one.run_ids) > 1 else self._loaded.labels[one.run_ids[0]]
            for one in configurations
        }
        rows = [
            (
                *(pair.first, pair.second, pair.n, pair.rho),
                *(labels[run_id] for run_id in (pair.best_first, pair.best_second)),
                "pull apart" if pair.opposed else pair.note,
            )
            for pair in pairs
        ]
        frame = pd.DataFrame(rows, columns=["metric", "and", "n", "rank correlation", "best", "best in the other", ""])
        frame = frame.astype({"rank correlation": "Float64"})
        frame.attrs["left out"] = unknown
        return frame

    def _pareto(self, task: Task, metrics: str | Sequence[str] | None, statistic: str) -> pd.DataFrame | Message:
        import pandas as pd

        from qualia_lab.analysis.trade_offs import complete_runs, pareto_set

        if metrics is None or isinstance(metrics, str):
            pair = pair_of(self._loaded, task, self._loaded.metric(metrics, task), None, statistic)
            if isinstance(pair, Message):
                return pair
            metrics = pair
        values, directions, unknown = directed(self._loaded, task, metrics, statistic)
        front = pareto_set(values, directions)
        if values:
            first = next(iter(values))
            front.sort(key=lambda run_id: values[first][run_id], reverse=directions[first])
        frame = pd.DataFrame(
            {key: [of[run_id] for run_id in front] for key, of in values.items()},
            index=pd.Index([self._loaded.labels[run_id] for run_id in front]),
        )
        frame.attrs = {"left out": unknown, "n": len(complete_runs(values))}
        return frame

    def _best_so_far(self, task: Task, metric: str | None, statistic: str) -> pd.DataFrame | Message:
        import pandas as pd

        from qualia_lab.analysis.progress import best_so_far

        key = self._loaded.metric(metric, task)
        better = self._loaded.better(key)
        if better is None:
            return no_direction(key)
        values = values_of(self._loaded, task, key, statistic)
        progress = best_so_far(self._loaded.tables.runs, values, greater_is_better=better)
        frame = pd.DataFrame(
            [(run.place, run.start, run.value, run.best, run.improved) for run in progress],
            columns=["place", "start", key, "best so far", "improved"],
            index=pd.Index([self._loaded.labels[run.run_id] for run in progress]),
        )
        frame["start"] = datetimes(frame["start"])
        return frame


def _too_few(what: str, relations: Sequence[Relation | TradeOff]) -> Message:
    """The message instead of a table in which every row says that there are too few configurations."""
    from qualia_lab.analysis.relations import FEWEST_RUNS

    most = max(relation.n for relation in relations)
    found = f"{counted(most, 'configuration')} with a value"
    return Message(f"No rank correlation of {what}: {found}, and this table takes at least {FEWEST_RUNS}.")
