"""new_client: MLflow's client for a new SQLite store, without the one or two seconds that migrations take."""

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
    """MLflow's client for the store at this URI; a missing SQLite file is created by `copy_empty_store`."""
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not path.exists():
        copy_empty_store(path)
    return MlflowClient(uri)


def copy_empty_store(path: Path) -> None:
    """Create a SQLite store without any experiment at this path.

    MLflow creates the experiment Default when it opens a store without experiments, so Default gets the artifact
    location of the copy.
    """
    shutil.copyfile(_migrated_store(), path)


@cache
def _migrated_store() -> Path:
    """A SQLite file with MLflow's schema, without the experiment Default; created once per process."""
    folder = Path(tempfile.mkdtemp(prefix="qualia-lab-empty-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM experiments")
    return path
