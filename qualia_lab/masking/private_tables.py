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
    from collections.abc import Callable

    from qualia_lab.masking.redactor import Redactor

    Change = Callable[[str], str]

# By table: plain texts, and texts that may be JSON. Tables of keys and values that belong to models and traces have the
# word for one of their keys as a name, since runs have tables of the same names.
_TEXTS: dict[str, tuple[str, ...]] = {
    "runs": ("run_name", "user_id"),
    "datasets": ("name", "source"),
    "logged_models": ("name",),
    "missing": ("reason",),
    "models": ("name", "status_message"),
    "versions": ("name", "status_message", "user_id"),
    "version tag": ("name",),
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
    "model param": ("value",),
    "model tag": ("value",),
    "versions": ("description",),
    "version tag": ("value",),
    "trace tag": ("value",),
    "trace metadata": ("value",),
    "assessments": ("value", "error", "rationale", "metadata"),
    "spans": ("status_message", "inputs", "outputs", "attributes", "events"),
    "records": ("inputs", "outputs", "expectations", "tags", "source"),
}
_PREVIEWS = ("request_preview", "response_preview")
# What hides words: the column, the method of a Redactor, and for which rows: those in which a column has one of these
# values (True) or none of them (False); None for all rows.
_Hiding = tuple[str, str, tuple[str, tuple[str, ...], bool] | None]
_OF_A_TRACE: tuple[_Hiding, ...] = (
    (
        "value",
        "hidden",
        ("key", ("mlflow.trace.user", "mlflow.user", "mlflow.traceInputs", "mlflow.traceOutputs"), True),
    ),
    # By these MLflow names a trace and finds its files and the program.
    ("value", "plain_json", ("key", ("mlflow.traceName", "mlflow.artifactLocation", "mlflow.source.name"), False)),
)
_HIDING: dict[str, tuple[_Hiding, ...]] = {
    "traces": tuple((name, "hidden", None) for name in (*_PREVIEWS, "user")),
    "trace tag": _OF_A_TRACE,
    "trace metadata": _OF_A_TRACE,
    "model param": (("value", "plain_json", None),),
    "model tag": (("value", "plain_json", None),),
    "version tag": (("value", "plain_json", None),),
    "versions": (("description", "hidden", None),),
    "assessments": (
        ("value", "numbers", ("kind", ("expectation",), True)),
        ("value", "plain_json", None),
        ("error", "error", None),
        ("rationale", "hidden", None),
        ("metadata", "plain_json", None),
        ("source_id", "hidden", ("source_type", ("HUMAN",), True)),  # of others it is the name of a model or of code
    ),
    "spans": (("status_message", "error", None), ("inputs", "hidden_json", None), ("outputs", "hidden_json", None)),
    "records": (
        ("inputs", "hidden_json", None),
        ("outputs", "hidden_json", None),
        ("expectations", "numbers", None),
        ("tags", "plain_json", None),
        ("source", "plain_json", None),
    ),
}
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
    for column_name, change, only in _HIDING.get(name, ()):
        _reserve(table, column_name, redactor)
        rows = None
        if only is not None:
            rows = pc.is_in(table.column(only[0]), value_set=column(list(only[1]), pa.string()))
            rows = rows if only[2] else pc.invert(rows)
        table = _changed(table, column_name, getattr(redactor, change), rows=rows)
    if name == "spans":  # their keys can be words, too
        for column_name in ("attributes", "events"):
            place = table.schema.get_field_index(column_name)
            table = table.set_column(place, table.schema.field(place), pa.nulls(table.num_rows, pa.string()))
    return table


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
