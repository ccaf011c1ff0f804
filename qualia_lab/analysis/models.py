"""Which models runs logged, which of them are shown first, and what they are registered as."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.model_checkpoints import best_models
from qualia_lab.analysis.structured_text import parse_json
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from qualia_lab.genai_tables import ModelTables
    from qualia_lab.tables import RunTables

# The tag where MLflow up to 2.x records the models of a run (mlflow.utils.mlflow_tags): a JSON list with
# `artifact_path`.
HISTORY_TAG = "mlflow.log-model.history"

# So many models are in the table of them; only of these the MLmodel file is read.
MODELS_SHOWN = 60


@dataclass(frozen=True)
class KnownModel:
    """A logged model of MLflow 3, or a model among the artifacts of a run, as older versions log them.

    Attributes:
        key: the model's id, or `RUN_ID/PATH`.
        model_id: the id; "" for one among the artifacts of a run.
        run_id: the run that created it; "" if it is not known.
        path: its folder among the artifacts of the run; "" for a logged model.
        name: its name, or the path.
        location: the artifact location of a logged model, untrusted.
        created: when it was created, in ms; None if it is not known.
        model_type, status: those of a logged model.
    """

    key: str
    model_id: str
    run_id: str
    path: str
    name: str
    location: str = ""
    created: int | None = None
    model_type: str | None = None
    status: str | None = None


def known_models(models: ModelTables, tags: pa.Table) -> tuple[KnownModel, ...]:
    """All models of some runs: logged models by their creation, then those in the artifacts of runs.

    Args:
        models: the logged models.
        tags: the tags of the runs, in which MLflow before version 3 lists models.
    """
    known = {
        row["model_id"]: KnownModel(
            row["model_id"],
            row["model_id"],
            row["run_id"] or "",
            "",
            row["name"] or "",
            row["artifact_location"] or "",
            row["creation_time"],
            row["model_type"],
            row["status"],
        )
        for row in models.models.to_pylist()
    }
    for row in rows_with(tags, "key", [HISTORY_TAG]).to_pylist():
        for entry in _entries(row["value"]):  # a model that was logged again replaces the earlier one
            path, key = entry["artifact_path"], f"{row['run_id']}/{entry['artifact_path']}"
            known[key] = KnownModel(key, "", row["run_id"], path, path, created=_milliseconds(entry))
    return tuple(known.values())


def versions_of(models: ModelTables, known: Iterable[KnownModel]) -> dict[str, list[dict[str, Any]]]:
    """The versions of registered models that were made from each model, by its key.

    A version from the artifacts of a run belongs to the model whose path its source ends with.
    """
    known = list(known)
    in_runs: dict[str, list[KnownModel]] = defaultdict(list)
    for model in sorted(known, key=lambda one: -len(one.path)):  # `a/model` before `model`
        if model.path:
            in_runs[model.run_id].append(model)
    keys = {model.key for model in known}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in models.versions.to_pylist():
        source = f"/{(row['source'] or '').rstrip('/')}"
        key = row["model_id"] or next(
            (model.key for model in in_runs[row["run_id"]] if source.endswith(f"/{model.path}")), None
        )
        if key in keys:
            found[key].append(row)
    return dict(found)


def shown_first(models: ModelTables, known: Iterable[KnownModel], limit: int) -> tuple[KnownModel, ...]:
    """The models to show if there are more than fit: those with an alias, registered ones, best ones, latest ones.

    Args:
        models: the tables of models.
        known: as `known_models` returns them.
        limit: the most models.
    """
    known = list(known)
    aliased = {(row["name"], row["version"]) for row in models.aliases.to_pylist()}
    versions = versions_of(models, known)
    pointed = {key for key, rows in versions.items() if any((row["name"], row["version"]) in aliased for row in rows)}
    best = {value.model_id for one in best_models(models) for value in one.best}

    def order(model: KnownModel) -> tuple[bool, bool, bool, int]:
        return model.key not in pointed, model.key not in versions, model.key not in best, -(model.created or 0)

    return tuple(sorted(known, key=order)[:limit])


def named_models(tables: RunTables) -> dict[str, tuple[str, ...]]:
    """The names of each run's models, by run id: logged models of MLflow 3, and those in the tag of older versions.

    A run that is missing here may still have a model file.
    """
    names_of: dict[str, dict[str, None]] = defaultdict(dict)
    for row in tables.logged_models.to_pylist():
        names_of[row["run_id"]][row["name"] or row["model_id"]] = None
    for row in tables.tags.to_pylist():
        if row["key"] == HISTORY_TAG:
            for entry in _entries(row["value"]):
                names_of[row["run_id"]][entry["artifact_path"]] = None
    return {run_id: tuple(names) for run_id, names in names_of.items()}


def model_folders(paths: list[str]) -> tuple[str, ...]:
    """The folders among a run's artifacts that hold an `MLmodel` file; "model" for the root."""
    folders = [path.rpartition("/")[0] or "model" for path in paths if path.rpartition("/")[2] == "MLmodel"]
    return tuple(dict.fromkeys(folders))


def _entries(text: str | None) -> list[dict[str, Any]]:
    """The entries of the tag that have an artifact path; none where it is damaged."""
    try:
        entries = parse_json(text or "[]")
    except ValueError:
        return []
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("artifact_path"), str)]


def _milliseconds(entry: Mapping[str, Any]) -> int | None:
    """The time of an entry, which is written in UTC."""
    try:
        time = datetime.fromisoformat(str(entry.get("utc_time_created")))
        return round(time.replace(tzinfo=UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
