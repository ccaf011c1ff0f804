"""The files of all runs: listed once, and read from their start."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from qualia_lab.errors import QualiaLabError
from qualia_lab.runs.loaded import LoadedRuns
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.places import LocalPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

# Runs past this place are not compared by their files: each may be a question to a server.
RUNS_COMPARED = 200


class ArtifactFiles(LoadedRuns):
    """What the methods that compare artifacts stand on."""

    @cached_property
    def _files(self) -> dict[str, dict[str, ArtifactFile]]:
        """Of each of the first runs, its files by their path; none where they cannot be listed."""
        listed = in_parallel(list_all, self._places.values())
        return {run_id: {file.path: file for file in files} for run_id, files in zip(self._places, listed, strict=True)}

    @cached_property
    def _places(self) -> dict[str, ArtifactPlace]:
        runs = self.tables.runs.slice(0, RUNS_COMPARED)
        columns = zip(runs.column("run_id").to_pylist(), runs.column("artifact_uri").to_pylist(), strict=True)
        return {run_id: self._store.artifact_place(run_id, uri or "") for run_id, uri in columns}

    @cached_property
    def _model_places(self) -> list[tuple[str, ArtifactPlace]]:
        """(run id, place) of each logged model: MLflow 3 keeps them beside the runs' own folders."""
        found: list[tuple[str, ArtifactPlace]] = []
        for row in self.tables.logged_models.to_pylist():
            place = self._places.get(row["run_id"])
            # Only in folders: a server has another way to ask for a model's files.
            if isinstance(place, LocalPlace) and row["model_id"]:
                found.append((row["run_id"], LocalPlace(row["model_id"], row["artifact_location"] or "", place.beside)))
        return found

    def _paths(self, wanted: Callable[[str], bool]) -> dict[str, list[str]]:
        """Path → the runs that have it, of the paths that are wanted; those of most runs first."""
        found: dict[str, list[str]] = {}
        for run_id, files in self._files.items():
            for path in filter(wanted, files):
                found.setdefault(path, []).append(run_id)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    def _starts(self, files: Iterable[tuple[str, str]], limit: int) -> list[bytes | str]:
        """The first bytes of each (run id, path), or the sentence that says why it cannot be read."""
        return list(in_parallel(lambda file: read_start(self._places[file[0]], file[1], limit), files))


def read_start(place: ArtifactPlace, path: str, limit: int) -> bytes | str:
    """The first bytes of a file, or why it cannot be read."""
    try:
        return place.read_bytes(path, limit)
    except QualiaLabError as error:
        return str(error)


def list_all(place: ArtifactPlace) -> list[ArtifactFile]:
    """The files of a place; none where they cannot be listed."""
    try:
        return list(place.list_files())
    except QualiaLabError:
        return []
