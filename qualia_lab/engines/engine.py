"""Engine: aggregates over the runs of a snapshot, computed by DuckDB or Spark next to the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.columns import column
from qualia_lab.engines import statements
from qualia_lab.errors import EngineError
from qualia_lab.escaping import one_line
from qualia_lab.inventory import Inventory, MetricCount, ParamCount
from qualia_lab.masking.keys import is_secret_key
from qualia_lab.masking.tables import KEYED, mask_keyed, mask_texts
from qualia_lab.stores.snapshot.manifest import HISTORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.engines.connection import Connection
    from qualia_lab.engines.statements import Statement
    from qualia_lab.masking.tables import Masker
    from qualia_lab.stores.snapshot.manifest import File, Manifest

_IDS = pa.schema({"run_id": schema.STRING})


class Engine(Closing):
    """Aggregates over selected runs of a snapshot; use `open_engine` to create one.

    Each method returns a small Arrow table and leaves the rows of the snapshot where they are. A metric that no run has
    gives a table without rows. All times are int64 milliseconds since 1970 in UTC. Secrets are masked in every table,
    since the snapshot may have been written unmasked.

    Example:
        >>> from qualia_lab import open_engine
        >>> with open_engine("snapshot:demo/snapshot", experiments=["churn"]) as engine:
        ...     best = engine.top_runs("val_auc", most=5).to_pandas()
        ...     band = engine.band("val_loss").to_pandas()
    """

    def __init__(
        self,
        connection: Connection,
        manifest: Manifest,
        root: str,
        masker: Masker,
        *,
        experiment_ids: Sequence[str],
        run_ids: pa.Array | None,
    ) -> None:
        """Select the runs and create the views.

        Args:
            connection: the open engine.
            manifest: the manifest of the snapshot.
            root: the path or URL that the manifest's file names are relative to.
            masker: masks the secrets of the snapshot.
            experiment_ids: select the active runs of these experiments.
            run_ids: select exactly these runs instead; None for the condition above.
        """
        self.name = connection.name
        self._connection = connection
        self._root = root
        self._masker = masker
        self._histories = [file for part in manifest.parts for file in part.of(HISTORY)]
        self._history_views: dict[tuple[str, ...], str] = {}
        files = {"experiments": [file for file in manifest.tables if file.table == "experiments"]}
        for name in ("runs", "params", "metrics"):
            files[name] = [file for part in manifest.parts for file in part.of(name)]
        self._names = {name: self._add(name, table_files, schema.TABLES[name]) for name, table_files in files.items()}
        if run_ids is not None:
            requested = connection.add_table("requested_runs", pa.Table.from_arrays([run_ids], schema=_IDS))
            where = f"run_id IN (SELECT run_id FROM {requested})"
        else:
            table = pa.Table.from_arrays([column(list(experiment_ids), schema.STRING)], ["experiment_id"])
            requested = connection.add_table("requested_experiments", table)
            where = f"lifecycle_stage = 'active' AND experiment_id IN (SELECT experiment_id FROM {requested})"
        self._names["chosen"] = connection.add_view("chosen", f"SELECT * FROM {self._names['runs']} WHERE {where}")
        self._all_selected = False
        run_counts = self._query(statements.STATUSES).column("runs").to_pylist()
        self.run_count: int = sum(run_counts)
        # If every run is selected, the histories need no join with the runs.
        self._all_selected = self.run_count == sum(file.rows for file in files["runs"])

    def experiments(self) -> pa.Table:
        """The experiments of the selected runs.

        Returns:
            `experiment_id`, `name`, `runs` (count) and `last_activity` (the latest start or end of a run, ms); the
            latest activity first.
        """
        return mask_texts(self._query(statements.EXPERIMENTS), "experiments", self._masker)

    def statuses(self) -> pa.Table:
        """The statuses of the selected runs.

        Returns:
            `status`, `runs` (count), `first_start` and `last_start` (ms); the most frequent status first.
        """
        return self._query(statements.STATUSES)

    def params(self) -> pa.Table:
        """The params of the selected runs.

        Returns:
            `key`, `runs` (how many have the param) and `different` (distinct values), sorted by key.
        """
        return self._query(statements.PARAMS)

    def metrics(self) -> pa.Table:
        """The metrics of the selected runs, with the distribution of their latest values.

        Returns:
            `key`; `runs` (how many have the metric); `different` (distinct latest values); `last_step`; `stepped`
            (runs whose latest value is at another step than 0); `n`, `lowest`, `q1`, `median`, `q3`, `highest` and
            `mean` of the finite latest values; `points` and `not_finite` (points of all histories). Sorted by key.
        """
        latest = self._query(statements.LATEST)
        points = self._query(statements.POINTS)
        indices = pc.index_in(latest.column("key"), value_set=points.column("key"))
        for name in ("points", "not_finite"):
            counts = pc.fill_null(points.column(name).take(indices), 0)
            latest = latest.append_column(pa.field(name, schema.INT), counts)
        return latest

    def metric_statistics(self, metric: str) -> pa.Table:
        """Statistics of the history of a metric, one row for each run.

        Args:
            metric: the key of the metric.

        Returns:
            `run_id`; `points` and `not_finite` (counts); `first`, `last`, `lowest`, `lowest_step`, `highest`,
            `highest_step` and `mean`. Sorted by run id.
        """
        return self._query(statements.METRIC_STATISTICS, metric=metric)

    def top_runs(
        self, metric: str, most: int = 20, *, statistic: str = "last", greater_is_better: bool = True
    ) -> pa.Table:
        """The best runs by a statistic of a metric.

        Args:
            metric: the key of the metric.
            most: the maximum number of runs.
            statistic: `last`, `first`, `lowest`, `highest` or `mean`.
            greater_is_better: whether the highest value is the best.

        Returns:
            `run_id`, `run_name`, `experiment_id`, `status`, `start_time` (ms) and the columns of `metric_statistics`;
            the best run first, runs without a finite value last.

        Raises:
            EngineError: an unknown statistic, or the engine failed.
        """
        if statistic not in statements.STATISTICS:
            raise EngineError(
                f"No statistic is called {one_line(statistic, 40)}.", f"Use {', '.join(statements.STATISTICS)}."
            )
        statement = statements.top_runs(statistic, greater_is_better=greater_is_better)
        return mask_texts(self._query(statement, metric=metric, most=most), "runs", self._masker)

    def params_of(self, run_ids: Sequence[str]) -> pa.Table:
        """The params of a few runs.

        Args:
            run_ids: the runs.

        Returns:
            `run_id`, `key` and `value` (schema.PARAMS), sorted by run id and key.
        """
        table = pa.Table.from_arrays([column(list(run_ids), schema.STRING)], schema=_IDS)
        self._names["requested"] = self._connection.add_table("requested", table)
        return mask_keyed(self._query(statements.PARAMS_OF), KEYED["params"], self._masker)

    def param_values(self, metric: str, param: str, most: int = 12) -> pa.Table:
        """The distribution of the latest values of a metric for each of the most frequent values of a param.

        Args:
            metric: the key of the metric.
            param: the key of the param. Values are compared as logged: `0.1` is not `1e-1`.
            most: the maximum number of values.

        Returns:
            `value`; `runs` (how many have the metric and the value); `n` (those with a finite metric), `lowest`, `q1`,
            `median`, `q3`, `highest` and `mean`. The most frequent value first.
        """
        return self._mask_values(self._query(statements.PARAM_VALUES, metric=metric, param=param, most=most), param)

    def param_ranges(self, metric: str, param: str, ranges: int = 10) -> pa.Table:
        """The distribution of the latest values of a metric for ranges of a numeric param, with equally many runs each.

        Args:
            metric: the key of the metric.
            param: the key of the param; values that are not numbers are ignored, and all values if the
                name marks a secret.
            ranges: the number of ranges.

        Returns:
            `place` (from 1), `first_param` and `last_param` (the ends of the range), `runs`, and `n`, `lowest`, `q1`,
            `median`, `q3`, `highest` and `mean`. In the order of the ranges.
        """
        table = self._query(statements.PARAM_RANGES, metric=metric, param=param, ranges=ranges)
        return table.slice(0, 0) if is_secret_key(param, self._masker.rules) else table

    def band(self, metric: str, buckets: int = 60) -> pa.Table:
        """The distribution over runs of a metric along its steps, in buckets of equally many steps.

        In each bucket the points of a run are averaged first; the distribution is that of the runs' means.

        Args:
            metric: the key of the metric.
            buckets: the number of buckets.

        Returns:
            `first_step`, `last_step`, `points` and `not_finite` (counts) of each bucket; `n` (runs with a finite
            value), `lowest`, `q1`, `median`, `q3`, `highest` and `mean`. In the order of the steps.
        """
        return self._query(statements.BAND, metric=metric, buckets=buckets)

    def bands_by_param(self, metric: str, param: str, most: int = 4, buckets: int = 60) -> pa.Table:
        """The distribution of `band`, separately for the runs of each of the most frequent values of a param.

        Args:
            metric: the key of the metric.
            param: the key of the param.
            most: the maximum number of values.
            buckets: the number of buckets.

        Returns:
            `value`, `runs` (how many have it), and the columns of `band`. The most frequent value first.
        """
        table = self._query(statements.BANDS_BY_PARAM, metric=metric, param=param, most=most, buckets=buckets)
        return self._mask_values(table, param)

    def best_so_far(self, metric: str, *, greater_is_better: bool = True) -> pa.Table:
        """The runs that were better than all runs that started before them, by the latest value of a metric.

        Args:
            metric: the key of the metric.
            greater_is_better: whether a higher value is better.

        Returns:
            `place` (rank by start among the runs with the metric, from 1), `run_id`, `run_name`, `start_time` (ms) and
            `value`. In the order of their starts.
        """
        statement = statements.best_so_far(greater_is_better=greater_is_better)
        return mask_texts(self._query(statement, metric=metric), "runs", self._masker)

    def run_of_each_experiment(self) -> list[str]:
        """The id of one run of each experiment, sorted."""
        run_ids: list[str] = self._query(statements.RUN_OF_EACH_EXPERIMENT).column("run_id").to_pylist()
        return run_ids

    def take_inventory(self, run_ids: tuple[str, ...]) -> Inventory:
        """The counts that a notebook is planned from, without tags, datasets and logged models.

        Args:
            run_ids: the ids of the selected runs; those that the snapshot lacks count as missing.

        Returns:
            The inventory.
        """
        latest = self._query(statements.LATEST).to_pylist()
        return Inventory(
            run_ids=run_ids,
            missing=len(run_ids) - self.run_count,
            problems=0,
            experiments=tuple(self.experiments().column("name").to_pylist()),
            statuses=tuple((row["status"], row["runs"]) for row in self.statuses().to_pylist()),
            params=tuple(
                ParamCount(row["key"], row["runs"], row["different"], numeric=False)
                for row in self.params().to_pylist()
            ),
            metrics=tuple(
                MetricCount(row["key"], row["runs"], row["different"], row["last_step"], row["stepped"] > 0)
                for row in latest
            ),
            tags=(),
            datasets=0,
            logged_models=0,
            children=0,
        )

    def close(self) -> None:
        """Close the engine; it cannot be used again. The end of a `with` statement or of the kernel closes it too."""
        self._connection.close()

    def _query(self, statement: Statement, **arguments: Any) -> pa.Table:
        names = {
            **self._names,
            "history": self._history(arguments.get("metric")) if "{history}" in statement.sql else "",
        }
        names["if_chosen"] = "" if self._all_selected else statements.IF_CHOSEN.format(**names)
        return self._connection.query(statement.sql.format(**names), arguments, statement.columns)

    def _mask_values(self, table: pa.Table, param: str) -> pa.Table:
        """Mask the secrets in a table of values of one param."""
        keyed = table.append_column(pa.field("key", schema.STRING), column([param] * table.num_rows, schema.STRING))
        return mask_keyed(keyed, KEYED["params"], self._masker).drop_columns("key")

    def _history(self, metric: str | None) -> str:
        """A view over all history files, or over those that may contain the metric."""
        files = [file for file in self._histories if metric is None or file.keys is None or metric in file.keys]
        key = tuple(file.file for file in files)
        if key not in self._history_views:
            name = f"history_{len(self._history_views)}"
            self._history_views[key] = self._add(name, files, schema.METRIC_HISTORY)
        return self._history_views[key]

    def _add(self, name: str, files: Sequence[File], columns: pa.Schema) -> str:
        return self._connection.add_files(name, [f"{self._root}/{file.file}" for file in files], columns)
