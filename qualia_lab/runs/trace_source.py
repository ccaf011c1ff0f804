"""The traces that a `Traces` is about, and their spans, read when they are needed and kept."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.analysis.spans_read import spans_read
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.runs.evaluated import traces_of_runs
from qualia_lab.stores.protocol import ReadsGenAI
from qualia_lab.stores.snapshot.store import snapshot_below
from qualia_lab.stores.trace_choice import ALL_PARTS, chosen_ids, in_order, parts_to_choose
from qualia_lab.stores.trace_names import TraceNames, read_trace_names
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qualia_lab.analysis.spans_read import SpansRead
    from qualia_lab.genai_tables import TraceTables
    from qualia_lab.runs.loaded import Loaded

_MOST_BYTES = 64_000_000  # of spans with their inputs and outputs


class TraceSource:
    """Traces with their assessments, and what else is read of them on demand.

    Args:
        store: the store of the traces; None if it has none.
        read: returns the traces with their assessments.
        experiments: the names of experiments by id.
        is_complete: whether `read` returns tags, metadata and linked runs, too.
        read_names: reads the runs and models that traces name.
    """

    def __init__(
        self,
        store: ReadsGenAI | None,
        read: Callable[[], TraceTables],
        experiments: Mapping[str, str],
        *,
        is_complete: bool = False,
        read_names: Callable[[TraceTables], TraceNames] = lambda _: TraceNames(),
    ) -> None:
        self.store = store
        self.experiments = experiments
        snapshot = snapshot_below(store)
        # Whether the store was handed over to this execution, with no other spans than those of `spans_read`.
        self.is_handed_over = snapshot is not None and snapshot.has_spans_in_part
        self._is_complete = is_complete
        self._read = read
        self._read_names = read_names

    @cached_property
    def tables(self) -> TraceTables:
        """The traces with their assessments; the other tables may be empty."""
        return self._read()

    @cached_property
    def all_tables(self) -> TraceTables:
        """The traces with everything but their spans."""
        return self.tables if self._is_complete else self.of(self.tables.traces.column("trace_id").to_pylist())

    @cached_property
    def chosen(self) -> SpansRead:
        """Of which traces the spans are read."""
        return spans_read(self.tables)

    def names_in(self, tables: TraceTables) -> TraceNames:
        """The runs and models that these traces name."""
        return self._read_names(tables)

    @cached_property
    def latest_spans(self) -> pa.Table:
        """The spans of the latest traces without inputs and outputs (schema.SPANS)."""
        return self._spans(self.chosen.latest, content=False)

    @cached_property
    def whole_spans(self) -> pa.Table:
        """The spans of the traces that are read whole (schema.SPANS), up to 64 MB."""
        return self._spans(self.chosen.whole, content=True)

    def of(self, trace_ids: list[str]) -> TraceTables:
        """These traces with everything but their spans; those that are not among the traces are left out."""
        known = set(self.tables.traces.column("trace_id").to_pylist())
        trace_ids = [trace_id for trace_id in trace_ids if trace_id in known]
        if self.store is None or self._is_complete or not trace_ids:
            return in_order(self.tables, trace_ids, ALL_PARTS)
        query = TraceQuery(experiment_ids=self._experiment_ids, trace_ids=tuple(trace_ids))
        return in_order(self.store.read_traces(query), trace_ids, ALL_PARTS)

    def spans_of(self, trace_id: str) -> pa.Table:
        """The spans of one trace with inputs and outputs, as far as they can be read here."""
        return self._spans((trace_id,), content=True)

    def matching(self, query: TraceQuery) -> TraceTables:
        """The traces among these that match a filter, in its order, up to its limit."""
        needed = parts_to_choose(query)
        tables = self.tables if needed <= {"traces", "assessments"} else self.all_tables
        read = self.store.read_spans if self.store is not None else lambda *_, **__: iter(())
        return in_order(tables, chosen_ids(replace(query, experiment_ids=()), tables, read), ALL_PARTS)

    @property
    def _experiment_ids(self) -> tuple[str, ...]:
        return tuple(self.tables.traces.column("experiment_id").drop_null().unique().to_pylist())

    def _spans(self, trace_ids: tuple[str, ...], *, content: bool) -> pa.Table:
        if self.store is None or not trace_ids:
            return table_of(schema.SPANS, ())
        batches, size = [], 0
        for batch in self.store.read_spans(trace_ids, content=content):
            batches.append(batch)
            size += batch.nbytes
            if content and size > _MOST_BYTES:
                break
        return pa.Table.from_batches(batches, schema.SPANS)


def source_of_runs(loaded: Loaded) -> TraceSource:
    """The traces of the loaded runs: made in one of them, or linked to one."""
    store = loaded.store if isinstance(loaded.store, ReadsGenAI) else None
    return TraceSource(
        store,
        lambda: traces_of_runs(loaded),
        loaded.experiments,
        is_complete=True,
        read_names=lambda tables: read_trace_names(loaded.store, tables),
    )
