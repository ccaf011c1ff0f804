"""Params against metrics, several metrics at once, and how the search went: DataFrames and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.groups import finite_values
from qualia_lab.runs.loaded import LoadedRuns, Said

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from qualia_lab.analysis.importance import Importances
    from qualia_lab.charts.chart import Chart


class Relations(LoadedRuns):
    """What goes with what."""

    def importance(self, metric: str | None = None, *, seeds: Collection[str] | None = None) -> pd.DataFrame:
        """How much each param that varies matters for a metric, by default the primary one; most important first.

        `forest`: the out-of-bag R² that a random forest loses when the param is shuffled, and its deviation `±`.
        `PED-ANOVA`: the param's share in what sets the best runs apart (Watanabe et al. 2023), as Optuna shows it.
        `rank correlation`: Spearman's rho, for numbers.  `n`: runs with the param and a finite metric.
        `note` says when a number is not to be read: too few configurations, a forest that explains little, a param
        that changes only together with another. `attrs` has R², n and the interaction of the top two.
        seeds: the params that only repeat a configuration, by default seed, random_state, fold and the like.
        """
        import pandas as pd

        found = self._importances(metric, seeds)
        names = ["param", "forest", "±", "PED-ANOVA", "rank correlation", "n", "note"]
        rows = [
            (row.param, row.forest, row.deviation, row.ped_anova, row.rho, row.n, row.note or found.refusal)
            for row in found.params
        ]
        frame = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[1:5], "float64")).set_index("param")
        frame.attrs = {
            "n": found.n,
            "configurations": found.configurations,
            "out-of-bag R²": found.r2,
            "refusal": found.refusal,
            "interaction": found.interaction
            and [found.interaction.first, found.interaction.second, found.interaction.share],
        }
        return frame

    def plot_importance(self, metric: str | None = None, *, seeds: Collection[str] | None = None) -> Chart | Said:
        """The numbers of `importance` as bars; grey where they are no more than chance."""
        from qualia_lab.charts.importance import importance_bars

        found = self._importances(metric, seeds)
        if all((row.forest, row.ped_anova, row.rho) == (None, None, None) for row in found.params):
            return Said(found.refusal[0].upper() + found.refusal[1:] + ".")
        return importance_bars(found, metric or self.primary_metric or "")

    def _importances(self, metric: str | None, seeds: Collection[str] | None) -> Importances:
        from qualia_lab.analysis.importance import param_importances

        metric = metric or self.primary_metric or ""
        values = finite_values(self.tables, metric)
        better = self._better(metric)
        return param_importances(self.tables.params, values, metric, greater_is_better=better, seeds=seeds)
