"""`runs.relations`: params against metrics, several metrics at once, and how the search went, as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.namespace import Namespace
from qualia_lab.runs.per_task import frame_per_task
from qualia_lab.runs.said import Said
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

    from qualia_lab.study.study import Task


class Relations(Namespace):
    """What goes with what, within each experiment by itself.

    metric: by default the objective.  experiment: one by its name or id; by default all, one after the other.
    statistic: which value of a metric counts: `last`, `best`, `min`, `max`, `first` or `at:STEP`.
    """

    name = "relations"

    def importance(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Said:
        """How much each param that varies matters for a metric, most important first.

        `forest`: the out-of-bag R² that a random forest loses when the param is shuffled, and its deviation `±`.
        `PED-ANOVA`: the param's share in what sets the best runs apart (Watanabe et al. 2023), as Optuna shows it.
        `rank correlation`: Spearman's rho, for numbers.  `n`: runs with the param and a finite metric.
        `note` says when a number is not to be read: too few configurations, a forest that explains little, a param
        that changes only together with another. `attrs` has R², n, the interaction of the top two, how many
        configurations were asked, and of each param where the best ones lie: how many these are, and the lowest, the
        middle and the highest of their values, or the best of a few values.
        """
        return frame_per_task(self._loaded, experiment, lambda task: self._importance(task, metric, statistic))

    def correlations(self, metric: str | None = None, *, experiment: str | None = None) -> pd.DataFrame | Said:
        """For each numeric param that varies: its rank correlation with a metric, and the n it rests on.

        Spearman's rho (Spearman 1904), ties ranked by their mean. Where n is small it is left empty: too few to tell.
        """
        return frame_per_task(self._loaded, experiment, lambda task: self._correlations(task, metric))

    def trade_offs(
        self, metrics: Sequence[str], *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Said:
        """Pairs of metrics, those that pull apart first: what is better in one tends to be worse in the other.

        `n` counts configurations; `rank correlation` is Spearman's over their means, each metric turned so that more
        is better; empty where n is small. Metrics of which it is not known whether more is better are left out:
        `frame.attrs["left out"]`.
        """
        self._loaded.check_metrics(metrics)
        return frame_per_task(self._loaded, experiment, lambda task: self._trade_offs(task, metrics, statistic))

    def pareto(
        self, metrics: str | Sequence[str] | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Said:
        """The runs that no other run beats in all of these metrics, best of the first one first.

        metrics: one is taken together with the metric that it pulls apart from the most, as in `runs.plot.pareto`.
        A run with a metric that is missing, NaN or infinite is not among them. Metrics of which it is not known
        whether more is better are left out: `frame.attrs["left out"]`; `frame.attrs["n"]` is how many were compared.
        """
        if metrics is not None:
            self._loaded.check_metrics([metrics] if isinstance(metrics, str) else metrics)
        return frame_per_task(self._loaded, experiment, lambda task: self._pareto(task, metrics, statistic))

    def best_so_far(
        self, metric: str | None = None, *, experiment: str | None = None, statistic: str = "last"
    ) -> pd.DataFrame | Said:
        """The runs by their start, the metric, the best of it up to each, and whether that run improved it."""
        return frame_per_task(self._loaded, experiment, lambda task: self._best_so_far(task, metric, statistic))

    def _importance(self, task: Task, metric: str | None, statistic: str) -> pd.DataFrame:
        import pandas as pd

        found = importances(self._loaded, task, self._loaded.metric(metric, task), statistic)
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
            "out-of-bag R² in %": None if found.r2 is None else 100 * found.r2,
            "refusal": found.refusal,
            "asked": found.sampled,
            "best": {
                row.param: [row.best.value]
                if row.best.value
                else [row.best.count, row.best.low, row.best.middle, row.best.high]
                for row in found.params
                if row.best is not None
            },
            "interaction": joint and [joint.first, joint.second, joint.share],
        }
        return frame

    def _correlations(self, task: Task, metric: str | None) -> pd.DataFrame:
        import pandas as pd

        from qualia_lab.analysis.relations import rank_correlations

        found = rank_correlations(
            self._loaded.tables, self._loaded.study, self._loaded.metric(metric, task), task, self._loaded.diverged
        )
        rows = [{"param": row.param, "n": row.n, "rank correlation": row.rho, "": row.note} for row in found]
        frame = pd.DataFrame(rows, columns=["param", "n", "rank correlation", ""])
        return frame.astype({"rank correlation": "Float64"}).set_index("param")

    def _trade_offs(self, task: Task, metrics: Sequence[str], statistic: str) -> pd.DataFrame:
        import pandas as pd

        from qualia_lab.analysis.trade_offs import trade_offs

        values, directions, unknown = directed(self._loaded, task, metrics, statistic)
        labels = self._loaded.labels
        rows = [
            (
                *(pair.first, pair.second, pair.n, pair.rho),
                *(labels[run_id] for run_id in (pair.best_first, pair.best_second)),
                "pull apart" if pair.opposed else pair.note,
            )
            for pair in trade_offs(means_over_configurations(self._loaded, task, values), directions)
        ]
        frame = pd.DataFrame(rows, columns=["metric", "and", "n", "rank correlation", "best", "best in the other", ""])
        frame = frame.astype({"rank correlation": "Float64"})
        frame.attrs["left out"] = unknown
        return frame

    def _pareto(self, task: Task, metrics: str | Sequence[str] | None, statistic: str) -> pd.DataFrame | Said:
        import pandas as pd

        from qualia_lab.analysis.trade_offs import complete_runs, pareto_set

        if metrics is None or isinstance(metrics, str):
            pair = pair_of(self._loaded, task, self._loaded.metric(metrics, task), None, statistic)
            if isinstance(pair, Said):
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

    def _best_so_far(self, task: Task, metric: str | None, statistic: str) -> pd.DataFrame | Said:
        import pandas as pd

        from qualia_lab.analysis.progress import best_so_far

        key = self._loaded.metric(metric, task)
        better = self._loaded.better(key)
        if better is None:
            return no_direction(key)
        values = values_of(self._loaded, task, key, statistic)
        found = best_so_far(self._loaded.tables.runs, values, greater_is_better=better)
        frame = pd.DataFrame(
            [(one.place, one.start, one.value, one.best, one.improved) for one in found],
            columns=["place", "start", key, "best so far", "improved"],
            index=pd.Index([self._loaded.labels[one.run_id] for one in found]),
        )
        frame["start"] = datetimes(frame["start"])
        return frame
