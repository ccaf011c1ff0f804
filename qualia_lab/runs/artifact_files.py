"""The files of the runs: listed once, and read from their start."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from qualia_lab.errors import QualiaLabError
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.places import LocalPlace, on_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace, TrackingStore
    from qualia_lab.tables import RunTables

# Runs past this place are not compared by their files: each may be a question to a server.
RUNS_COMPARED = 200


class ArtifactFiles:
    """Where the artifacts of some runs are, and which there are; `places` and `listed` are of the first runs only."""

    def __init__(self, store: TrackingStore, tables: RunTables) -> None:
        self._store = store
        self._tables = tables

    @cached_property
    def listed(self) -> dict[str, dict[str, ArtifactFile]]:
        """Of each run, its files by their path; none where they cannot be listed."""
        listed = in_parallel(list_all, self.places.values())
        return {run_id: {file.path: file for file in files} for run_id, files in zip(self.places, listed, strict=True)}

    @cached_property
    def places(self) -> dict[str, ArtifactPlace]:
        """Of each run, where they are."""
        return {run_id: self.place(run_id) for run_id in self._tables.run_ids[:RUNS_COMPARED]}

    @cached_property
    def model_places(self) -> list[tuple[str, ArtifactPlace]]:
        """(run id, place) of each logged model: MLflow 3 keeps them beside the runs' own folders."""
        found: list[tuple[str, ArtifactPlace]] = []
        for row in self._tables.logged_models.to_pylist():
            place = self.places.get(row["run_id"])
            folder = on_this_machine(place) if place is not None else None
            # Only in folders: a server has another way to ask for a model's files.
            if folder is not None and row["model_id"]:
                found.append(
                    (row["run_id"], LocalPlace(row["model_id"], row["artifact_location"] or "", folder.beside))
                )
        return found

    def place(self, run_id: str) -> ArtifactPlace:
        """Where the artifacts of one run are."""
        return self._store.artifact_place(run_id, self._uris.get(run_id) or "")

    def of_run(self, run_id: str) -> tuple[ArtifactPlace, list[ArtifactFile], tuple[str, ...]]:
        """Where one run's artifacts are, which there are, and what a reader has to know; a failure becomes a note."""
        place = self.place(run_id)
        try:
            files = list(place.list_files())
        except QualiaLabError as error:
            return place, [], (str(error),)
        return place, files, (place.note,) if place.note else ()

    def paths(self, wanted: Callable[[str], bool]) -> dict[str, list[str]]:
        """Path → the runs that have it, of the paths that are wanted; those of most runs first."""
        found: dict[str, list[str]] = {}
        for run_id, files in self.listed.items():
            for path in filter(wanted, files):
                found.setdefault(path, []).append(run_id)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    def starts(self, files: Iterable[tuple[str, str]], limit: int) -> list[bytes | str]:
        """The first bytes of each (run id, path), or the sentence that says why it cannot be read."""
        return list(in_parallel(lambda file: read_start(self.places[file[0]], file[1], limit), files))

    @cached_property
    def _uris(self) -> dict[str, str | None]:
        return dict(zip(self._tables.run_ids, self._tables.runs.column("artifact_uri").to_pylist(), strict=True))


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
