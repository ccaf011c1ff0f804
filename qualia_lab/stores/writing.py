"""The one door through which the demo and the pipeline write to a store: MLflow's own client, made quiet."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.errors import StoreError, StoreNotFound, StoreRefused, StoreUnreachable, StoreUnreadable
from qualia_lab.escaping import for_filename, one_line
from qualia_lab.stores.open import open_store
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.uri import TrackingUri, split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

_SQLITE_MAGIC = b"SQLite format 3\0"

# Only what a person did not set. The file store is refused by MLflow since 3.13 unless one insists: who asks for
# runs to be written to a folder insists.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "GIT_PYTHON_REFRESH": "quiet",
}


def default_tracking_uri() -> str:
    """Where new runs go when nobody says: MLFLOW_TRACKING_URI, else `mlflow.db` in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def open_for_writing(tracking_uri: str) -> MlflowClient:
    """MLflow's client for a store that may be created, and is migrated if it is older than this MLflow.

    Raises StoreUnreachable, StoreRefused, StoreUnreadable or StoreNotFound, within seconds.
    """
    uri = split_uri(tracking_uri)
    _check(uri)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.disable(logging.WARNING)  # a migration sets levels of its own, and speaks a line for each step
    try:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri)
        client.search_experiments(max_results=1)
    except Exception as error:
        raise StoreError(
            f"MLflow cannot write to {uri.safe}: {one_line(uri.redact(str(error)), 300)}",
            "Check the tracking URI, for example sqlite:///mlflow.db.",
        ) from None  # MLflow's traceback may spell the password out
    finally:
        logging.disable(logging.NOTSET)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return client


def find_or_create_experiment(
    client: MlflowClient, tracking_uri: str, name: str, tags: Mapping[str, str] | None = None
) -> str:
    """The id of the experiment of that name; `tags` are set on one that is created, never on one that was there.

    Raises StoreError when the experiment lies in the trash.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=_artifacts_beside(tracking_uri, name), tags=tags))
    if found.lifecycle_stage == "deleted":
        raise StoreError(
            f"The experiment {one_line(name)} is deleted, so no run can be added to it.",
            "Restore it (mlflow experiments restore) or pass another name with --experiment.",
        )
    return str(found.experiment_id)


def _artifacts_beside(tracking_uri: str, name: str) -> str | None:
    """The folder `mlruns/NAME` beside a SQLite file; elsewhere MLflow chooses.

    MLflow's own choice is the working directory of whoever made the experiment.
    """
    database = _sqlite_path(tracking_uri)
    return str(database.parent / "mlruns" / for_filename(name, "experiment")) if database else None


def _sqlite_path(tracking_uri: str) -> Path | None:
    matched = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!file:)([^?]+)(?:\?.*)?", tracking_uri)
    return Path(matched[1]).absolute() if matched else None


def _check(uri: TrackingUri) -> None:
    """Find out in seconds what MLflow would find out after minutes of trying again."""
    database = _sqlite_path(uri.full)
    if database:
        _check_sqlite(database)
    elif uri.scheme not in ("", "file", "sqlite"):
        try:
            store = open_store(uri)
            try:
                find_experiments(store)
            finally:
                store.close()
        except (StoreUnreachable, StoreRefused, StoreNotFound):
            raise
        except StoreError:
            pass  # a database without tables yet: MLflow makes them


def _check_sqlite(database: Path) -> None:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with database.open("a+b") as file:
            file.seek(0)
            start = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise StoreNotFound(
            f"{database} cannot be written: {error.strerror}.", "Choose another place with --tracking-uri."
        ) from error
    if start not in (b"", _SQLITE_MAGIC):
        raise StoreUnreadable(
            f"{database} is a file and not a SQLite database.", "Choose another file with --tracking-uri."
        )
