"""mlflow_client: MLflow's own client, where using it changes nothing in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qualia_lab.errors import StoreRefused
from qualia_lab.stores.uri import split_uri


def mlflow_client(tracking_uri: str) -> GuardedClient:
    """MLflow's client for this store, not made before it is used."""
    return GuardedClient(tracking_uri)


class GuardedClient:
    """An `mlflow.MlflowClient` that is made on first use, and refuses when that would change the store.

    MLflow migrates any older database the moment it opens it, and writes folders into an mlruns folder.
    Raises StoreRefused on such a use; `allow_changes()` makes it go on.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._uri = split_uri(tracking_uri)
        self._client: Any = None
        self._allowed = False

    def allow_changes(self) -> GuardedClient:
        """Let MLflow do to the store what it does when it opens it."""
        self._allowed = True
        return self

    def __repr__(self) -> str:
        state = "open" if self._client is not None else "made on first use"
        return f"MLflow's client for {self._uri.safe} ({state})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # IPython and copying ask for many such names, and none is MLflow's
            raise AttributeError(name)
        if self._client is None:
            self._client = self._open()
        return getattr(self._client, name)

    def _open(self) -> Any:
        change = None if self._allowed else what_opening_changes(self._uri.full)
        if change:
            raise StoreRefused(
                f"MLflow's client was not opened on {self._uri.safe}: {change}.",
                "Call client.allow_changes() first if that is what you want.",
            )
        from mlflow import MlflowClient

        return MlflowClient(self._uri.full)


def what_opening_changes(tracking_uri: str) -> str | None:
    """What MLflow's client would change in the store by opening it, in a few words; None when nothing."""
    uri = split_uri(tracking_uri)
    if uri.scheme in ("http", "https") or tracking_uri.partition(":")[0] == "databricks":
        return None
    if uri.scheme in ("", "file"):
        return "it writes folders into an mlruns folder that it opens, and since 3.13 refuses to open one"
    if uri.scheme == "snapshot":
        return "MLflow has no such kind of store"
    from qualia_lab.stores.sql.store import SqlStore

    store = SqlStore(uri)
    try:
        found, empty = store.read_schema_revision(), not store.read_experiments("all").num_rows
    finally:
        store.close()
    newest = _newest_revision()
    if found != newest:
        was = found or "an unknown one"
        return f"it would migrate the database from schema {was} to {newest}, which older MLflow cannot open any more"
    return "it would write a Default experiment into the empty database" if empty else None


def _newest_revision() -> str:
    """The revision that the installed MLflow brings a database to."""
    import mlflow.store.db_migrations
    from alembic.script import ScriptDirectory

    folder = Path(next(iter(mlflow.store.db_migrations.__path__)))
    return str(ScriptDirectory(str(folder)).get_current_head())
