"""Engine: what is asked of the runs of a snapshot, computed where the tables are."""

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
from qualia_lab.stores.snapshot.manifest import HISTORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.engines.connection import Connection
    from qualia_lab.engines.statements import Statement
    from qualia_lab.stores.snapshot.manifest import File, Manifest

_IDS = pa.schema({"run_id": schema.STRING})


class Engine(Closing):
    """Aggregates of some runs of a snapshot, each a small Arrow table; which columns, `statements` says.

    The rows of the store stay where they are. A metric that no run has gives a table without rows.
    """

    def __init__(
        self,
        connection: Connection,
        manifest: Manifest,
        root: str,
        *,
        experiment_ids: Sequence[str],
        run_ids: pa.Array | None,
    ) -> None:
        """root: what stands before the names of the manifest's files.

        experiment_ids: of active runs.  run_ids: only these runs instead, None for no condition.
        """
        self.name = connection.name
        self._connection = connection
        self._root = root
        self._histories = [file for part in manifest.parts for file in part.of(HISTORY)]
        self._history_views: dict[tuple[str, ...], str] = {}
        files = {"experiments": [file for file in manifest.tables if file.table == "experiments"]}
        for name in ("runs", "params", "metrics"):
            files[name] = [file for part in manifest.parts for file in part.of(name)]
        self._names = {name: self._add(name, some, schema.TABLES[name]) for name, some in files.items()}
        if run_ids is not None:
            asked = connection.add_table("asked_runs", pa.Table.from_arrays([run_ids], schema=_IDS))
            where = f"run_id IN (SELECT run_id FROM {asked})"
        else:
            table = pa.Table.from_arrays([column(list(experiment_ids), schema.STRING)], ["experiment_id"])
            asked = connection.add_table("asked_experiments", table)
            where = f"lifecycle_stage = 'active' AND experiment_id IN (SELECT experiment_id FROM {asked})"
        self._names["chosen"] = connection.add_view("chosen", f"SELECT * FROM {self._names['runs']} WHERE {where}")
        self._all = False
        chosen = self._ask(statements.STATUSES).column("runs").to_pylist()
        self.run_count: int = sum(chosen)
        # All runs that there are: then no history has to be asked whose it is.
        self._all = self.run_count == sum(file.rows for file in files["runs"])

    def experiments(self) -> pa.Table:
        """The experiments of the runs: how many, and the latest start or end in ms; latest first."""
        return self._ask(statements.EXPERIMENTS)

    def statuses(self) -> pa.Table:
        """How many runs have each status, and when the first and the last of them started in ms."""
        return self._ask(statements.STATUSES)

    def params(self) -> pa.Table:
        """Each param: how many runs have it, with how many different values."""
        return self._ask(statements.PARAMS)

    def metrics(self) -> pa.Table:
        """Each metric: how many runs, points and points that are not finite, and how the latest values spread.

        `different` counts latest values; `stepped` the runs whose latest value is of another step than 0.
        """
        latest = self._ask(statements.LATEST)
        points = self._ask(statements.POINTS)
        place = pc.index_in(latest.column("key"), value_set=points.column("key"))
        for name in ("points", "not_finite"):
            counted = pc.fill_null(points.column(name).take(place), 0)
            latest = latest.append_column(pa.field(name, schema.INT), counted)
        return latest

    def metric_statistics(self, metric: str) -> pa.Table:
        """A metric run by run: points, not finite ones, first, last, lowest and highest with their steps, mean."""
        return self._ask(statements.METRIC_STATISTICS, metric=metric)

    def top_runs(
        self, metric: str, most: int = 20, *, statistic: str = "last", greater_is_better: bool = True
    ) -> pa.Table:
        """The best runs by `last`, `first`, `lowest`, `highest` or `mean` of a metric, with all of these."""
        if statistic not in statements.STATISTICS:
            raise EngineError(
                f"No statistic is called {one_line(statistic, 40)}.", f"Use {', '.join(statements.STATISTICS)}."
            )
        return self._ask(statements.top_runs(statistic, greater_is_better=greater_is_better), metric=metric, most=most)

    def params_of(self, run_ids: Sequence[str]) -> pa.Table:
        """The params of a few runs (schema.PARAMS)."""
        table = pa.Table.from_arrays([column(list(run_ids), schema.STRING)], schema=_IDS)
        self._names["asked"] = self._connection.add_table("asked", table)
        return self._ask(statements.PARAMS_OF)

    def param_values(self, metric: str, param: str, most: int = 12) -> pa.Table:
        """How the latest values of a metric spread for each of the most frequent values of a param, most first.

        `runs` have both; `n` of them have a finite value. Values are as they were logged: `0.1` is not `1e-1`.
        """
        return self._ask(statements.PARAM_VALUES, metric=metric, param=param, most=most)

    def param_ranges(self, metric: str, param: str, ranges: int = 10) -> pa.Table:
        """The same for ranges of a param of numbers, with as many runs in each; other values are passed over."""
        return self._ask(statements.PARAM_RANGES, metric=metric, param=param, ranges=ranges)

    def band(self, metric: str, buckets: int = 60) -> pa.Table:
        """A metric over its steps in equal stretches: how the means of the runs within each of them spread.

        `n` runs have a finite value there.
        """
        return self._ask(statements.BAND, metric=metric, buckets=buckets)

    def bands_by_param(self, metric: str, param: str, most: int = 4, buckets: int = 60) -> pa.Table:
        """The same for the runs of each of the most frequent values of a param."""
        return self._ask(statements.BANDS_BY_PARAM, metric=metric, param=param, most=most, buckets=buckets)

    def best_so_far(self, metric: str, *, greater_is_better: bool = True) -> pa.Table:
        """The runs that were better than all that started before them; `place` counts the runs with the metric."""
        return self._ask(statements.best_so_far(greater_is_better=greater_is_better), metric=metric)

    def run_of_each_experiment(self) -> list[str]:
        """The id of one run of each experiment."""
        found: list[str] = self._ask(statements.RUN_OF_EACH_EXPERIMENT).column("run_id").to_pylist()
        return found

    def take_inventory(self, run_ids: tuple[str, ...]) -> Inventory:
        """Names and counts of these runs, which are the chosen ones, as a notebook is planned from; no tags."""
        latest = self._ask(statements.LATEST).to_pylist()
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
        """Let go of the engine, which cannot be asked again; the end of `with` and of the notebook do it too."""
        self._connection.close()

    def _ask(self, statement: Statement, **arguments: Any) -> pa.Table:
        names = {
            **self._names,
            "history": self._history(arguments.get("metric")) if "{history}" in statement.sql else "",
        }
        names["if_chosen"] = "" if self._all else statements.IF_CHOSEN.format(**names)
        return self._connection.query(statement.sql.format(**names), arguments, statement.columns)

    def _history(self, metric: str | None) -> str:
        """A view over the histories, or over those files of them in which a metric may be."""
        files = [file for file in self._histories if metric is None or file.keys is None or metric in file.keys]
        key = tuple(file.file for file in files)
        if key not in self._history_views:
            name = f"history_{len(self._history_views)}"
            self._history_views[key] = self._add(name, files, schema.METRIC_HISTORY)
        return self._history_views[key]

    def _add(self, name: str, files: Sequence[File], columns: pa.Schema) -> str:
        return self._connection.add_files(name, [f"{self._root}/{file.file}" for file in files], columns)
