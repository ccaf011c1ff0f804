"""What `qualia models` and `qualia traces` share: opening a store that can read them, and choosing experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeGuard

    from qualia_lab.console_table import Column
    from qualia_lab.stores.protocol import ReadsGenAI, TrackingStore

    class GenAIStore(TrackingStore, ReadsGenAI):
        """A store of runs that reads models and traces, too."""


def open_genai(
    tracking_uri: str | None, *, show_secrets: bool, redact: bool | None, content: bool | None
) -> GenAIStore:
    """Open a store that reads models and traces. Raises StoreError for one that does not."""
    from qualia_lab.settings import open_given_store

    store = open_given_store(tracking_uri, show_secrets=show_secrets, redact=redact, content=content)
    if not _reads_genai(store):
        store.close()
        raise StoreError(
            f"Models and traces cannot be read from {store.uri} yet.", "Name the store that it was made from."
        )
    return store


def experiments_named(store: TrackingStore, names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The ids of the experiments with these names, () for no names; and the name of each experiment of the store."""
    from qualia_lab.selection import match_experiments
    from qualia_lab.stores.protocol import find_experiments

    table = find_experiments(store)
    chosen = match_experiments(names, table) if names else ()
    ids, titles = (table.column(column).to_pylist() for column in ("experiment_id", "name"))
    return tuple(row["experiment_id"] for row in chosen), dict(zip(ids, titles, strict=True))


def without_empty(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> tuple[list[Column], list[list[str]]]:
    """A table without the columns in which no row has anything, except for those that are never dropped."""
    kept = [place for place, column in enumerate(columns) if column.stays or any(row[place] for row in cells)]
    return [columns[place] for place in kept], [[row[place] for place in kept] for row in cells]


def _reads_genai(store: TrackingStore) -> TypeGuard[GenAIStore]:
    from qualia_lab.stores.protocol import ReadsGenAI

    return isinstance(store, ReadsGenAI)
