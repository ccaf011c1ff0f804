"""new_client: MLflow's client on a new SQLite store, without the second or two that its migrations take."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sqlite3
import tempfile
from functools import cache
from pathlib import Path

from mlflow import MlflowClient


def new_client(uri: str) -> MlflowClient:
    """MLflow's client on the store at this URI; a SQLite file that is not there yet is made by `copy_empty_store`."""
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not path.exists():
        copy_empty_store(path)
    return MlflowClient(uri)


def copy_empty_store(path: Path) -> None:
    """Put a SQLite store without any experiment at this path.

    MLflow makes the experiment Default in the first store without experiments that it opens. So Default is written by
    whoever opens the copy, with the artifact location that it has there.
    """
    shutil.copyfile(_migrated_store(), path)


@cache
def _migrated_store() -> Path:
    """A SQLite file of MLflow's schema, from which Default was deleted; made once in each process."""
    folder = Path(tempfile.mkdtemp(prefix="qualia-lab-empty-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM experiments")
    return path
