"""Everything that a store gives, to compare one store with another."""

from __future__ import annotations

from contextlib import closing

from qualia_lab import schema
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store


def content(uri: str, *, artifacts: bool = False) -> dict[str, list[str]]:
    """The sorted rows of each table of a store, as texts, so that NaN equals NaN.

    Args:
        uri: a tracking URI.
        artifacts: whether the files of each run, and what is in them, are a table too.
    """
    with closing(open_store(uri)) as store:
        listed = store.read_runs(Query(view="all"))
        tables = store.read(listed.column("run_id").to_pylist())
        found = {name: getattr(tables, name).to_pylist() for name in schema.TABLES}
        found |= {"listed": listed.to_pylist(), "experiment list": store.read_experiments("all").to_pylist()}
        found["points"] = [row for batch in store.read_metric_history(tables.run_ids) for row in batch.to_pylist()]
        if artifacts:
            places = ((run_id, store.artifact_place(run_id, "")) for run_id in tables.run_ids)
            found["artifacts"] = [
                (run_id, file, place.read_bytes(file.path, 1000))
                for run_id, place in places
                for file in place.list_files()
            ]
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}
