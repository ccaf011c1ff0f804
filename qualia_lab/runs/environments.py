"""Versions of Python and libraries, from the environment files that runs logged with their models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.environments import environment, is_environment_file
from qualia_lab.artifacts import decoded_text
from qualia_lab.runs.artifact_files import ArtifactFiles, list_all, read_start
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables

_ENVIRONMENT_BYTES = 200_000


def environments_of(files: ArtifactFiles) -> dict[str, dict[str, str]]:
    """Run id → library → version, for the runs that logged an environment file."""
    texts: dict[str, dict[str, str]] = {run_id: {} for run_id in files.places}
    paths_of = [(run_id, files.places[run_id], list(files_of_run)) for run_id, files_of_run in files.listed.items()]
    paths_of += [(run_id, place, [file.path for file in list_all(place)]) for run_id, place in files.model_places]
    environment_files = [
        (run_id, place, path) for run_id, place, paths in paths_of for path in filter(is_environment_file, paths)
    ]
    starts = in_parallel(lambda file: read_start(file[1], file[2], _ENVIRONMENT_BYTES), environment_files)
    for (run_id, place, path), start in zip(environment_files, starts, strict=True):
        if isinstance(start, bytes) and (read := decoded_text(start)) is not None:
            texts[run_id][f"{place.recorded_uri}/{path}"] = read[0]
    environment_of = {run_id: environment(files_of_run) for run_id, files_of_run in texts.items()}
    return {run_id: versions for run_id, versions in environment_of.items() if versions}


def environments_of_some(store: TrackingStore, tables: RunTables, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """As `environments_of`, for a few runs: the artifacts of the others are not listed."""
    selected = {name: rows_with(getattr(tables, name), "run_id", run_ids) for name in ("runs", "logged_models")}
    return environments_of(ArtifactFiles(store, replace(tables, **selected)))
