"""Params against metrics, several metrics at once, and how the search went: DataFrames and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.scores import needs_history, scores
from qualia_lab.escaping import one_line
from qualia_lab.runs.loaded import LoadedRuns, Said
from qualia_lab.study.statuses import WITHOUT, counted_statuses, left_out, statuses_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.importance import Importances
    from qualia_lab.charts.chart import Chart

    Seeds = Collection[str] | None


class Relations(LoadedRuns):
    """What goes with what. In every method the metric is by default the primary one.

    statistic: which value of the metric counts: `last`, `best`, `min`, `max`, `first` or `at:STEP`.
    seeds: the params that only repeat a configuration, by default seed, random_state, fold and the like.
    """

    def importance(
        self,
        metric: str | None = None,
        *,
        seeds: Seeds = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> pd.DataFrame:
        """How much each param that varies matters for a metric, most important first.

        `forest`: the out-of-bag R² that a random forest loses when the param is shuffled, and its deviation `±`.
        statuses: whose runs count; None takes FINISHED, or all where no run finished.
        `PED-ANOVA`: the param's share in what sets the best runs apart (Watanabe et al. 2023), as Optuna shows it.
        `rank correlation`: Spearman's rho, for numbers.  `n`: runs with the param and a finite metric.
        `note` says when a number is not to be read: too few configurations, a forest that explains little, a param
        that changes only together with another. `attrs` has R², n and the interaction of the top two.
        """
        import pandas as pd

        found = self._importances(metric, seeds, statistic, statuses)
        names = ["param", "forest", "±", "PED-ANOVA", "rank correlation", "n", "note"]
        rows = [
            (
                *(row.param, row.forest, row.deviation, row.ped_anova, row.rho, row.n),
                "; ".join(filter(None, (row.note, found.refusal if row.forest is not None or not row.note else ""))),
            )
            for row in found.params
        ]
        frame = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[1:5], "Float64")).set_index("param")
        joint = found.interaction
        frame.attrs = {
            "n": found.n,
            "configurations": found.configurations,
            "out-of-bag R²": found.r2,
            "refusal": found.refusal,
            "interaction": joint and [joint.first, joint.second, joint.share],
        }
        return frame

    def plot_importance(
        self,
        metric: str | None = None,
        *,
        seeds: Seeds = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """The numbers of `importance` as bars; grey where they are no more than chance."""
        from qualia_lab.charts.importance import importance_bars

        found = self._importances(metric, seeds, statistic, statuses)
        if all((row.forest, row.ped_anova, row.rho) == (None, None, None) for row in found.params):
            return Said(found.refusal[0].upper() + found.refusal[1:] + ".")
        _, why = self._counted(self._metric(metric), statistic, statuses)
        return importance_bars(found, self._metric(metric), why)

    def plot_param_pair(
        self,
        metric: str | None = None,
        params: tuple[str, str] | None = None,
        *,
        seeds: Seeds = None,
        statuses: Sequence[str] | None = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """The mean of a metric over two params, by default the two that matter most, in cells with their n."""
        from qualia_lab.analysis.param_pairs import mean_in_cells
        from qualia_lab.charts.param_heat import param_heat

        key = self._metric(metric)
        idle: list[str] = []
        if params is None:
            found = self._importances(metric, seeds, statistic, statuses)
            if found.refusal:
                return Said(f"No two params can be said to matter most: {found.refusal}.")
            apart = [row for row in found.params if "together with" not in row.note and "left out" not in row.note]
            if len(apart) < 2:
                return Said(f"No two params vary apart from each other among the runs with a finite {key}.")
            params = (apart[0].param, apart[1].param)
            idle = [row.param for row in apart[:2] if "forest: no more than chance" in row.note]
        values, why = self._counted(key, statistic, statuses)
        cells = mean_in_cells(self.tables.params, values, params)
        if cells is None:
            return Said(
                f"{params[0]} and {params[1]} do not both vary among the {len(values)} runs with a finite {key}."
            )
        return param_heat(cells, params, key, greater_is_better=self._better(key), left_out=why, idle=idle)

    def plot_parallel(
        self,
        metric: str | None = None,
        params: Sequence[str] | None = None,
        *,
        seeds: Seeds = None,
        statistic: str = "last",
    ) -> Chart | Said:
        """Each run a line through its params to the metric; by default through the params that vary."""
        from qualia_lab.analysis.param_columns import varying_columns
        from qualia_lab.charts.parallel import parallel_axes

        key = self._metric(metric)
        values = self._values(key, statistic)
        columns, _ = varying_columns(self.tables.params, list(values), seeds)
        if params is not None:
            columns = sorted(
                (column for column in columns if column.param in params), key=lambda column: params.index(column.param)
            )
        if not columns:
            return Said(f"No param varies among the {len(values)} runs with a finite {key}.")
        return parallel_axes(columns, values, self._labels, key, greater_is_better=self._better(key))

    def trade_offs(self, metrics: Sequence[str], *, statistic: str = "last") -> pd.DataFrame:
        """Pairs of metrics, those that pull apart first: what is better in one tends to be worse in the other.

        `rank correlation` is Spearman's, each metric turned so that more is better; empty under ten runs. Metrics of
        which it is not known whether more is better are left out: `frame.attrs["left out"]`.
        """
        import pandas as pd

        from qualia_lab.analysis.trade_offs import trade_offs

        values, directions, unknown = self._directed(metrics, statistic)
        rows = [
            (
                *(pair.first, pair.second, pair.n, pair.rho),
                *(self._labels[run_id] for run_id in (pair.best_first, pair.best_second)),
                "pull apart" if pair.opposed else pair.note,
            )
            for pair in trade_offs(values, directions)
        ]
        frame = pd.DataFrame(rows, columns=["metric", "and", "n", "rank correlation", "best", "best in the other", ""])
        frame = frame.astype({"rank correlation": "Float64"})
        frame.attrs["left out"] = unknown
        return frame

    def pareto(self, metrics: str | Sequence[str] | None = None, *, statistic: str = "last") -> pd.DataFrame | Said:
        """The runs that no other run beats in all of these metrics, best of the first one first.

        metrics: one is taken together with the metric that it pulls apart from the most, as in `plot_pareto`.
        A run with a metric that is missing, NaN or infinite is not among them. Metrics of which it is not known
        whether more is better are left out: `frame.attrs["left out"]`; `frame.attrs["n"]` is how many were compared.
        """
        import pandas as pd

        from qualia_lab.analysis.trade_offs import complete_runs, pareto_set

        if metrics is None or isinstance(metrics, str):
            pair = self._pair(self._metric(metrics), None, statistic)
            if isinstance(pair, Said):
                return pair
            metrics = pair
        values, directions, unknown = self._directed(metrics, statistic)
        front = pareto_set(values, directions)
        if values:
            first = next(iter(values))
            front.sort(key=lambda run_id: values[first][run_id], reverse=directions[first])
        frame = pd.DataFrame(
            {key: [of[run_id] for run_id in front] for key, of in values.items()},
            index=pd.Index([self._labels[run_id] for run_id in front]),
        )
        frame.attrs = {"left out": unknown, "n": len(complete_runs(values))}
        return frame

    def plot_pareto(
        self, metric_x: str | None = None, metric_y: str | None = None, *, statistic: str = "last"
    ) -> Chart | Said:
        """One metric against another, and the runs that no other beats in both.

        metric_y: by default the one that pulls apart from metric_x the most; one of training data is nobody's aim.
        """
        from qualia_lab.charts.pareto import pareto_front

        pair = self._pair(self._metric(metric_x), metric_y, statistic)
        if isinstance(pair, Said):
            return pair
        values, directions, _ = self._directed(pair, statistic)
        return pareto_front(values, self._labels, directions)

    def best_so_far(self, metric: str | None = None, *, statistic: str = "last") -> pd.DataFrame | Said:
        """The runs by their start, the metric, the best of it up to each, and whether that run improved it."""
        import pandas as pd

        from qualia_lab.analysis.progress import best_so_far

        key = self._metric(metric)
        better = self._better(key)
        if better is None:
            return self._no_direction(key)
        found = best_so_far(self.tables.runs, self._values(key, statistic), greater_is_better=better)
        frame = pd.DataFrame(
            [(one.place, one.start, one.value, one.best, one.improved) for one in found],
            columns=["place", "start", key, "best so far", "improved"],
            index=pd.Index([self._labels[one.run_id] for one in found]),
        )
        frame["start"] = pd.to_datetime(frame["start"], unit="ms", utc=True, errors="coerce")
        return frame

    def plot_best_so_far(self, metric: str | None = None, *, statistic: str = "last") -> Chart | Said:
        """The best value so far, over the runs by their start and over time."""
        from qualia_lab.analysis.progress import best_so_far
        from qualia_lab.charts.best_so_far import best_so_far_chart

        key = self._metric(metric)
        better = self._better(key)
        if better is None:
            return self._no_direction(key)
        found = best_so_far(self.tables.runs, self._values(key, statistic), greater_is_better=better)
        return best_so_far_chart(found, self._labels, key, greater_is_better=better)

    def plot_distribution(self, metric: str | None = None, by: str | None = None, *, statistic: str = "last") -> Chart:
        """The share of runs up to each value of a metric (ECDF); by: a param, a line for each of its values."""
        from qualia_lab.analysis.progress import grouped
        from qualia_lab.charts.distribution import distribution_chart

        key = self._metric(metric)
        values = self._values(key, statistic)
        groups = {"": list(values.values())} if by is None else grouped(self.tables.params, values, by)
        return distribution_chart(groups, key, by=by or "", greater_is_better=self._better(key), runs=len(self))

    def plot_timeline(self) -> Chart:
        """When the runs ran, children under their parents, by status."""
        from qualia_lab.analysis.timeline import timeline
        from qualia_lab.charts.timeline import timeline_chart

        return timeline_chart(timeline(self.tables.runs), self._labels)

    def _metric(self, metric: str | None) -> str:
        return metric or self.primary_metric or ""

    def _values(self, metric: str, statistic: str) -> Mapping[str, float]:
        """The finite values of a metric by run id."""
        history = self._history(metric) if needs_history(statistic) else None
        found = scores(self.tables, metric, statistic, history, self._better(metric))
        return found.values  # noqa: PD011 - of no DataFrame

    def _counted(
        self, metric: str, statistic: str, statuses: Sequence[str] | None
    ) -> tuple[dict[str, float], list[tuple[str, int]]]:
        """The finite values of the runs that count in means, and how many runs are not among them, and why."""
        values, uncounted = self._values(metric, statistic), left_out(statuses_of(self.tables), statuses)
        known = {run_id: value for run_id, value in values.items() if run_id not in uncounted}
        without = len(self) - len(known) - len(uncounted)
        why = [(status.lower(), 1) for status in uncounted.values()]
        return known, [*why, *([(WITHOUT, without)] if without else [])]

    def _directed(
        self, metrics: Sequence[str], statistic: str
    ) -> tuple[dict[str, Mapping[str, float]], dict[str, bool], list[str]]:
        """Values and direction of the metrics that have one, in their order, and those that have none."""
        known = {key: better for key in dict.fromkeys(metrics) if (better := self._better(key)) is not None}
        values = {key: self._values(key, statistic) for key in known}
        return values, known, [key for key in dict.fromkeys(metrics) if key not in known]

    def _pair(self, first: str, second: str | None, statistic: str) -> tuple[str, str] | Said:
        """Two metrics to weigh against each other, the second by default the one that pulls apart the most."""
        from qualia_lab.analysis.direction import rank_metrics
        from qualia_lab.analysis.trade_offs import is_of_training, trade_offs
        from qualia_lab.inventory import take_inventory

        ranked = [metric.key for metric in rank_metrics(take_inventory(self.tables), first)]
        aims = [key for key in ranked if key == first or not is_of_training(key)][:12]
        values, directions, unknown = self._directed([first, second] if second else aims, statistic)
        for key in (first, second):
            if key in unknown:
                return self._no_direction(key or "")
        pairs = [pair for pair in trade_offs(values, directions) if first in (pair.first, pair.second)]
        if not pairs:
            return Said(f"No run has {first} and {second or 'another metric with a known direction'}.")
        return first, second or (pairs[0].second if pairs[0].first == first else pairs[0].first)

    def _importances(
        self, metric: str | None, seeds: Seeds, statistic: str, statuses: Sequence[str] | None
    ) -> Importances:
        """Computed once for each question: a table, its bars and the pair of the top two ask the same."""
        from qualia_lab.analysis.importance import param_importances

        key = self._metric(metric)
        counted = counted_statuses(statuses_of(self.tables).values(), statuses)
        asked = (key, self._better(key), None if seeds is None else tuple(seeds), statistic, counted)
        known: dict[object, Importances] = self.__dict__.setdefault("_importances_known", {})
        if asked not in known:
            values, _ = self._counted(key, statistic, statuses)
            known[asked] = param_importances(
                self.tables.params, values, key, greater_is_better=self._better(key), seeds=seeds
            )
        return known[asked]

    def _no_direction(self, metric: str) -> Said:
        return Said(f"Whether more of {one_line(metric, 80)} is better is not known: set GREATER_IS_BETTER.")
