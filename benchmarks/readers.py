"""The readers that are compared: qualia_lab, MLflow's client, the raw driver, and the bytes alone."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benchmarks.stores import STARTED
from benchmarks.wide import widen

if TYPE_CHECKING:
    from collections.abc import Callable

METRIC = "metric_1"
FILTER = "params.param_0 = '3'"
TOP = 50
RUNS_OF_HISTORY = 100
TRACES_OF_A_SCREEN = 20  # that `qualia traces` shows
TRACES_OF_A_PAGE = 100  # that MLflow returns unless told otherwise
SOME_TRACES = 5_000


class Ours:
    """qualia_lab; the store stays open between turns, as MLflow's client does."""

    def __init__(self, uri: str) -> None:
        from qualia_lab import open_store

        self.store = open_store(uri)

    def wide(self) -> pa.Table:
        """All runs with params, latest metrics and tags."""

        def read(store: Any) -> pa.Table:
            tables = store.read(_ids(store))
            return widen(tables.runs, params=tables.params, metrics=tables.metrics, tags=tables.tags)

        return self._opened(read)

    def history(self) -> pa.Table:
        """All points of RUNS_OF_HISTORY runs."""
        return self._opened(lambda store: _table(store.read_metric_history(_ids(store, RUNS_OF_HISTORY))))

    def metric(self) -> pa.Table:
        """All points of one metric of all runs."""
        return self._opened(lambda store: _table(store.read_metric_history(_ids(store), [METRIC])))

    def stream(self) -> pa.Table:
        """Count all points of all runs, as a stream."""

        def read(store: Any) -> pa.Table:
            return pa.table({"points": [sum(batch.num_rows for batch in store.read_metric_history(_ids(store)))]})

        return self._opened(read)

    def experiments(self) -> pa.Table:
        """Experiments with run counts and last activity."""
        columns = ["experiment_id", "run_count", "last_activity"]
        return self._opened(lambda store: store.read_experiments().select(columns))

    def top(self) -> pa.Table:
        """The best runs by a metric, of those with a certain param."""
        from qualia_lab import Query

        query = Query(filter=FILTER, order_by=(f"metrics.{METRIC} DESC",), limit=TOP)
        return self._opened(lambda store: store.read_runs(query).select(["run_id"]))

    def screen_traces(self) -> Any:
        """As many traces as the command shows, with what was said about them."""
        return self._traces(TRACES_OF_A_SCREEN)

    def first_traces(self) -> Any:
        """As many traces as MLflow returns by default."""
        return self._traces(TRACES_OF_A_PAGE)

    def some_traces(self) -> Any:
        """As many traces as MLflow's client reads in some seconds."""
        return self._traces(SOME_TRACES)

    def all_traces(self) -> Any:
        """All traces, with what was said about them."""
        return self._traces(None)

    def _traces(self, limit: int | None) -> Any:
        from qualia_lab.genai_tables import TraceQuery

        # The command masks secrets; MLflow's client does not, and so neither of the two does here.
        store = getattr(self.store, "stored", self.store)
        return store.read_traces(TraceQuery(limit=limit), ("traces", "assessments"))

    def as_table(self, job: str, result: Any) -> pa.Table:
        """Convert traces to a table with the number of their assessments; this is not part of the measurement."""
        if not job.endswith("_traces"):
            return result
        counts = Counter(result.assessments.column("trace_id").to_pylist())
        traces = result.traces.select(["trace_id", "state", "duration", "request_preview", "total_tokens"])
        numbers = [counts[trace_id] for trace_id in traces.column("trace_id").to_pylist()]
        return traces.append_column("assessments", pa.array(numbers, pa.int64()))

    def _opened(self, read: Callable[[Any], pa.Table]) -> pa.Table:
        return read(self.store)


def _ids(store: Any, limit: int | None = None) -> list[str]:
    from qualia_lab import Query

    return list(store.read_runs(Query(limit=limit)).column("run_id").to_pylist())


def _table(batches: Any) -> pa.Table:
    from qualia_lab import schema

    return pa.Table.from_batches(batches, schema.METRIC_HISTORY)


class Client:
    """MLflow's client, used as documented."""

    def __init__(self, uri: str) -> None:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        import mlflow

        mlflow.set_tracking_uri(uri)
        self.mlflow = mlflow
        self.client = mlflow.MlflowClient()

    def wide(self) -> Any:
        """See Ours."""
        return self.mlflow.search_runs(search_all_experiments=True, max_results=1_000_000)

    def history(self) -> Any:
        """See Ours."""
        runs = self.client.search_runs(self._experiments(), max_results=RUNS_OF_HISTORY)
        return [(run.info.run_id, self._of_run(run)) for run in runs]

    def metric(self) -> Any:
        """See Ours."""
        return [(run.info.run_id, self._points(run, METRIC)) for run in self._runs()]

    def experiments(self) -> Any:
        """See Ours."""
        runs = self._runs()
        entries = {experiment.experiment_id: [0, None] for experiment in self.client.search_experiments()}
        for run in runs:
            entry = entries[run.info.experiment_id]
            times = [t for t in (entry[1], run.info.start_time, run.info.end_time) if t is not None]
            entry[:] = [entry[0] + 1, max(times, default=None)]
        return entries

    def top(self) -> Any:
        """See Ours."""
        order = [f"metrics.{METRIC} DESC"]
        return self.client.search_runs(self._experiments(), FILTER, order_by=order, max_results=TOP)

    def screen_traces(self) -> Any:
        """See Ours."""
        return self._traces(TRACES_OF_A_SCREEN)

    def first_traces(self) -> Any:
        """See Ours."""
        return self._traces(TRACES_OF_A_PAGE)

    def some_traces(self) -> Any:
        """See Ours."""
        return self._traces(SOME_TRACES)

    def all_traces(self) -> Any:
        """See Ours."""
        return self._traces(10_000_000)

    def _traces(self, limit: int) -> Any:
        """The latest traces, in the largest pages that MLflow allows."""
        traces: list[Any] = []
        token, ids = None, self._experiments()
        while len(traces) < limit:
            page = self.client.search_traces(
                locations=ids, max_results=min(500, limit - len(traces)), include_spans=False, page_token=token
            )
            traces += page
            token = page.token
            if not token:
                break
        return traces

    def as_table(self, job: str, result: Any) -> pa.Table:
        """Convert a result to the table that Ours returns; this is not part of the measurement."""
        if job.endswith("_traces"):
            names = ["trace_id", "state", "duration", "request_preview", "total_tokens", "assessments"]
            return pa.Table.from_pylist([dict(zip(names, _of_trace(trace.info), strict=True)) for trace in result])
        if job == "wide":
            frame = result.drop(columns=["artifact_uri"])
            for name in ("start_time", "end_time"):
                frame[name] = frame[name].dt.tz_localize(None).astype("datetime64[ms]").astype("int64")
            return pa.Table.from_pandas(frame, preserve_index=False)
        if job == "experiments":
            rows = [(id_, *entry) for id_, entry in result.items()]
            columns = pa.schema(
                [("experiment_id", pa.string()), ("run_count", pa.int64()), ("last_activity", pa.int64())]
            )
        elif job == "top":
            rows, columns = [(run.info.run_id,) for run in result], pa.schema([("run_id", pa.string())])
        else:
            from qualia_lab import schema

            columns = schema.METRIC_HISTORY
            rows = [(id_, p.key, p.step, p.timestamp, p.value) for id_, points in result for p in points]
        return pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), columns, strict=True)], schema=columns
        )

    def _experiments(self) -> list[str]:
        return [experiment.experiment_id for experiment in self.client.search_experiments()]

    def _runs(self) -> list[Any]:
        """All runs, page by page."""
        runs: list[Any] = []
        token, ids = None, self._experiments()
        while True:
            page = self.client.search_runs(ids, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _of_run(self, run: Any) -> list[Any]:
        return [point for key in run.data.metrics for point in self._points(run, key)]

    def _points(self, run: Any, key: str) -> Any:
        return self.client.get_metric_history(run.info.run_id, key)


class Fluent(Client):
    """MLflow's function that returns traces as a DataFrame; it reads pages of 100."""

    def _traces(self, limit: int) -> Any:
        ids = self._experiments()
        return self.mlflow.search_traces(locations=ids, max_results=limit, include_spans=False)

    def as_table(self, job: str, result: Any) -> pa.Table:
        """See Client."""
        from mlflow.entities import Trace

        return super().as_table(job, [Trace.from_json(text) for text in result["trace"]])


def _of_trace(info: Any) -> tuple[Any, ...]:
    tokens = json.loads(info.trace_metadata.get("mlflow.trace.tokenUsage", "{}")).get("total_tokens")
    return info.trace_id, info.state.value, info.execution_duration, info.request_preview, tokens, len(info.assessments)


_VALUE = "CASE WHEN is_nan THEN NULL ELSE value END"


class Raw:
    """The Python driver of the database: one statement for each table, tuples zipped into Arrow columns, no checks."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.mark = "?" if uri.startswith("sqlite") else "%s"
        self.connection = nullcontext(self._connect())  # open between turns, as the others are

    def wide(self) -> pa.Table:
        """See Ours."""
        with self.connection as connection:
            runs = self._runs(connection)
            params = _rows(connection, "SELECT run_uuid, key, value FROM params", "run_id key value")
            metrics = _rows(connection, f"SELECT run_uuid, key, {_VALUE} FROM latest_metrics", "run_id key value")
            tags = _rows(connection, "SELECT run_uuid, key, value FROM tags", "run_id key value")
            return widen(runs, params=params, metrics=metrics, tags=tags)

    def history(self) -> pa.Table:
        """See Ours."""
        with self.connection as connection:
            ids = self._runs(connection, f"LIMIT {RUNS_OF_HISTORY}").column("run_id").to_pylist()
            where = f"run_uuid IN ({', '.join([self.mark] * len(ids))})"
            return self._points(connection, where, ids)

    def metric(self) -> pa.Table:
        """See Ours."""
        with self.connection as connection:
            return self._points(connection, f"key = {self.mark}", [METRIC])

    def experiments(self) -> pa.Table:
        """See Ours. All columns of its table are read, though only some are compared."""
        sql = (
            "SELECT CAST(e.experiment_id AS VARCHAR), count(r.run_uuid), max(r.start_time), max(r.end_time),"
            " e.name, e.artifact_location, e.lifecycle_stage, e.creation_time, e.last_update_time"
            " FROM experiments e LEFT JOIN runs r ON r.experiment_id = e.experiment_id"
            " AND r.lifecycle_stage = 'active' WHERE e.lifecycle_stage = 'active' GROUP BY e.experiment_id"
        )
        names = "experiment_id run_count started last_activity name artifact_location lifecycle_stage created updated"
        with self.connection as connection:
            table = _rows(connection, self._dialect(sql), names)
            return table.select(["experiment_id", "run_count", "last_activity"])

    def top(self) -> pa.Table:
        """See Ours. All columns of its table are read; runs without the metric are last, NaN before them."""
        sql = (
            "SELECT r.run_uuid, CAST(r.experiment_id AS VARCHAR), coalesce(nullif(r.name, ''), n.value), r.status,"
            " r.start_time, r.end_time, r.user_id, r.lifecycle_stage, r.artifact_uri, t.value FROM runs r"
            " JOIN experiments e ON e.experiment_id = r.experiment_id AND e.lifecycle_stage = 'active'"
            " JOIN params p ON p.run_uuid = r.run_uuid AND p.key = 'param_0' AND p.value = '3'"
            f" LEFT JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.key = '{METRIC}'"
            " LEFT JOIN tags n ON n.run_uuid = r.run_uuid AND n.key = 'mlflow.runName'"
            " LEFT JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'mlflow.parentRunId'"
            " WHERE r.lifecycle_stage = 'active'"
            " ORDER BY CASE WHEN m.value IS NULL THEN 2 WHEN m.is_nan THEN 1 ELSE 0 END, m.value DESC,"
            f" r.start_time DESC, r.run_uuid LIMIT {TOP}"
        )
        names = "run_id experiment_id name status start_time end_time user_id lifecycle_stage artifact_uri parent"
        with self.connection as connection:
            return _rows(connection, self._dialect(sql), names).select(["run_id"])

    def _runs(self, connection: Any, then: str = "") -> pa.Table:
        sql = (
            "SELECT run_uuid, CAST(experiment_id AS VARCHAR), status, start_time, end_time FROM runs"
            f" WHERE lifecycle_stage = 'active' ORDER BY start_time DESC, run_uuid {then}"
        )
        return _rows(connection, self._dialect(sql), "run_id experiment_id status start_time end_time")

    def _points(self, connection: Any, where: str, values: list[str]) -> pa.Table:
        sql = f"SELECT run_uuid, key, step, timestamp, {_VALUE} FROM metrics WHERE {where}"
        return _rows(connection, sql, "run_id key step timestamp value", values)

    def _dialect(self, sql: str) -> str:
        return sql.replace("VARCHAR", "TEXT") if self.uri.startswith("sqlite") else sql

    def _connect(self) -> Any:
        if self.uri.startswith("sqlite"):
            import sqlite3

            return sqlite3.connect(f"file:{self.uri.removeprefix('sqlite:///')}?mode=ro", uri=True)
        import psycopg

        return psycopg.connect(self.uri.replace("+psycopg", ""), autocommit=True)


def _rows(connection: Any, sql: str, names: str, values: Any = ()) -> pa.Table:
    rows = connection.cursor().execute(sql, values).fetchall()
    return pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=names.split())


class Bytes:
    """Read and discard the bytes of the files with the answer, as `cat` does."""

    def __init__(self, uri: str) -> None:
        self.folder = Path(uri)

    def wide(self) -> pa.Table:
        """See Ours."""
        return self._read("")

    def history(self) -> pa.Table:
        """See Ours."""
        runs = {run.name: run for experiment in self.folder.iterdir() for run in experiment.iterdir() if run.is_dir()}
        size = sum(_read(run / "meta.yaml") for run in runs.values())  # needed to find the newest runs
        newest = sorted(runs.values(), key=_started, reverse=True)[:RUNS_OF_HISTORY]
        return pa.table({"bytes": [size + sum(_read(file) for run in newest for file in os.scandir(run / "metrics"))]})

    def metric(self) -> pa.Table:
        """See Ours."""
        return self._read(METRIC)

    def _read(self, only: str) -> pa.Table:
        size = 0
        for home, _, names in os.walk(self.folder):
            size += sum(_read(f"{home}/{name}") for name in names if not only or name == only)
        return pa.table({"bytes": [size]})


def _started(run: Path) -> int:
    return (run / "meta.yaml").stat().st_mtime_ns - STARTED


def _read(path: Any) -> int:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the fastest way
        return len(file.read())


class Copied(Raw):
    """Receive and discard the same rows from PostgreSQL in binary format: a lower bound for every reader."""

    def wide(self) -> pa.Table:
        """See Ours."""
        runs = "SELECT run_uuid, CAST(experiment_id AS VARCHAR), status, start_time, end_time FROM runs"
        texts = (f"SELECT run_uuid, key, value FROM {table}" for table in ("params", "tags"))
        return self._copied(runs, *texts, f"SELECT run_uuid, key, {_VALUE} FROM latest_metrics")

    def history(self) -> pa.Table:
        """See Ours."""
        with self.connection as connection:
            ids = self._runs(connection, f"LIMIT {RUNS_OF_HISTORY}").column("run_id").to_pylist()
        id_list = ", ".join(f"'{run_id}'" for run_id in ids)
        return self._copied(
            f"SELECT run_uuid, key, step, timestamp, {_VALUE} FROM metrics WHERE run_uuid IN ({id_list})"
        )

    def metric(self) -> pa.Table:
        """See Ours."""
        return self._copied(f"SELECT run_uuid, key, step, timestamp, {_VALUE} FROM metrics WHERE key = '{METRIC}'")

    def screen_traces(self) -> pa.Table:
        """See Ours."""
        return self._traces(f"LIMIT {TRACES_OF_A_SCREEN}")

    def first_traces(self) -> pa.Table:
        """See Ours."""
        return self._traces(f"LIMIT {TRACES_OF_A_PAGE}")

    def some_traces(self) -> pa.Table:
        """See Ours."""
        return self._traces(f"LIMIT {SOME_TRACES}")

    def all_traces(self) -> pa.Table:
        """See Ours."""
        return self._traces("")

    def _traces(self, limit: str) -> pa.Table:
        """Traces with run, user and model, and what was said about them."""
        latest = (
            "FROM trace_info t WHERE experiment_id IN (SELECT experiment_id FROM experiments"
            f" WHERE lifecycle_stage = 'active') ORDER BY timestamp_ms DESC, request_id {limit}"
        )
        metadata = (
            f"(SELECT value FROM trace_request_metadata WHERE request_id = t.request_id AND key = '{key}')"
            for key in ("mlflow.sourceRun", "mlflow.trace.user", "mlflow.modelId")
        )
        said = f"WHERE trace_id IN (SELECT request_id {latest})" if limit else ""
        return self._copied(
            "SELECT request_id, experiment_id, trace_name, status, timestamp_ms, execution_time_ms, request_preview,"
            " response_preview, client_request_id, session_id, input_tokens, output_tokens, total_tokens, total_cost,"
            f" {', '.join(metadata)} {latest}",
            "SELECT trace_id, assessment_id, name, assessment_type, value, error, rationale, source_type, source_id,"
            " run_id, span_id, overrides, valid, assessment_metadata, created_timestamp, last_updated_timestamp"
            f" FROM assessments {said}",
        )

    def _copied(self, *queries: str) -> pa.Table:
        size = 0
        with self.connection as connection:
            for query in queries:
                with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as rows:
                    size += sum(map(len, rows))
        return pa.table({"bytes": [size]})


def _bytes_of(uri: str) -> Bytes | Copied:
    return Copied(uri) if uri.startswith("postgresql") else Bytes(uri)


READERS = {"ours": Ours, "store": Ours, "client": Client, "fluent": Fluent, "raw": Raw, "bytes": _bytes_of}
