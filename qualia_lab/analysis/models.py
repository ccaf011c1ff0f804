"""Which runs logged a model, and the names of the models."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from qualia_lab.analysis.structured_text import parse_json

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

# The tag where MLflow up to 2.x records the models of a run (mlflow.utils.mlflow_tags): a JSON list with
# `artifact_path`.
HISTORY_TAG = "mlflow.log-model.history"


def named_models(tables: RunTables) -> dict[str, tuple[str, ...]]:
    """The names of each run's models, by run id: logged models of MLflow 3, and those in the tag of older versions.

    A run that is missing here may still have a model file.
    """
    names_of: dict[str, dict[str, None]] = defaultdict(dict)
    for row in tables.logged_models.to_pylist():
        names_of[row["run_id"]][row["name"] or row["model_id"]] = None
    for row in tables.tags.to_pylist():
        if row["key"] == HISTORY_TAG:
            for name in _artifact_paths(row["value"]):
                names_of[row["run_id"]][name] = None
    return {run_id: tuple(names) for run_id, names in names_of.items()}


def model_folders(paths: list[str]) -> tuple[str, ...]:
    """The folders among a run's artifacts that hold an `MLmodel` file; "model" for the root."""
    folders = [path.rpartition("/")[0] or "model" for path in paths if path.rpartition("/")[2] == "MLmodel"]
    return tuple(dict.fromkeys(folders))


def _artifact_paths(text: str | None) -> list[str]:
    """The artifact paths in the tag; none where it is damaged."""
    try:
        entries = parse_json(text or "[]")
    except ValueError:
        return []
    if not isinstance(entries, list):
        return []
    return [
        entry["artifact_path"]
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("artifact_path"), str)
    ]
