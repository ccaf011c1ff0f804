"""The keys of params, metrics and tags in a store, to resolve a key that is given without its kind."""

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

RUNS_SAMPLED = 200  # the newest runs; a key that none of them has is searched for by name


def read_keys(store: TrackingStore, query: Query, wanted: Sequence[str]) -> dict[Kind, set[str]]:
    """The keys of the newest runs that match a query, plus those of the wanted keys that only older runs have.

    A key is thus resolved by reading a few runs, however many the store has.

    Args:
        store: the store.
        query: the runs to look at; it must have no filter.
        wanted: keys to search for in older runs if the newest ones lack them.

    Returns:
        The keys by kind: param, metric, tag.
    """
    run_ids = store.read_runs(replace(query, limit=RUNS_SAMPLED)).column("run_id").to_pylist()
    tables = store.read(run_ids)
    keys_by_kind: dict[Kind, set[str]] = {
        "param": set(tables.params.column("key").to_pylist()),
        "metric": set(tables.metrics.column("key").to_pylist()),
        "tag": set(tables.tags.column("key").to_pylist()),
    }
    if len(run_ids) < RUNS_SAMPLED:
        return keys_by_kind
    for key in wanted:
        if any(key in keys for keys in keys_by_kind.values()):
            continue
        for kind, keys in keys_by_kind.items():
            if _exists(store, query, Field(kind, key)):
                keys.add(key)
    return keys_by_kind


def _exists(store: TrackingStore, query: Query, field: Field) -> bool:
    # Conditions that a server can evaluate where possible; MLflow 2 has no IS NULL.
    exists = Comparison(field, "IS NOT NULL") if field.kind == "metric" else Comparison(field, "LIKE", "%")
    try:
        text = filter_text(exists)
    except FilterError:
        return False
    return bool(store.read_runs(replace(query, filter=text, limit=1)).num_rows)
