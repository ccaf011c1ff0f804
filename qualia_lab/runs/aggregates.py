"""What a person holds in a notebook on aggregates: `aggregates = load_aggregates(TRACKING_URI, ENGINE)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.closing import Closing
from qualia_lab.counts import counted
from qualia_lab.engines.open import open_engine
from qualia_lab.errors import FilterError
from qualia_lab.escaping import for_html, one_line
from qualia_lab.runs.frames import datetimes
from qualia_lab.stores.uri import with_credentials
from qualia_lab.study.metrics import direction_of
from qualia_lab.study.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from qualia_lab.charts.chart import Chart
    from qualia_lab.engines.engine import Engine

_MOST_VALUES = 12  # of a param; more numbers than that are drawn in ranges


def load_aggregates(
    tracking_uri: str,
    engine: str = "duckdb",
    *,
    experiments: Sequence[str] = (),
    filter: str = "",  # noqa: A002 - MLflow's word
    run_ids: Sequence[str] | None = None,
    primary_metric: str | None = None,
    greater_is_better: bool | None = None,
) -> Aggregates:
    """Open a snapshot for aggregates of its runs; see `open_engine`, which also says what it raises.

    primary_metric: what methods without a metric mean.  greater_is_better: by default what its name says.
    """
    opened = open_engine(
        with_credentials(tracking_uri).full, engine, experiments=experiments, filter=filter, run_ids=run_ids
    )
    return Aggregates(opened, primary_metric, greater_is_better)


class Aggregates(Closing):
    """Aggregates of the runs of a snapshot, as DataFrames and charts; `engine` gives them as Arrow tables.

    Nothing but aggregates comes here, however many runs and points there are. NaN and infinite values are counted
    (`not_finite`), and take no part in any other number.
    """

    def __init__(
        self, engine: Engine, primary_metric: str | None = None, greater_is_better: bool | None = None
    ) -> None:
        self.engine = engine
        self.primary_metric = primary_metric
        self.greater_is_better = greater_is_better

    def close(self) -> None:
        """Let go of the engine; the end of a `with` statement and of the notebook do it too."""
        self.engine.close()

    def __len__(self) -> int:
        return self.engine.run_count

    def __repr__(self) -> str:
        return f"{counted(len(self), 'run')}, aggregated by {self.engine.name}"

    def _repr_html_(self) -> str:
        return f"<p><b>{for_html(repr(self))}</b></p>"

    # --- DataFrames -------------------------------------------------------------------------------------------------

    def experiments(self) -> pd.DataFrame:
        """A row per experiment: how many runs, and the latest start or end of one of them."""
        frame: pd.DataFrame = self.engine.experiments().to_pandas()
        frame["last_activity"] = datetimes(frame["last_activity"])
        return frame

    def statuses(self) -> pd.DataFrame:
        """A row per status: how many runs, and when the first and the last of them started."""
        frame: pd.DataFrame = self.engine.statuses().to_pandas()
        for name in ("first_start", "last_start"):
            frame[name] = datetimes(frame[name])
        return frame.set_index("status").rename_axis(None)

    def params(self) -> pd.DataFrame:
        """A row per param: how many runs have it, with how many different values."""
        frame: pd.DataFrame = self.engine.params().to_pandas()
        return frame.set_index("key").rename_axis(None)

    def metrics(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per metric: runs, points, points that are not finite, and how the latest values of n runs spread."""
        frame: pd.DataFrame = self.engine.metrics().to_pandas().set_index("key").rename_axis(None)
        frame = frame[
            ["runs", "points", "not_finite", "n", "lowest", "q1", "median", "q3", "highest", "mean", "last_step"]
        ]
        return frame if keys is None else frame.loc[[key for key in keys if key in frame.index]]

    def top_runs(
        self, metric: str | None = None, most: int = 20, *, statistic: str = "last", params: Sequence[str] = ()
    ) -> pd.DataFrame:
        """The best runs by `last`, `first`, `lowest`, `highest` or `mean` of a metric, with these params of theirs."""
        metric = metric or self.primary_metric or ""
        table = self.engine.top_runs(metric, most, statistic=statistic, greater_is_better=self._better(metric))
        frame: pd.DataFrame = table.drop_columns(["experiment_id"]).to_pandas()
        frame["start_time"] = datetimes(frame["start_time"])
        if params and len(frame):
            logged = self.engine.params_of(frame["run_id"].tolist()).to_pandas()
            wide = logged.pivot(index="run_id", columns="key", values="value").reindex(frame["run_id"])  # noqa: PD010
            for key in params:
                frame[key if key not in frame else f"{key} "] = wide[key].array if key in wide else None
        frame["run_id"] = frame.pop("run_id")
        return frame

    def best_so_far(self, metric: str | None = None) -> pd.DataFrame:
        """The runs that were better than every one that started before them; `place` counts the runs that have it."""
        metric = metric or self.primary_metric or ""
        table = self.engine.best_so_far(metric, greater_is_better=self._better(metric))
        frame: pd.DataFrame = table.to_pandas()
        frame["start_time"] = datetimes(frame["start_time"])
        return frame.set_index("place").rename_axis(None)

    # --- Pictures ---------------------------------------------------------------------------------------------------

    def plot_band(self, metric: str, *, by: str | None = None, buckets: int = 60, most: int = 4) -> Chart:
        """A metric over its steps: median and middle half of the runs, by the most frequent values of a param."""
        from qualia_lab.charts.metric_bands import metric_bands

        if by is None:
            return metric_bands(self.engine.band(metric, buckets), metric)
        return metric_bands(self.engine.bands_by_param(metric, by, most, buckets), metric, by)

    def plot_param(self, param: str, metric: str | None = None) -> Chart:
        """How the latest values of a metric, by default the primary one, spread over the values of a param.

        A param of many numbers is parted into ranges of as many runs each.
        """
        from qualia_lab.charts.param_spread import param_spread

        metric = metric or self.primary_metric or ""
        values = self.engine.param_values(metric, param, _MOST_VALUES + 1)
        ranges = self.engine.param_ranges(metric, param) if values.num_rows > _MOST_VALUES else None
        return param_spread(values.slice(0, _MOST_VALUES), ranges, param, metric, more=values.num_rows > _MOST_VALUES)

    def _better(self, metric: str) -> bool:
        """Whether more is better. Raises FilterError where neither the notebook nor the metric's name says so."""
        known = self.greater_is_better if metric == self.primary_metric else None
        by_name, _ = direction_of(metric, StudySettings())
        better = (None if by_name is None else by_name == "higher") if known is None else known
        if better is None:
            raise FilterError(
                f"Whether more of {one_line(metric, 100)} is better cannot be told from its name.",
                "Set PRIMARY_METRIC to it, and GREATER_IS_BETTER to True or False.",
                text=metric,
            )
        return better
