"""`load_aggregates`: the object that cells of an aggregate notebook use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.closing import Closing
from qualia_lab.counts import counted
from qualia_lab.engines.open import open_engine
from qualia_lab.errors import FilterError
from qualia_lab.escaping import for_html, one_line
from qualia_lab.runs.frames import datetimes
from qualia_lab.runs.message import Message
from qualia_lab.stores.uri import with_credentials
from qualia_lab.study.metrics import direction_of
from qualia_lab.study.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa

    from qualia_lab.charts.chart import Chart
    from qualia_lab.engines.engine import Engine

# Columns of the engine's tables, as readers see them; those of times are milliseconds.
_TIMES = {
    "last_activity": "last activity (UTC)",
    "first_start": "first start (UTC)",
    "last_start": "last start (UTC)",
    "start_time": "start (UTC)",
}
_NAMES = _TIMES | {"run_name": "run", "run_id": "run id"}
_MOST_VALUES = 12  # values of a param drawn one by one; a param with more numeric values is split into ranges


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
    """Open a snapshot for aggregates over its runs, computed by DuckDB or Spark.

    Args:
        tracking_uri: the URI or path of a snapshot.
        engine: `duckdb`, `spark`, `local[2]`, `spark://HOST:PORT` or `sc://HOST:PORT`.
        experiments: names of experiments; () for all.
        filter: a filter in the query language; "" for all runs.
        run_ids: the ids of the runs; None for all.
        primary_metric: the metric used by methods that are called without one.
        greater_is_better: whether higher values of it are better; None decides by its name.

    Returns:
        The aggregates; close them after use, or use them in a `with` statement.

    Raises:
        QualiaLabError: the snapshot cannot be opened; see `open_engine`.

    Example:
        >>> aggregates = load_aggregates("snapshot:runs", primary_metric="val_auc")
        >>> aggregates.top_runs(most=10, params=["lr"])
    """
    opened = open_engine(
        with_credentials(tracking_uri).full, engine, experiments=experiments, filter=filter, run_ids=run_ids
    )
    return Aggregates(opened, primary_metric, greater_is_better)


class Aggregates(Closing):
    """Aggregates over the runs of a snapshot, as DataFrames and charts; `engine` gives them as Arrow tables.

    Only aggregates are transferred from the engine, however many runs and points there are. NaN and infinite values are
    counted (`not_finite`) and ignored in all other numbers.
    """

    def __init__(
        self, engine: Engine, primary_metric: str | None = None, greater_is_better: bool | None = None
    ) -> None:
        self.engine = engine
        self.primary_metric = primary_metric
        self.greater_is_better = greater_is_better

    def close(self) -> None:
        """Close the engine. The end of a `with` statement and of the notebook's kernel do this too."""
        self.engine.close()

    def __len__(self) -> int:
        return self.engine.run_count

    def __repr__(self) -> str:
        return f"{counted(len(self), 'run')}, aggregated by {self.engine.name}"

    def _repr_html_(self) -> str:
        return f"<p><b>{for_html(repr(self))}</b></p>"

    # --- DataFrames -------------------------------------------------------------------------------------------------

    def experiments(self) -> pd.DataFrame:
        """A row per experiment: the number of runs, and the latest start or end of a run."""
        return _frame(self.engine.experiments())

    def statuses(self) -> pd.DataFrame:
        """A row per status: the number of runs, and when the first and the last of them started."""
        return _frame(self.engine.statuses()).set_index("status").rename_axis(None)

    def params(self) -> pd.DataFrame:
        """A row per param: the number of runs that have it, and the number of its distinct values."""
        return _frame(self.engine.params()).set_index("key").rename_axis(None)

    def metrics(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per metric with the distribution of the latest values over runs.

        Args:
            keys: keys of metrics; None for all. Those that do not exist are ignored.

        Returns:
            The index is the key of the metric. `runs`: runs that have it; `points` and `not finite`: logged points, and
            how many of them are NaN or infinite; `n`: runs with a finite latest value, over which `lowest`, `q1`,
            `median`, `q3`, `highest` and `mean` are computed; `last step`: the highest step.
        """
        frame = _frame(self.engine.metrics()).set_index("key").rename_axis(None)
        frame = frame[
            ["runs", "points", "not finite", "n", "lowest", "q1", "median", "q3", "highest", "mean", "last step"]
        ]
        return frame if keys is None else frame.loc[[key for key in keys if key in frame.index]]

    def top_runs(
        self, metric: str | None = None, most: int = 20, *, statistic: str = "last", params: Sequence[str] = ()
    ) -> pd.DataFrame:
        """The best runs by a metric.

        Args:
            metric: the key of a metric; None for the primary metric.
            most: the most rows.
            statistic: the value of a run: `last`, `first`, `lowest`, `highest` or `mean`.
            params: params that become columns.

        Returns:
            A row per run, best first.

        Raises:
            FilterError: it is not known which direction of the metric is better.

        Example:
            >>> aggregates.top_runs("val_auc", 10, statistic="highest")
        """
        metric = metric or self.primary_metric or ""
        table = self.engine.top_runs(metric, most, statistic=statistic, greater_is_better=self._better(metric))
        frame = _frame(table.drop_columns(["experiment_id"]))
        if params and len(frame):
            logged = self.engine.params_of(frame["run id"].tolist()).to_pandas()
            wide = logged.pivot(index="run_id", columns="key", values="value").reindex(frame["run id"])  # noqa: PD010
            for key in params:
                frame[key if key not in frame else f"{key} "] = wide[key].array if key in wide else None
        frame["run id"] = frame.pop("run id")
        return frame

    def best_so_far(self, metric: str | None = None) -> pd.DataFrame:
        """The runs that were better than all runs that started before them.

        Args:
            metric: the key of a metric; None for the primary metric.

        Returns:
            A row per improvement; the index `place` counts the runs with the metric, by their start.

        Raises:
            FilterError: it is not known which direction of the metric is better.
        """
        metric = metric or self.primary_metric or ""
        table = self.engine.best_so_far(metric, greater_is_better=self._better(metric))
        return _frame(table).set_index("place").rename_axis(None)

    # --- Charts -----------------------------------------------------------------------------------------------------

    def plot_band(self, metric: str, *, by: str | None = None, buckets: int = 60, most: int = 4) -> Chart:
        """A metric over its steps: the median and the middle half of the runs.

        Args:
            metric: the key of a metric.
            by: a param, to draw a band for each of its most frequent values; None for one band of all runs.
            buckets: the number of intervals into which the steps are divided.
            most: the most bands.

        Example:
            >>> aggregates.plot_band("val_auc", by="optimizer")
        """
        from qualia_lab.charts.metric_bands import metric_bands

        if by is None:
            return metric_bands(self.engine.band(metric, buckets), metric)
        return metric_bands(self.engine.bands_by_param(metric, by, most, buckets), metric, by)

    def plot_param(self, param: str, metric: str | None = None) -> Chart | Message:
        """The distribution of the latest values of a metric for each value of a param.

        A param with more than 12 values is split into ranges with equal numbers of runs, if its values are numbers.

        Args:
            param: the name of a param.
            metric: the key of a metric; None for the primary metric.

        Returns:
            A chart, or a message if all runs with the metric have the same value of the param.
        """
        from qualia_lab.charts.param_spread import param_spread

        metric = metric or self.primary_metric or ""
        values = self.engine.param_values(metric, param, _MOST_VALUES + 1)
        drawn = [row for row in values.to_pylist() if row["n"]]
        if len(drawn) == 1:
            named, value, of = (one_line(text, 80) for text in (param, drawn[0]["value"], metric))
            return Message(f"{named} is {value} in every run that has it and a finite value of {of}: nothing to draw.")
        ranges = self.engine.param_ranges(metric, param) if values.num_rows > _MOST_VALUES else None
        return param_spread(values.slice(0, _MOST_VALUES), ranges, param, metric, more=values.num_rows > _MOST_VALUES)

    def _better(self, metric: str) -> bool:
        """Whether higher is better. Raises FilterError if neither the notebook nor the metric's name says so."""
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


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of the engine with the names of columns in words, and times to the second."""
    frame: pd.DataFrame = table.to_pandas()
    for name in _TIMES.keys() & set(frame.columns):
        frame[name] = datetimes(frame[name]).dt.floor("s").dt.tz_localize(None)
    return frame.rename(columns={name: _NAMES.get(name, name.replace("_", " ")) for name in frame.columns})
