"""Reads the models, traces, spans and evaluation datasets in a snapshot, as `ReadsGenAI` describes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.genai_tables import EvaluationTables, ModelTables, TraceTables
from qualia_lab.stores.snapshot.genai import SPANS, SPANS_IN_PART, TABLES
from qualia_lab.stores.snapshot.model_files import MODEL_FILES, saved_model_place
from qualia_lab.stores.snapshot.parts import read_table
from qualia_lab.stores.trace_choice import ALL_PARTS, chosen_ids, in_order, parts_to_choose
from qualia_lab.tables import rows_with, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from qualia_lab.genai_tables import TracePart, TraceQuery
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.stores.snapshot.manifest import Manifest


class SnapshotGenAI:
    """The tables of MLflow 3 in one snapshot.

    Args:
        location: where the snapshot is.
        manifest: its manifest.
    """

    def __init__(self, location: SnapshotLocation, manifest: Manifest) -> None:
        self._location = location
        self._manifest = manifest

    def read_models(
        self, experiment_ids: Sequence[str], run_ids: Sequence[str], runs_of_experiments: Collection[str]
    ) -> ModelTables:
        """See ReadsGenAI. `runs_of_experiments`: the runs of these experiments in the snapshot."""
        everything = not experiment_ids and not run_ids
        models, outputs, versions = (self._table(f"model_{name}") for name in ("models", "outputs", "versions"))
        if not everything:
            by_output = _values(rows_with(outputs, "run_id", run_ids), "model_id")
            models = models.filter(
                _any(
                    _is_in(models, "experiment_id", experiment_ids),
                    _is_in(models, "run_id", run_ids),
                    _is_in(models, "model_id", by_output),
                )
            )
            runs = [*run_ids, *runs_of_experiments]
            versions = versions.filter(
                _any(_is_in(versions, "model_id", _values(models, "model_id")), _is_in(versions, "run_id", runs))
            )
        model_ids, names = _values(models, "model_id"), _values(versions, "name")
        of_models = {
            name: rows_with(self._table(f"model_{name}"), "model_id", model_ids)
            for name in ("outputs", "params", "tags", "metrics")
        }
        of_versions = {
            name: rows_with(self._table(f"model_{name}"), "name", names) for name in ("version_tags", "aliases")
        }
        return ModelTables(
            models=models, versions=versions, problems=self._table("model_problems"), **of_models, **of_versions
        )

    def read_traces(
        self, query: TraceQuery, parts: Sequence[TracePart] | None, active_experiments: Sequence[str]
    ) -> TraceTables:
        """See ReadsGenAI. `active_experiments`: those in which a query without experiments searches."""
        wanted = set(ALL_PARTS if parts is None else parts) | parts_to_choose(query)
        tables = TraceTables(
            **{
                name: self._table(f"trace_{name}") if name in wanted or name == "problems" else table_of(columns, [])
                for name, columns in schema.TRACE_TABLES.items()
            }
        )
        traces = rows_with(tables.traces, "experiment_id", query.experiment_ids or active_experiments)
        if query.trace_ids:
            traces = rows_with(traces, "trace_id", query.trace_ids)
        trace_ids = chosen_ids(query, replace(tables, traces=traces), self.read_spans)
        return in_order(tables, trace_ids, ALL_PARTS if parts is None else parts)

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """See ReadsGenAI. Spans that were saved in part are returned with as much content as was saved."""
        wanted = column(list(trace_ids), schema.STRING)
        found = [table_of(schema.SPANS, [])]
        for file in self._manifest.tables:
            if file.table in (SPANS, SPANS_IN_PART):
                table = read_table(self._location, [file], schema.SPANS)
                found.append(table.filter(pc.is_in(table.column("trace_id"), value_set=wanted)))
        table = pa.concat_tables(found)
        if not content:
            for name in ("inputs", "outputs", "attributes", "events"):
                nulls = pa.nulls(table.num_rows, schema.STRING)
                table = table.set_column(schema.SPANS.get_field_index(name), name, nulls)
        place = pc.index_in(table.column("trace_id"), value_set=wanted)
        keys = [("place", "ascending"), ("start_ns", "ascending"), ("span_id", "ascending")]
        order = pc.sort_indices(table.append_column("place", place), sort_keys=keys)
        yield from table.take(order).to_batches()

    def count_traces(self, experiment_ids: Sequence[str]) -> dict[str, int]:
        """See ReadsGenAI."""
        traces = self._table("trace_traces")
        if experiment_ids:
            traces = rows_with(traces, "experiment_id", experiment_ids)
        counted = pc.value_counts(traces.column("experiment_id")).to_pylist()
        return {one["values"]: one["counts"] for one in counted}

    def read_evaluation_datasets(self, experiment_ids: Sequence[str]) -> EvaluationTables:
        """See ReadsGenAI."""
        datasets, records, uses, problems = (
            self._table(f"evaluation_{name}") for name in ("datasets", "records", "uses", "problems")
        )
        if experiment_ids:
            used = _values(rows_with(uses, "experiment_id", experiment_ids), "dataset_id")
            datasets, records, uses = (rows_with(table, "dataset_id", used) for table in (datasets, records, uses))
        return EvaluationTables(datasets=datasets, records=records, uses=uses, problems=problems)

    def model_place(self, model_id: str, artifact_location: str) -> ArtifactPlace | None:
        """Where the artifacts of a logged model are; None if nothing of them was saved."""
        row = self._model_files.get(model_id)
        return None if row is None else saved_model_place(row, artifact_location)

    @cached_property
    def _model_files(self) -> dict[str, dict[str, Any]]:
        return {row["model_id"]: row for row in self._table(MODEL_FILES).to_pylist()}

    def _table(self, name: str) -> pa.Table:
        files = [file for file in self._manifest.tables if file.table == name]
        return read_table(self._location, files, TABLES[name])


def _values(table: pa.Table, name: str) -> list[str]:
    values: list[str] = pc.unique(table.column(name)).drop_null().to_pylist()
    return values


def _is_in(table: pa.Table, name: str, values: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(table.column(name), value_set=column(list(values), schema.STRING))


def _any(*masks: pa.ChunkedArray) -> pa.ChunkedArray:
    found = masks[0]
    for mask in masks[1:]:
        found = pc.or_(found, mask)
    return found
