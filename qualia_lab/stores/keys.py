"""Which params, metrics and tags the runs of a store have, for who names one without saying which it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.query import Comparison, Field
from qualia_lab.query.write import filter_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.query.conditions import Kind
    from qualia_lab.selection import Query
    from qualia_lab.stores.protocol import TrackingStore

LOOKED_AT = 200  # runs; a key that none of the newest of them has is asked for by its name


def read_keys(store: TrackingStore, query: Query, wanted: Sequence[str]) -> dict[Kind, set[str]]:
    """The keys of the newest runs of a query without a filter, and those of these that only older ones have.

    So a key is looked up at the cost of reading some runs, however many there are.
    """
    run_ids = store.read_runs(replace(query, limit=LOOKED_AT)).column("run_id").to_pylist()
    tables = store.read(run_ids)
    found: dict[Kind, set[str]] = {
        "param": set(tables.params.column("key").to_pylist()),
        "metric": set(tables.metrics.column("key").to_pylist()),
        "tag": set(tables.tags.column("key").to_pylist()),
    }
    if len(run_ids) < LOOKED_AT:
        return found
    for key in wanted:
        if any(key in keys for keys in found.values()):
            continue
        for kind, keys in found.items():
            if _is_there(store, query, Field(kind, key)):
                keys.add(key)
    return found


def _is_there(store: TrackingStore, query: Query, field: Field) -> bool:
    # What a server can be sent, where there is such a thing; one of MLflow 2 does not know IS NULL.
    has = Comparison(field, "IS NOT NULL") if field.kind == "metric" else Comparison(field, "LIKE", "%")
    try:
        text = filter_text(has)
    except FilterError:
        return False
    return bool(store.read_runs(replace(query, filter=text, limit=1)).num_rows)
