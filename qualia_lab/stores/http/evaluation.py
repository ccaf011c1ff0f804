"""Reads the evaluation datasets of a server with their records; MLflow has them since 3.4, over a database only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from qualia_lab import schema
from qualia_lab.errors import StoreError
from qualia_lab.genai_tables import EvaluationTables
from qualia_lab.stores.genai_rows import GenAIRows
from qualia_lab.stores.http.endpoints import API3, is_absent
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.rows import Fields
from qualia_lab.stores.trace_rows import json_text
from qualia_lab.stores.values import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

_PER_PAGE = 50
_RECORDS_PER_PAGE = 1000
_CONCURRENCY = 4


def read_evaluation_datasets(client: RestClient, experiment_ids: Sequence[str]) -> EvaluationTables:
    """The evaluation datasets that these experiments use, with their records; () for all of the server."""
    rows = GenAIRows(schema.EVALUATION_TABLES)
    parameters: Json = {"max_results": _PER_PAGE}
    if experiment_ids:
        parameters["experiment_ids"] = list(experiment_ids)
    try:
        path = f"{API3}/datasets/search"
        found = {str(item.get("dataset_id")): item for item in read_pages(client, "POST", path, parameters, "datasets")}
    except StoreError as error:
        if not is_absent(error):
            raise
        return EvaluationTables(**rows.to_tables())
    ordered = sorted(found.values(), key=lambda item: (str(item.get("name")), str(item.get("dataset_id"))))
    budget = Budget(client.uri.safe, "records")

    def content(dataset: Json) -> tuple[list[Json], list[str]] | StoreError:
        path = f"{API3}/datasets/{quote(str(dataset.get('dataset_id')), safe='')}"
        parameters = {"max_results": _RECORDS_PER_PAGE}
        try:
            uses = client.request_json("GET", f"{path}/experiment-ids").get("experiment_ids")
            records = list(read_pages(client, "GET", f"{path}/records", parameters, "records", budget=budget))
        except StoreError as error:
            return error
        return records, [str(use) for use in uses] if isinstance(uses, list) else []

    for dataset, read in zip(ordered, in_parallel(content, ordered, _CONCURRENCY), strict=True):
        _add(dataset, read, rows)
    return EvaluationTables(**rows.to_tables())


def _add(dataset: Json, content: tuple[list[Json], list[str]] | StoreError, rows: GenAIRows) -> None:
    """Add a dataset with its records and uses, or with the reason why they could not be read."""
    of = f"dataset {dataset.get('name')}"
    fields = Fields(dataset, rows, of)
    dataset_id = fields.text("dataset_id")
    rows.tables["datasets"].append(
        (
            dataset_id,
            fields.text("name"),
            fields.text("digest"),
            fields.text("schema"),
            fields.text("profile"),
            fields.integer("created_time"),
            fields.integer("last_update_time"),
        )
    )
    if isinstance(content, StoreError):
        rows.add_problem(of, "records", content.message)
        return
    records, uses = content
    added = [_record(dataset_id, record, of, rows) for record in records]
    rows.tables["records"] += sorted(added, key=lambda row: (row[-2] or 0, row[1] or ""))
    rows.tables["uses"] += [(dataset_id, text(experiment_id)) for experiment_id in sorted(uses)]


def _record(dataset_id: str | None, record: Json, of: str, rows: GenAIRows) -> tuple[Any, ...]:
    """A row of schema.EVALUATION_RECORDS."""
    fields = Fields(record, rows, of)
    return (
        dataset_id,
        fields.text("dataset_record_id"),
        *(_json(record.get(name)) for name in ("inputs", "outputs", "expectations", "tags", "source")),
        fields.text("source_type"),
        fields.integer("created_time"),
        fields.integer("last_update_time"),
    )


def _json(value: Any) -> str | None:
    return None if value is None else json_text(value)
