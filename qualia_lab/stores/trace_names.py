"""What traces name: the runs and logged models that they belong to, with their names, without anything else of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qualia_lab import schema
from qualia_lab.errors import StoreError
from qualia_lab.genai_tables import ModelTables, model_tables
from qualia_lab.selection import Query
from qualia_lab.stores.protocol import ReadsGenAI, find_experiments
from qualia_lab.tables import rows_with, run_tables, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.genai_tables import TraceTables
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables

MOST_RUNS = 200  # runs that are looked up; others are called by the start of their id


@dataclass(frozen=True)
class TraceNames:
    """The runs and models that traces name.

    Attributes:
        runs: the runs (schema.RUNS).
        models: the logged models, without what was logged for them.
    """

    runs: pa.Table = field(default_factory=lambda: table_of(schema.RUNS, ()))
    models: ModelTables = field(default_factory=model_tables)


def read_trace_names(store: TrackingStore, tables: TraceTables) -> TraceNames:
    """Read the runs and models that these traces name; those that cannot be read are left out.

    Args:
        store: the store of the traces.
        tables: the traces with their links.
    """
    named = (tables.traces.column("run_id"), tables.links.column("run_id"))
    run_ids = tuple(dict.fromkeys(run_id for column in named for run_id in column.unique().to_pylist() if run_id))
    model_ids = [one for one in tables.traces.column("model_id").unique().to_pylist() if one]
    names = TraceNames()
    try:
        if run_ids:
            runs = store.read_runs(Query(run_ids=run_ids[:MOST_RUNS], view="all"))
            names = TraceNames(runs, names.models)
        if model_ids and isinstance(store, ReadsGenAI):
            experiments = tables.traces.column("experiment_id").drop_null().unique().to_pylist()
            models = store.read_models(experiment_ids=experiments).models
            names = TraceNames(names.runs, model_tables(models=rows_with(models, "model_id", model_ids)))
    except StoreError:
        return names
    return names


def beside_traces(store: TrackingStore, tables: TraceTables) -> tuple[RunTables, ModelTables]:
    """Read what a snapshot of traces needs beside them: their experiments, and the runs and models that they name.

    Args:
        store: the store of the traces.
        tables: the traces with their links.
    """
    names = read_trace_names(store, tables)
    ids = tables.traces.column("experiment_id").drop_null().unique().to_pylist()
    experiments = rows_with(find_experiments(store, "all"), "experiment_id", ids)
    return run_tables(experiments=experiments.select(schema.EXPERIMENTS.names), runs=names.runs), names.models
