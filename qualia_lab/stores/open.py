"""open_store: creates the TrackingStore for a tracking URI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.errors import StoreNotFound
from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules
from qualia_lab.masking.privacy import EVERYTHING_SHOWN, Privacy
from qualia_lab.stores.uri import TrackingUri, split_uri, with_credentials

if TYPE_CHECKING:
    from qualia_lab.stores.protocol import TrackingStore

_SQL = ("sqlite", "postgresql", "postgres", "mysql", "mariadb", "mssql")
_SQLITE_MAGIC = b"SQLite format 3\0"


def open_store(
    tracking_uri: str | Path | TrackingUri,
    *,
    show_secrets: bool = False,
    rules: MaskRules = DEFAULT_RULES,
    privacy: Privacy = EVERYTHING_SHOWN,
) -> TrackingStore:
    """Open a tracking store read-only.

    Values that look like secrets are masked in everything that is read: `password=hunter2` becomes `‹masked 1›`, see
    `qualia_lab.masking`. Filters are evaluated on the stored values. Servers and databases are contacted by the first
    read, not by this call.

    Args:
        tracking_uri: `sqlite:///mlflow.db`, `postgresql://…`, `mysql://…`, `http(s)://…`, `databricks[://profile]`,
            `snapshot:PATH`, `snapshot:URL` with any URL that fsspec can open, or a path or `file:` URI of an `mlruns/`
            folder or a SQLite file.
        show_secrets: return values as they are stored, without masking and whatever `privacy` says.
        rules: additional names to mask, and names never to mask.
        privacy: what of people's words in traces and evaluations is left out.

    Returns:
        The store. Close it, or use it in a `with` statement.

    Raises:
        StoreNotFound: the scheme is unknown, or the path does not exist.

    Example:
        >>> with open_store("sqlite:///mlflow.db") as store:  # doctest: +SKIP
        ...     experiments = store.read_experiments()
    """
    uri = tracking_uri if isinstance(tracking_uri, TrackingUri) else split_uri(str(tracking_uri))
    store = _open(uri)
    if show_secrets:
        return store
    from qualia_lab.masking.tables import Masker
    from qualia_lab.stores.masked_genai import mask_store

    return mask_store(store, Masker(rules), privacy=privacy)


def _open(uri: TrackingUri) -> TrackingStore:
    if uri.scheme == "sqlite" and "://" not in uri.full:
        path = uri.full.partition(":")[2]
        raise StoreNotFound(
            f"{uri.safe} is no tracking URI of a SQLite file: three slashes come before its path.",
            f"Write sqlite:///{path}, or sqlite:///{path.lstrip('/')} for one in this folder.",
        )
    if uri.scheme in _SQL:
        from qualia_lab.stores.sql.store import SqlStore

        return SqlStore(uri)
    if uri.scheme in ("http", "https") or uri.full.partition(":")[0] == "databricks":
        from qualia_lab.stores.http.store import HttpStore

        return HttpStore(uri)
    if uri.scheme == "snapshot":
        from qualia_lab.stores.snapshot.store import SnapshotStore

        return SnapshotStore(uri.full.removeprefix("snapshot:").removeprefix("//"))
    if uri.scheme in ("", "file"):
        return _open_path(uri)
    raise StoreNotFound(
        f"No kind of store is known for the tracking URI {uri.safe}.",
        "Use sqlite:///FILE, postgresql://…, mysql://…, http(s)://…, or the path of an mlruns folder.",
    )


def _open_path(uri: TrackingUri) -> TrackingStore:
    """The store at a path: a SQLite file if its first bytes say so, else an mlruns folder."""
    from qualia_lab.stores.file.store import FileStore, path_of_uri

    path = path_of_uri(uri.full)
    if not path.exists():
        raise StoreNotFound(f"There is nothing at {path}.", "Check the path; nothing was created.")
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC:
                return _open(split_uri(f"sqlite:///{path.absolute()}"))
        raise StoreNotFound(
            f"{path} is a file and not a SQLite database.", "Point at the mlruns folder or the .db file itself."
        )
    return FileStore(path)


def find_tracking_uri(given: str | None = None) -> tuple[str, str]:
    """The tracking URI to use, and a short description of where it came from.

    In this order: the given URI, MLFLOW_TRACKING_URI, then `mlflow.db` or `mlruns/` in the working directory. A given
    URI without secrets gets those of MLFLOW_TRACKING_URI where both name the same store.

    Args:
        given: the URI that the user named, if any.

    Returns:
        The tracking URI, with secrets, and its origin: "given", "from MLFLOW_TRACKING_URI" or "found in this folder".

    Raises:
        StoreNotFound: none of them exists.
    """
    if given:
        return with_credentials(given).full, "given"
    from_environment = os.environ.get("MLFLOW_TRACKING_URI")
    if from_environment:
        return from_environment, "from MLFLOW_TRACKING_URI"
    if Path("mlflow.db").is_file():
        return "sqlite:///mlflow.db", "found in this folder"
    if Path("mlruns").is_dir():
        return "mlruns", "found in this folder"
    raise StoreNotFound(
        "No tracking URI was given, MLFLOW_TRACKING_URI is not set, and this folder has no mlflow.db and no mlruns.",
        "Pass --tracking-uri, for example --tracking-uri sqlite:///mlflow.db.",
    )
