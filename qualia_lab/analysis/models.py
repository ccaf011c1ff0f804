"""Which runs say that they made a model, and what it is called."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

# Where MLflow up to 2.x keeps the models of a run (mlflow.utils.mlflow_tags): JSON, a list with `artifact_path`.
HISTORY_TAG = "mlflow.log-model.history"


def named_models(tables: RunTables) -> dict[str, tuple[str, ...]]:
    """By run id the names of its models: logged models of MLflow 3, and what the tag of older ones lists.

    A run that is not in the answer may have a model file all the same.
    """
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in tables.logged_models.to_pylist():
        found[row["run_id"]][row["name"] or row["model_id"]] = None
    for row in tables.tags.to_pylist():
        if row["key"] == HISTORY_TAG:
            for name in _listed(row["value"]):
                found[row["run_id"]][name] = None
    return {run_id: tuple(names) for run_id, names in found.items()}


def model_folders(paths: list[str]) -> tuple[str, ...]:
    """The folders among a run's artifacts that hold an `MLmodel` file, "model" where that is the root."""
    folders = [path.rpartition("/")[0] or "model" for path in paths if path.rpartition("/")[2] == "MLmodel"]
    return tuple(dict.fromkeys(folders))


def _listed(text: str | None) -> list[str]:
    """The artifact paths in a history of models; none of what is damaged."""
    try:
        entries = json.loads(text or "[]")
    except ValueError:
        return []
    if not isinstance(entries, list):
        return []
    return [
        entry["artifact_path"]
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("artifact_path"), str)
    ]
