"""mlflow_client: MLflow's own client, guarded so that opening it does not change the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qualia_lab.errors import StoreRefused
from qualia_lab.stores.uri import split_uri


def mlflow_client(tracking_uri: str) -> GuardedClient:
    """MLflow's client for a store, created on first use and only if that does not change the store.

    Args:
        tracking_uri: the tracking URI of the store.

    Returns:
        An object with the methods of `mlflow.MlflowClient`. The first use raises StoreRefused if opening the store
        would change it, see `GuardedClient.allow_changes`.

    Example:
        >>> from qualia_lab import mlflow_client
        >>> client = mlflow_client("sqlite:///mlflow.db")
        >>> client.search_experiments()
    """
    return GuardedClient(tracking_uri)


class GuardedClient:
    """An `mlflow.MlflowClient` that is created on first use, unless that would change the store.

    MLflow migrates an older database as soon as it opens it, and creates folders in an mlruns folder. The first use
    raises StoreRefused in such a case, unless `allow_changes()` was called before.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._uri = split_uri(tracking_uri)
        self._client: Any = None
        self._allowed = False

    def allow_changes(self) -> GuardedClient:
        """Permit the changes that MLflow makes to a store when it opens it; returns the client."""
        self._allowed = True
        return self

    def __repr__(self) -> str:
        state = "open" if self._client is not None else "made on first use"
        return f"MLflow's client for {self._uri.safe} ({state})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # IPython and `copy` probe for many such names
            raise AttributeError(name)
        if self._client is None:
            self._client = self._open()
        return getattr(self._client, name)

    def _open(self) -> Any:
        change = None if self._allowed else describe_effect_of_opening(self._uri.full)
        if change:
            raise StoreRefused(
                f"MLflow's client was not opened on {self._uri.safe}: {change}.",
                "Call client.allow_changes() first if that is what you want.",
            )
        from mlflow import MlflowClient

        return MlflowClient(self._uri.full)


def describe_effect_of_opening(tracking_uri: str) -> str | None:
    """A description of what MLflow's client would change in a store by opening it; None for no change."""
    uri = split_uri(tracking_uri)
    if uri.scheme in ("http", "https") or tracking_uri.partition(":")[0] == "databricks":
        return None
    if uri.scheme in ("", "file"):
        return "it writes folders into an mlruns folder that it opens, and since 3.13 refuses to open one"
    if uri.scheme == "snapshot":
        return "MLflow does not know this kind of store"
    from qualia_lab.stores.sql.store import SqlStore

    with SqlStore(uri) as store:
        revision, empty = store.read_schema_revision(), not store.read_experiments("all").num_rows
    newest = _newest_revision()
    if revision != newest:
        current = revision or "an unknown one"
        return (
            f"it would migrate the database from schema {current} to {newest}, which older MLflow cannot open any more"
        )
    return "it would write a Default experiment into the empty database" if empty else None


def _newest_revision() -> str:
    """The schema revision that the installed MLflow migrates databases to."""
    import mlflow.store.db_migrations
    from alembic.script import ScriptDirectory

    folder = Path(next(iter(mlflow.store.db_migrations.__path__)))
    return str(ScriptDirectory(str(folder)).get_current_head())
