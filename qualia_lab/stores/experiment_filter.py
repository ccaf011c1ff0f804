"""Filters on experiments in MLflow's grammar: `name LIKE 'churn%' AND tags.team = 'growth'`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab import schema
from qualia_lab.errors import FilterError
from qualia_lab.query import keyed_fields, parse_filter, select_runs
from qualia_lab.query.conditions import ATTRIBUTES
from qualia_lab.query.tokens import tokenize
from qualia_lab.tables import rows_with, run_tables, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore

# The attributes of an experiment, each with the attribute of a run that is compared in the same way.
_ATTRIBUTES = {
    "name": "run_name",
    "experiment_id": "run_id",
    "creation_time": "start_time",
    "last_update_time": "end_time",
}
_WORDS = {*_ATTRIBUTES, *ATTRIBUTES, "created"}
_FIELD = re.compile(r"(?:(?:attributes?|attr|experiments?)\.)?`?(\w+)`?", re.IGNORECASE)
_TAG = re.compile(r"tags?\.", re.IGNORECASE)


def matching_experiments(store: TrackingStore, experiments: pa.Table, text: str) -> pa.Table:
    """The experiments that match a filter, in their given order.

    Args:
        store: the store, which is read for tags if the filter uses them.
        experiments: schema.EXPERIMENT_LIST.
        text: the filter on `name`, `experiment_id`, `creation_time`, `last_update_time` (in ms or as a date) and
            `tags.KEY`, with AND, OR, NOT and parentheses as in filters on runs.

    Raises:
        FilterError: the filter cannot be parsed, or names a field that experiments do not have.
    """
    condition = parse_filter(_as_run_filter(text))
    if condition is None:
        return experiments
    tags = []
    if keyed_fields(condition, ()):
        ids = experiments.column("experiment_id").to_pylist()
        tags = [{**row, "run_id": row["experiment_id"]} for row in store.read_experiment_tags(ids).to_pylist()]
    rows = [
        {run_attribute: row[name] for name, run_attribute in _ATTRIBUTES.items()} for row in experiments.to_pylist()
    ]
    tables = run_tables(runs=table_of(schema.RUNS, rows), tags=table_of(schema.TAGS, tags))
    return rows_with(experiments, "experiment_id", select_runs(condition, (), tables))


def _as_run_filter(text: str) -> str:
    """The filter rewritten as a filter on runs. Raises FilterError for a field that experiments do not have."""
    for token in reversed(tokenize(text)):
        is_field = token.kind == "path" or (token.kind == "word" and token.text.lower() in _WORDS)
        if not is_field or _TAG.match(token.text):
            continue
        match = _FIELD.fullmatch(token.text)
        name = _ATTRIBUTES.get(match[1].lower()) if match else None
        if name is None:
            raise FilterError(
                f"An experiment has no {token.text} to compare.",
                f"It has {', '.join(_ATTRIBUTES)} and tags.KEY.",
                text=text,
                position=token.position,
            )
        text = text[: token.position] + name + text[token.position + len(token.text) :]
    return text
