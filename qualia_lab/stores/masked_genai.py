"""MaskedGenAIStore: masks the secrets in models, traces, spans and evaluation datasets, too."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.masking.redactor import Redactor
from qualia_lab.masking.tables import mask_columns, mask_keyed
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.protocol import ReadsGenAI

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.masking.tables import Masker
    from qualia_lab.stores.protocol import TrackingStore

_Tables = TypeVar("_Tables", "ModelTables", "TraceTables", "EvaluationTables")

# The texts of traces, spans, assessments and datasets are numbered together, because they repeat each other.
_TRACE_TEXT = "text of a trace"
_TRACE_TAG = "trace tag"
# For each table its columns of text, with a description of each, and those that may be JSON.
_TEXTS: dict[str, dict[str, str]] = {
    "models": {
        "name": "model name",
        "model_type": "model type",
        "status_message": "model status",
        "artifact_location": "model location",
    },
    "metrics": {"dataset_name": "dataset name"},
    "versions": {
        "name": "registered model",
        "source": "model location",
        "status_message": "model status",
        "user_id": "user",
    },
    "version_tags": {"name": "registered model"},
    "aliases": {"name": "registered model", "alias": "alias"},
    "traces": {
        "name": "trace name",
        "client_request_id": "client request id",
        "session_id": "session",
        "user": "user",
    },
    "assessments": {"name": "assessment name", "source_id": "assessment source"},
    "spans": {"name": "span name", "type": "span type", "model": "model of a span"},
    "datasets": {"name": "evaluation dataset"},
    "problems": {"subject": "problem", "reason": "problem"},
}
_JSON: dict[str, tuple[str, ...]] = {
    "versions": ("description",),
    "traces": ("request_preview", "response_preview"),
    "assessments": ("value", "error", "rationale", "metadata"),
    "spans": ("status_message", "inputs", "outputs", "attributes", "events"),
    "datasets": ("schema", "profile"),
    "records": ("inputs", "outputs", "expectations", "tags", "source"),
}


def mask_store(
    store: TrackingStore, masker: Masker, *, tables: bool = True, privacy: Privacy = EVERYTHING_SHOWN
) -> MaskedStore:
    """Wrap a store; the result reads models and traces if the store does.

    Args:
        store: the store with its secrets.
        masker: masks, with consistent numbers over all reads.
        tables: False if the tables were written masked, so that nothing is masked in them.
        privacy: what of people's words is left out.
    """
    kind = MaskedGenAIStore if isinstance(store, ReadsGenAI) else MaskedStore
    return kind(store, masker, tables=tables, redactor=Redactor(privacy) if privacy.is_active else None)


class MaskedGenAIStore(MaskedStore):
    """A MaskedStore of a store that reads models, traces and evaluation datasets, see `mask_store`."""

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """See ReadsGenAI."""
        return self.mask_models(self._genai.read_models(experiment_ids=experiment_ids, run_ids=run_ids))

    def mask_models(self, tables: ModelTables) -> ModelTables:
        """Models that were read from the stored store, masked."""
        return self._masked(tables, {"params": "model param", "tags": "model tag", "version_tags": "version tag"})

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """See ReadsGenAI. The filter is evaluated on the stored values."""
        return self._masked(self._genai.read_traces(query, parts), {"tags": _TRACE_TAG, "metadata": "trace metadata"})

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """See ReadsGenAI."""
        for batch in self._genai.read_spans(trace_ids, content=content):
            if self._tables or self.redactor is not None:
                yield from self._table("spans", pa.Table.from_batches([batch])).to_batches()
            else:
                yield batch

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """See ReadsGenAI."""
        return self._genai.count_traces(experiment_ids)

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """See ReadsGenAI."""
        return self._masked(self._genai.read_evaluation_datasets(experiment_ids), {})

    @property
    def _genai(self) -> ReadsGenAI:
        assert isinstance(self.stored, ReadsGenAI)
        return self.stored

    def _masked(self, tables: _Tables, keyed: Mapping[str, str]) -> _Tables:
        """A bundle of tables, masked; `keyed`: its tables of keys and values, with the word for a key of each."""
        if not self._tables and self.redactor is None:
            return tables
        return replace(tables, **{name: self._table(name, table, keyed) for name, table in vars(tables).items()})

    def _table(self, name: str, table: pa.Table, keyed: Mapping[str, str] = MappingProxyType({})) -> pa.Table:
        """A table with its texts masked, and without people's words where that is wanted."""
        if self._tables:
            table = mask_columns(table, _TEXTS.get(name, {}), self.masker)
            jsons = dict.fromkeys(_JSON.get(name, ()), _TRACE_TEXT)
            table = mask_columns(table, jsons, self.masker, self.masker.json)
            if name in keyed:
                table = mask_keyed(table, keyed[name], self.masker)
        return self._private(keyed.get(name, name), table)
