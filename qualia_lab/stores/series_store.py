"""SeriesStore: a store in which a metric of several models or datasets in one run is several metrics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.columns import column, numbers_of, texts_of
from qualia_lab.errors import StoreError
from qualia_lab.stores.masked import privacy_of
from qualia_lab.stores.metric_series import find_series, point_of
from qualia_lab.stores.protocol import ReadsGenAI, find_experiments
from qualia_lab.stores.sql.rows import in_order
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.masking.tables import Masker
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.metric_series import MetricSeries
    from qualia_lab.stores.protocol import ArtifactPlace, TrackingStore
    from qualia_lab.tables import RunTables

    # A point as in schema.METRIC_HISTORY.
    Row = tuple[str, str, int | None, int | None, float | None]

# The subject of the row in `problems` for a run whose metrics could not be split.
UNREAD_SERIES = "metrics by model and dataset"

_TYPES = schema.METRIC_HISTORY.types


def in_series(
    store: TrackingStore, tables: RunTables, read_models: Callable[[], ModelTables] | None = None
) -> tuple[TrackingStore, RunTables]:
    """Split the metrics of these runs that are of several models or datasets, see `find_series`.

    Only for runs with logged models anything is read: the models, and the histories of the metrics to split.

    Args:
        store: the store of the runs.
        tables: the tables of the runs, as the store returns them.
        read_models: reads the models of these runs; None to read them from the store.

    Returns:
        The store and the tables; the same objects if there is nothing to split. If the models or histories cannot be
        read, nothing is split, and `problems` has the reason for each run with models.
    """
    if not tables.logged_models.num_rows or not isinstance(store, ReadsGenAI):
        return store, tables
    try:
        keys = pc.unique(tables.metrics.column("key")).to_pylist()
        models = read_models() if read_models is not None else store.read_models(run_ids=tables.run_ids)
        series = find_series(models, tables.run_ids, keys)
        if not series.points:
            return store, tables
        split = SeriesStore(store, series)
        return split, replace(tables, metrics=_latest(split, tables))
    except StoreError as error:
        run_ids = pc.unique(tables.logged_models.column("run_id")).to_pylist()
        rows = [{"run_id": run_id, "subject": UNREAD_SERIES, "reason": error.message} for run_id in run_ids]
        return store, replace(tables, problems=pa.concat_tables([tables.problems, table_of(schema.PROBLEMS, rows)]))


class SeriesStore(Closing):
    """A TrackingStore whose metric histories are split; `read` and filters have the metrics as they are stored."""

    def __init__(self, store: TrackingStore, series: MetricSeries) -> None:
        """Wrap a store.

        Args:
            store: the store, which reads models.
            series: the series of some of its runs.
        """
        assert isinstance(store, ReadsGenAI)
        self.stored = store
        self.uri = store.uri
        self.series = series
        self._genai: ReadsGenAI = store
        self._split_keys = frozenset(series.stored_keys.values())

    @property
    def source_uri(self) -> str | None:
        """The tracking URI of the store that a snapshot was taken from; None for other stores."""
        return getattr(self.stored, "source_uri", None)

    @property
    def masker(self) -> Masker | None:
        """What masks the secrets of the store; None if they are shown."""
        return getattr(self.stored, "masker", None)

    @property
    def privacy(self) -> Privacy:
        """What of people's words the store shows."""
        return privacy_of(self.stored)

    @property
    def as_of(self) -> int | None:
        """The time in ms up to which unfinished runs last, if the store is a copy as of that time."""
        return getattr(self.stored, "as_of", None)

    def read_experiments(self, view: View = "active") -> pa.Table:
        """See TrackingStore."""
        return self.stored.read_experiments(view)

    def find_experiments(self, view: View = "active") -> pa.Table:
        """See ListsWithoutCounts."""
        return find_experiments(self.stored, view)

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """See TrackingStore."""
        return self.stored.read_experiment_tags(experiment_ids)

    def read_runs(self, query: Query) -> pa.Table:
        """See TrackingStore."""
        return self.stored.read_runs(query)

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        return self.stored.explain(query)

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """See TrackingStore."""
        return self.stored.read(run_ids)

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See TrackingStore. `keys` are those of series and of metrics that are none."""
        stored_keys = None
        if keys is not None:
            stored_keys = list(dict.fromkeys(self.series.stored_keys.get(key, key) for key in keys))
        yield from self._split(self.stored.read_metric_history(run_ids, stored_keys), keys)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """See TrackingStore."""
        return self.stored.artifact_place(run_id, artifact_uri)

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:
        """See TrackingStore."""
        return self.stored.change_token(experiment_ids)

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """See ReadsGenAI."""
        return self._genai.read_models(experiment_ids=experiment_ids, run_ids=run_ids)

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """See ReadsGenAI."""
        return self._genai.read_traces(query, parts)

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """See ReadsGenAI."""
        return self._genai.read_spans(trace_ids, content=content)

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """See ReadsGenAI."""
        return self._genai.count_traces(experiment_ids)

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """See ReadsGenAI."""
        return self._genai.read_evaluation_datasets(experiment_ids)

    def close(self) -> None:
        """See TrackingStore."""
        self.stored.close()

    def _split(self, batches: Iterable[pa.RecordBatch], keys: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """The points of these keys, with the keys of their series."""
        wanted = None if keys is None else frozenset(keys)
        runs = column(sorted({run_id for run_id, _ in self.series.points}), schema.STRING)
        split_keys = column(sorted(self._split_keys), schema.STRING)
        # Other runs may have a metric of which only series were asked for.
        unwanted = column(sorted(self._split_keys - wanted) if wanted is not None else [], schema.STRING)
        group = _Group()
        for batch in batches:
            may_be_split = pc.and_(
                pc.is_in(batch.column("key"), value_set=split_keys), pc.is_in(batch.column("run_id"), value_set=runs)
            )
            for start, end in _stretches(numbers_of(may_be_split.cast(pa.int8()))):
                part = batch.slice(start, end - start)
                if not may_be_split[start].as_py():
                    yield from group.end(self.series, wanted)
                    part = part.filter(pc.invert(pc.is_in(part.column("key"), value_set=unwanted)))
                    if part.num_rows:
                        yield part
                    continue
                for row in zip(*_lists(part), strict=True):
                    if row[:2] != group.of:
                        yield from group.end(self.series, wanted)
                    group.add(row)
        yield from group.end(self.series, wanted)


class _Group:
    """The points of one run and key of MLflow, which may be in several batches."""

    def __init__(self) -> None:
        self.of: tuple[str, str] | None = None
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Add a point."""
        self.of = row[:2]
        self._rows.append(row)

    def end(self, series: MetricSeries, wanted: Collection[str] | None) -> Iterator[pa.RecordBatch]:
        """Yield the points of the wanted series, one series after the other, and forget them."""
        if self.of is None:
            return
        (run_id, key), rows = self.of, self._rows
        self.of, self._rows = None, []
        names = series.points.get((run_id, key), {})
        by_name: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            for name in names.get(point_of(*row[2:]), (key,)):
                if wanted is None or name in wanted:
                    by_name[name].append((run_id, name, *row[2:]))
        if by_name:
            split = [row for name in sorted(by_name) for row in by_name[name]]
            yield pa.RecordBatch.from_arrays(
                [column(values, kind) for values, kind in zip(zip(*split, strict=True), _TYPES, strict=True)],
                schema=schema.METRIC_HISTORY,
            )


def _stretches(marks: npt.NDArray[np.int8]) -> Iterator[tuple[int, int]]:
    """The beginning and end of each stretch of equal marks."""
    ends = [0, *(np.flatnonzero(np.diff(marks)) + 1).tolist(), len(marks)]
    return ((start, end) for start, end in pairwise(ends) if end > start)


def _lists(points: pa.RecordBatch) -> Iterator[list[Any]]:
    for name in schema.METRIC_HISTORY.names:
        values = points.column(name)
        yield texts_of(values) if name in ("run_id", "key") else values.to_pylist()


def _latest(store: SeriesStore, tables: RunTables) -> pa.Table:
    """The latest value of each metric, with one row for each series; the history of what is split is read."""
    points, stored_keys = store.series.points, store.series.stored_keys
    latest: dict[tuple[str, str], Row] = {}
    split_runs = {run_id for run_id, _ in points}
    run_ids = [run_id for run_id in tables.run_ids if run_id in split_runs]
    for batch in store.read_metric_history(run_ids, [*stored_keys, *dict.fromkeys(stored_keys.values())]):
        for row in zip(*_lists(batch), strict=True):
            latest[row[:2]] = row
    rows = {of: row for of, row in latest.items() if (of[0], stored_keys.get(of[1], of[1])) in points}
    replaced = {(run_id, stored_keys.get(key, key)) for run_id, key in rows}
    metrics = tables.metrics
    pairs = zip(*(texts_of(metrics.column(name)) for name in ("run_id", "key")), strict=True)
    kept = metrics.filter(column([pair not in replaced for pair in pairs], pa.bool_()))
    names = ("run_id", "key", "step", "timestamp", "value")
    new = table_of(schema.METRICS, [dict(zip(names, row, strict=True)) for row in rows.values()])
    return in_order(pa.concat_tables([kept, new]), "run_id", tables.run_ids, ("key",))
