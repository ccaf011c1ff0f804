"""The models, traces, spans and evaluation datasets of MLflow 3 in a snapshot; they belong to it as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import StoreError
from qualia_lab.genai_tables import with_few_inputs
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.protocol import ReadsGenAI
from qualia_lab.stores.snapshot.location import PARTS
from qualia_lab.stores.snapshot.model_files import MODEL_FILE_ROWS, MODEL_FILES, save_model_file
from qualia_lab.stores.snapshot.parts import read_table, write_file
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qualia_lab.genai_tables import ModelTables, TraceQuery, TraceTables
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.stores.snapshot.manifest import File, Manifest

# Spans with their inputs, outputs, attributes and events, and spans with a few inputs at most.
SPANS = "spans"
SPANS_IN_PART = "spans_in_part"

TABLES: dict[str, pa.Schema] = {
    **{f"model_{name}": columns for name, columns in schema.MODEL_TABLES.items()},
    **{f"trace_{name}": columns for name, columns in schema.TRACE_TABLES.items()},
    **{f"evaluation_{name}": columns for name, columns in schema.EVALUATION_TABLES.items()},
    SPANS: schema.SPANS,
    SPANS_IN_PART: schema.SPANS,
    MODEL_FILES: MODEL_FILE_ROWS,
}

_ENDED = ("OK", "ERROR")
_ROWS_PER_FILE = 50_000
_MODEL_FILES = 1_000
_BYTES_PER_FILE = 64_000_000


@dataclass(frozen=True)
class GenAIChoice:
    """Which models, traces and evaluation datasets a snapshot holds.

    Attributes:
        experiment_ids: the experiments whose models and evaluation datasets are saved; () for all of the store.
        run_ids: the runs whose models are saved, if not those of whole experiments.
        traces: which traces are saved; None for none.
        spans_of: the traces whose spans are saved with their content; None for all that are saved.
        few_inputs_of: the traces whose spans are saved with the inputs of root spans and of tools alone.
        bare_spans_of: the traces whose spans are saved without content.
        trace_tables: the traces, if they were read already.
        model_tables: the models, if they were read already.
        only_traces: whether nothing but the traces is saved, the `model_tables`, and of runs what `runs` says of them.
        files_of: the logged models whose MLmodel file is saved; None for the latest 1,000.
        standalone: for a reader on another machine: files on this machine are saved too, and no folder is recorded.
    """

    experiment_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    traces: TraceQuery | None = None
    spans_of: tuple[str, ...] | None = None
    few_inputs_of: tuple[str, ...] = ()
    bare_spans_of: tuple[str, ...] = ()
    trace_tables: TraceTables | None = None
    model_tables: ModelTables | None = None
    only_traces: bool = False
    files_of: tuple[str, ...] | None = ()
    standalone: bool = False


def write_genai(
    location: SnapshotLocation,
    store: TrackingStore,
    choice: GenAIChoice,
    *,
    old: Manifest | None = None,
    durable: bool = True,
) -> tuple[File, ...]:
    """Write the tables of this choice. What cannot be read is left out, with the reason in `problems`.

    Args:
        location: where the snapshot is.
        store: the store; one that has no such tables gives none.
        choice: what to save.
        old: an existing snapshot: the spans of traces that had ended and have not changed are not read again.
        durable: whether files are synced to disk.

    Returns:
        The files for the manifest; empty tables have none.
    """
    if not isinstance(store, ReadsGenAI):
        return ()
    tables: dict[str, pa.Table] = {}
    if choice.model_tables is not None or not choice.only_traces:
        models = choice.model_tables or store.read_models(experiment_ids=choice.experiment_ids, run_ids=choice.run_ids)
        tables |= {f"model_{name}": getattr(models, name) for name in schema.MODEL_TABLES}
        tables[MODEL_FILES] = _model_files(store, models, choice)
    if not choice.only_traces and (not choice.run_ids or choice.experiment_ids):
        evaluation = store.read_evaluation_datasets(choice.experiment_ids)
        tables |= {f"evaluation_{name}": getattr(evaluation, name) for name in schema.EVALUATION_TABLES}
    spans: tuple[File, ...] = ()
    if choice.traces is not None:
        traces = choice.trace_tables or store.read_traces(choice.traces)
        tables |= {f"trace_{name}": getattr(traces, name) for name in schema.TRACE_TABLES}
        spans = _write_spans(location, store, choice, traces.traces, old=old, durable=durable)
    files = [
        write_file(location, name, _new_name(), [table], durable=durable)
        for name, table in tables.items()
        if table.num_rows
    ]
    return (*files, *spans)


def _model_files(store: TrackingStore, models: ModelTables, choice: GenAIChoice) -> pa.Table:
    """The MLmodel files of the chosen models."""
    columns = (models.models.column(name).to_pylist() for name in ("model_id", "artifact_location"))
    locations = dict(zip(*columns, strict=True))  # by creation time
    chosen = [*locations][-_MODEL_FILES:] if choice.files_of is None else choice.files_of
    places = [(one, store.artifact_place(one, locations[one] or "")) for one in chosen if one in locations]
    rows = in_parallel(lambda one: save_model_file(*one, standalone=choice.standalone), places)
    return table_of(MODEL_FILE_ROWS, list(rows))


def _new_name() -> str:
    return f"{PARTS}/{uuid4().hex}-0.parquet"


def _write_spans(
    location: SnapshotLocation,
    store: ReadsGenAI,
    choice: GenAIChoice,
    traces: pa.Table,
    *,
    old: Manifest | None,
    durable: bool,
) -> tuple[File, ...]:
    wanted = traces.column("trace_id").to_pylist() if choice.spans_of is None else list(choice.spans_of)
    kept, files = _kept_spans(location, old, traces, set(wanted)) if old is not None else (set[str](), [])
    for name, trace_ids, content in (
        (SPANS, [trace_id for trace_id in wanted if trace_id not in kept], True),
        (SPANS_IN_PART, list(choice.few_inputs_of), True),
        (SPANS_IN_PART, list(choice.bare_spans_of), False),
    ):
        tables = (
            pa.Table.from_batches([batch])
            for batch in (store.read_spans(trace_ids, content=content) if trace_ids else ())
        )
        for table in _in_files(map(with_few_inputs, tables) if content and name == SPANS_IN_PART else tables):
            files.append(write_file(location, name, _new_name(), [table], durable=durable))
    return tuple(files)


def _in_files(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The tables as larger ones of a bounded number of rows and bytes."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        size += table.nbytes
        if rows >= _ROWS_PER_FILE or size >= _BYTES_PER_FILE:
            yield pa.concat_tables(waiting)
            waiting, rows, size = [], 0, 0
    if rows:
        yield pa.concat_tables(waiting)


def _kept_spans(
    location: SnapshotLocation, old: Manifest, traces: pa.Table, wanted: set[str]
) -> tuple[set[str], list[File]]:
    """The traces whose saved spans are still right, and the files with them: their trace has ended and not changed."""
    unchanged = {row[0] for row in _ended(_saved_traces(location, old)) & _ended(traces)} & wanted
    kept: set[str] = set()
    files = []
    for file in old.tables:
        if file.table != SPANS:
            continue
        try:
            table = read_table(location, [file], schema.SPANS)
        except StoreError:
            continue  # the spans of a damaged file are read again
        there = set(pc.unique(table.column("trace_id")).to_pylist())
        right = (there & unchanged) - kept
        if right and right != there:
            table = table.filter(pc.is_in(table.column("trace_id"), value_set=column(sorted(right), schema.STRING)))
            file = write_file(location, SPANS, _new_name(), [table])  # noqa: PLW2901 - the file without the other traces
        if right:
            files.append(file)
            kept |= right
    return kept, files


def _saved_traces(location: SnapshotLocation, old: Manifest) -> pa.Table:
    try:
        return read_table(location, [file for file in old.tables if file.table == "trace_traces"], schema.TRACES)
    except StoreError:
        return read_table(location, [], schema.TRACES)


def _ended(traces: pa.Table) -> set[tuple[str, str, int | None, int | None]]:
    """The traces that have ended: id, state, time and duration."""
    columns = (traces.column(name).to_pylist() for name in ("trace_id", "state", "request_time", "duration"))
    return {row for row in zip(*columns, strict=True) if row[1] in _ENDED}
