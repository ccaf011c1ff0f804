"""The runs as pictures: one in full, and charts of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.errors import UnknownRun
from qualia_lab.runs.loaded import LoadedRuns, Said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.run_card import RunCard


class Pictures(LoadedRuns):
    """Each is drawn when it is asked for."""

    def show(self, run: str, *, folded: bool = False) -> RunCard | Said:
        """One run in full, by its id or name: details, params, metrics, tags, datasets, models, artifacts.

        folded: whether only its status, primary metric and duration are seen until somebody clicks on them.
        """
        from qualia_lab.charts.previews import read_previews
        from qualia_lab.charts.run_card import RunCard

        try:
            run_id = self._run_id(run)
        except UnknownRun as error:
            return Said(str(error))
        one = self._one(run_id)
        place, files, notes = self._artifact_files(one)
        previews = tuple(read_previews(place, files))
        return RunCard(self._labels[run_id], one, files, notes, previews, self.primary_metric, folded)

    def plot_comparison(self, metrics: str | Sequence[str]) -> Chart:
        """The latest values of some metrics, run by run, best of the first metric first."""
        from qualia_lab.charts.metric_comparison import metric_comparison

        keys = [metrics] if isinstance(metrics, str) else list(metrics)
        directions = {key: self._better(key) for key in keys}
        return metric_comparison(self.tables.metrics, self._labels, keys, greater_is_better=directions)

    def plot_param(self, param: str, metric: str | None = None) -> Chart:
        """The latest value of a metric, by default the primary one, against the values of a param."""
        from qualia_lab.charts.param_distribution import param_distribution

        metric = metric or self.primary_metric or ""
        return param_distribution(
            self.tables.params,
            self.tables.metrics,
            self._labels,
            param,
            metric,
            greater_is_better=self._better(metric),
        )
