"""Write access to a store for the demo and the pipeline, through MLflow's own client with its output silenced."""

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

# Set only where the user has not set them. MLflow refuses the file store since 3.13 unless MLFLOW_ALLOW_FILE_STORE is
# set; a user who names a folder as the tracking URI wants it.
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
    """The default tracking URI for new runs: MLFLOW_TRACKING_URI, else `mlflow.db` in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def open_for_writing(tracking_uri: str) -> MlflowClient:
    """Open a store for writing with MLflow's client; it is created or migrated to this version of MLflow if necessary.

    Args:
        tracking_uri: the tracking URI.

    Returns:
        MLflow's client.

    Raises:
        StoreUnreachable, StoreRefused, StoreUnreadable, StoreNotFound: within seconds, where MLflow retries longer.
        StoreError: MLflow cannot write to the store.
    """
    uri = split_uri(tracking_uri)
    _check_access(uri)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.disable(logging.WARNING)  # a migration sets its own log levels and logs each step
    try:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri)
        client.search_experiments(max_results=1)
    except Exception as error:
        raise StoreError(
            f"MLflow cannot write to {uri.safe}: {one_line(uri.redact(str(error)), 300)}",
            "Check the tracking URI, for example sqlite:///mlflow.db.",
        ) from None  # MLflow's traceback may contain the password
    finally:
        logging.disable(logging.NOTSET)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return client


def find_or_create_experiment(
    client: MlflowClient, tracking_uri: str, name: str, tags: Mapping[str, str] | None = None
) -> str:
    """The id of the experiment with this name, which is created if it does not exist.

    Args:
        client: MLflow's client for the store.
        tracking_uri: the tracking URI of the store.
        name: the name of the experiment.
        tags: tags for a new experiment; those of an existing one are left unchanged.

    Raises:
        StoreError: the experiment is deleted.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=_artifacts_beside(tracking_uri, name), tags=tags))
    if experiment.lifecycle_stage == "deleted":
        raise StoreError(
            f"The experiment {one_line(name)} is deleted, so no run can be added to it.",
            "Restore it (mlflow experiments restore) or pass another name with --experiment.",
        )
    return str(experiment.experiment_id)


def _artifacts_beside(tracking_uri: str, name: str) -> str | None:
    """The folder `mlruns/NAME` next to a SQLite file; None for other stores, where MLflow's default is used.

    For SQLite, MLflow's default would be the working directory of the process that creates the experiment.
    """
    database = _sqlite_path(tracking_uri)
    return str(database.parent / "mlruns" / for_filename(name, "experiment")) if database else None


def _sqlite_path(tracking_uri: str) -> Path | None:
    matched = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!file:)([^?]+)(?:\?.*)?", tracking_uri)
    return Path(matched[1]).absolute() if matched else None


def _check_access(uri: TrackingUri) -> None:
    """Raise within seconds where the store cannot be used; MLflow itself would retry for minutes."""
    database = _sqlite_path(uri.full)
    if database:
        _check_sqlite(database)
    elif uri.scheme not in ("", "file", "sqlite"):
        try:
            with open_store(uri) as store:
                find_experiments(store)
        except (StoreUnreachable, StoreRefused, StoreNotFound):
            raise
        except StoreError:
            pass  # a database without tables, which MLflow creates


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
