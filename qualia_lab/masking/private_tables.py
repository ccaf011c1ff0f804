"""Which columns hold people's words, and how a Redactor changes them. A column that is not named stays as it is.

Ids, keys, addresses of artifacts and names of experiments stay, because they are what things are found by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, whole
from qualia_lab.masking.personal import MAY_HOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qualia_lab.masking.redactor import Redactor

    Change = Callable[[str], str]

# By table: plain texts, and texts that may be JSON. Tables of keys and values have the latter in `value`.
_TEXTS: dict[str, tuple[str, ...]] = {
    "runs": ("run_name", "user_id"),
    "datasets": ("name", "source"),
    "logged_models": ("name",),
    "missing": ("reason",),
    "models": ("name", "status_message"),
    "versions": ("name", "status_message", "user_id"),
    "version_tags": ("name",),
    "aliases": ("name", "alias"),
    "traces": ("name", "client_request_id", "session_id", "user"),
    "assessments": ("name", "source_id"),
    "spans": ("name", "model"),
    "problems": ("subject", "reason"),
}
_JSON: dict[str, tuple[str, ...]] = {
    "params": ("value",),
    "tags": ("value",),
    "experiment_tags": ("value",),
    "datasets": ("schema", "profile"),
    "versions": ("description",),
    "version_tags": ("value",),
    "trace_tags": ("value",),
    "metadata": ("value",),
    "assessments": ("value", "error", "rationale", "metadata"),
    "spans": ("status_message", "inputs", "outputs", "attributes", "events"),
    "records": ("inputs", "outputs", "expectations", "tags", "source"),
}
_PREVIEWS = ("request_preview", "response_preview")
# Metadata and tags of traces by which MLflow names them and finds their files.
_KEPT_KEYS = ("mlflow.traceName", "mlflow.artifactLocation")
# What one row of these tables is, and the column with its id.
_COUNTED = {
    "traces": ("trace", "trace_id"),
    "records": ("dataset record", "record_id"),
}


def redacted_table(name: str, table: pa.Table, redactor: Redactor) -> pa.Table:
    """A table with what identifies people replaced, see `Privacy.redact`.

    Args:
        name: the name of the table, as in this module.
        table: the table.
        redactor: replaces, with consistent numbers over all tables.
    """
    may_hold = None if redactor.privacy.patterns else MAY_HOLD
    for names, change in (
        (_TEXTS.get(name, ()), redactor.text),
        (_JSON.get(name, ()), redactor.json),
        (_PREVIEWS if name == "traces" else (), redactor.preview),
    ):
        for column_name in names:
            table = _changed(table, column_name, change, may_hold=may_hold)
    return table


def table_without_content(name: str, table: pa.Table, redactor: Redactor) -> pa.Table:
    """A table without what people and models wrote, see `Privacy.content`.

    Args:
        name: the name of the table, as in this module.
        table: the table.
        redactor: replaces, with consistent numbers over all tables.
    """
    if name in _COUNTED:
        what, id_column = _COUNTED[name]
        redactor.count_without_content(what, table.column(id_column).to_pylist())
    if name == "versions":
        described = table.filter(pc.is_valid(table.column("description"))).select(["name", "version"]).to_pylist()
        redactor.count_without_content("model version", [f"{row['name']} {row['version']}" for row in described])
    for column_name, change in _hiding(name, redactor).items():
        _reserve(table, column_name, redactor)
        table = _changed(table, column_name, change, rows=_rows_to_hide(name, table, column_name))
    if name == "spans":  # their keys can be words, too
        for column_name in ("attributes", "events"):
            place = table.schema.get_field_index(column_name)
            table = table.set_column(place, table.schema.field(place), pa.nulls(table.num_rows, pa.string()))
    return table


def _hiding(name: str, redactor: Redactor) -> Mapping[str, Change]:
    """How each column of a table is changed that may hold words."""
    by_table: dict[str, dict[str, Change]] = {
        "traces": dict.fromkeys((*_PREVIEWS, "user"), redactor.hidden),
        "trace_tags": {"value": redactor.plain_json},
        "metadata": {"value": redactor.plain_json},
        "assessments": {
            "value": redactor.plain_json,
            "error": redactor.error,
            "rationale": redactor.hidden,
            "metadata": redactor.plain_json,
            "source_id": redactor.hidden,
        },
        "spans": {
            "status_message": redactor.error,
            "inputs": redactor.hidden_json,
            "outputs": redactor.hidden_json,
        },
        "records": {
            "inputs": redactor.hidden_json,
            "outputs": redactor.hidden_json,
            "expectations": redactor.plain_json,
            "tags": redactor.plain_json,
            "source": redactor.plain_json,
        },
        "versions": {"description": redactor.hidden},
    }
    return by_table.get(name, {})


def _rows_to_hide(name: str, table: pa.Table, column_name: str) -> pa.ChunkedArray | None:
    """The rows whose text may hold words, as a mask; None for all of them."""
    if name in ("trace_tags", "metadata"):
        return pc.invert(pc.is_in(table.column("key"), value_set=column(list(_KEPT_KEYS), pa.string())))
    if name == "assessments" and column_name == "source_id":  # of others it is the name of a model or of code
        return pc.is_in(table.column("source_type"), value_set=column(["HUMAN"], pa.string()))
    return None


def _reserve(table: pa.Table, column_name: str, redactor: Redactor) -> None:
    """Let no text get the number of a placeholder that the column has already."""
    values = table.column(column_name)
    for text in pc.unique(values.filter(pc.match_substring(values, "‹not shown "))).to_pylist():
        redactor.reserve(text)


def _changed(
    table: pa.Table,
    column_name: str,
    change: Change,
    *,
    may_hold: str | None = None,
    rows: pa.ChunkedArray | None = None,
) -> pa.Table:
    """The table with each text of a column changed, each different text once.

    Args:
        table: the table; it may lack the column.
        column_name: the column.
        change: returns the new text.
        may_hold: a pattern that each text which changes matches; None for every text.
        rows: a mask of the rows that are changed; None for all of them.
    """
    place = table.schema.get_field_index(column_name)
    if place < 0 or not table.num_rows:
        return table
    values = whole(table.column(column_name))
    encoded = values.dictionary_encode()
    old = encoded.dictionary
    new = old.to_pylist()
    chosen = list(range(len(new)))
    if may_hold is not None:
        matches = pc.match_substring_regex(old, may_hold).to_pylist()
        chosen = [row for row in chosen if matches[row]]
    if rows is not None:
        used = set(pc.unique(encoded.indices.filter(whole(rows))).to_pylist())
        chosen = [row for row in chosen if row in used]
    for row in chosen:
        new[row] = change(new[row])
    changed = column(new, pa.string()).take(encoded.indices)
    if rows is not None:
        changed = pc.if_else(whole(rows), changed, values)
    return table if changed.equals(values) else table.set_column(place, table.schema.field(place), changed)
