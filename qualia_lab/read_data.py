"""ReadData: what was read of one store, so that the steps of making a notebook read it once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.errors import SelectionError
from qualia_lab.genai_tables import model_tables, trace_tables, traces_query
from qualia_lab.stores.protocol import ReadsGenAI, find_experiments, read_models_of
from qualia_lab.stores.series_store import in_series
from qualia_lab.tables import combined_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.genai_tables import ModelTables, TraceQuery, TraceTables
    from qualia_lab.selection import Selection, View
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables


class ReadRuns(NamedTuple):
    """Runs that were read: as they are stored, and with split metrics and the store of their histories."""

    run_ids: tuple[str, ...]
    stored: RunTables
    store: TrackingStore
    tables: RunTables


class ReadData:
    """The data of one store. Of runs, models and traces, only what was read last is kept.

    Attributes:
        store: the open store.
    """

    def __init__(self, store: TrackingStore) -> None:
        """Nothing is read yet."""
        self.store = store
        self._runs: ReadRuns | None = None
        self._traces: tuple[TraceQuery, TraceTables] | None = None
        self._models: tuple[tuple[str, ...], ModelTables] | None = None
        self._experiments: dict[View, pa.Table] = {}

    def experiments(self, view: View = "active", *, counted: bool = True) -> pa.Table:
        """The experiments (schema.EXPERIMENT_LIST); `counted`: whether run counts and latest activity are needed."""
        cached = self._experiments.get(view)
        if cached is None or (counted and cached.column("run_count").null_count):
            cached = self.store.read_experiments(view) if counted else find_experiments(self.store, view)
            self._experiments[view] = cached
        return cached

    def runs(self, selection: Selection) -> ReadRuns:
        """The selected runs."""
        if self._runs is None or self._runs.run_ids != selection.run_ids:
            stored, self._models = self.store.read(selection.run_ids), None
            self._runs = ReadRuns(
                selection.run_ids, stored, *in_series(self.store, stored, lambda: self._models_of(stored))
            )
        return self._runs

    def traces(self, query: TraceQuery) -> TraceTables:
        """These traces, without their spans. Raises SelectionError if the store cannot hold traces."""
        if not isinstance(self.store, ReadsGenAI):
            raise SelectionError(f"{self.store.uri} holds no traces.", "Name another tracking URI.")
        if self._traces is None or self._traces[0] != query:
            self._traces = (query, self.store.read_traces(query))
        return self._traces[1]

    def genai(self, selection: Selection) -> tuple[ModelTables, TraceTables]:
        """The models and traces of the selected runs; empty if there are none."""
        if not isinstance(self.store, ReadsGenAI) or not selection.run_ids:
            return model_tables(), trace_tables()
        tables = self.runs(selection).tables
        if not tables.run_ids:  # a query without runs would be one for all traces
            return model_tables(), trace_tables()
        traces = self.traces(traces_query(tables))
        return self._models_of(tables), traces

    def digest(self, selection: Selection) -> str:
        """A digest of the data of the selected runs or traces, by which a change is recognized."""
        if selection.traces is not None:
            return self.traces(selection.traces).digest
        models, traces = self.genai(selection)
        of_runs = self.runs(selection).tables.digest
        if not (models.models.num_rows or models.versions.num_rows or traces.traces.num_rows):
            return of_runs
        return combined_digest((of_runs, models.digest, traces.digest))

    def forget(self) -> None:
        """Free the tables of runs, models and traces; later steps read them again."""
        self._runs = self._traces = self._models = None

    def _models_of(self, tables: RunTables) -> ModelTables:
        """The models of the runs that were read last."""
        if self._models is None or self._models[0] != tables.run_ids:
            self._models = (tables.run_ids, read_models_of(self.store, tables))
        return self._models[1]
