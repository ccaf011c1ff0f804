"""The artifact files of the runs: listed once, and read from their start."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from qualia_lab.artifacts import HEAD_BYTES, preview_kind
from qualia_lab.errors import QualiaLabError
from qualia_lab.stores.artifact_places import LocalPlace, as_local_place
from qualia_lab.stores.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace, TrackingStore
    from qualia_lab.tables import RunTables

# Artifacts are compared for at most this many runs: each run may cost a request to a server.
RUNS_COMPARED = 200
READ_BYTES = 1_000_000


@dataclass(frozen=True)
class PathFacts:
    """Facts about one path in several runs, from the first megabyte of each file.

    Attributes:
        digests: the digests of the distinct contents.
        unread: the distinct reasons why files cannot be read.
        kind: the kind of the file.
    """

    digests: frozenset[bytes]
    unread: frozenset[str]
    kind: str


class ArtifactFiles:
    """Where the artifacts of runs are, and their files; `places` and `listed` cover the first runs only."""

    def __init__(self, store: TrackingStore, tables: RunTables) -> None:
        self._store = store
        self._tables = tables
        self._facts: dict[str, PathFacts] = {}

    @cached_property
    def listed(self) -> dict[str, dict[str, ArtifactFile]]:
        """Run id → path → file; empty for a run whose files cannot be listed."""
        listed = in_parallel(list_all, self.places.values())
        return {run_id: {file.path: file for file in files} for run_id, files in zip(self.places, listed, strict=True)}

    @cached_property
    def places(self) -> dict[str, ArtifactPlace]:
        """Run id → where its artifacts are."""
        return {run_id: self.place(run_id) for run_id in self._tables.run_ids[:RUNS_COMPARED]}

    @cached_property
    def model_places(self) -> list[tuple[str, ArtifactPlace]]:
        """(run id, place) of each logged model: MLflow 3 stores models outside the artifact folders of runs."""
        places: list[tuple[str, ArtifactPlace]] = []
        for row in self._tables.logged_models.to_pylist():
            place = self.places.get(row["run_id"])
            folder = as_local_place(place) if place is not None else None
            # Only for local folders: a server would get a request for each folder and file of each model.
            if folder is not None and row["model_id"]:
                places.append(
                    (row["run_id"], LocalPlace(row["model_id"], row["artifact_location"] or "", folder.beside))
                )
        return places

    def place(self, run_id: str) -> ArtifactPlace:
        """Where the artifacts of one run are."""
        return self._store.artifact_place(run_id, self._uris.get(run_id) or "")

    def of_run(self, run_id: str) -> tuple[ArtifactPlace, list[ArtifactFile], tuple[str, ...]]:
        """A run's place, its files, and notes for the reader; a failure to list them becomes a note."""
        place = self.place(run_id)
        try:
            files = list(place.list_files())
        except QualiaLabError as error:
            return place, [], (str(error),)
        return place, files, (place.note,) if place.note else ()

    def paths(self, wanted: Callable[[str], bool]) -> dict[str, list[str]]:
        """Path → ids of the runs that have it, for the paths that `wanted` accepts; the paths of most runs first."""
        run_ids_of: dict[str, list[str]] = {}
        for run_id, files in self.listed.items():
            for path in filter(wanted, files):
                run_ids_of.setdefault(path, []).append(run_id)
        return dict(sorted(run_ids_of.items(), key=lambda item: (-len(item[1]), item[0])))

    def starts(self, files: Iterable[tuple[str, str]], limit: int) -> list[bytes | str]:
        """The first bytes of each (run id, path), or the message that says why it cannot be read."""
        return list(in_parallel(lambda file: read_start(self.places[file[0]], file[1], limit), files))

    def starts_of(self, path: str) -> dict[str, bytes | str]:
        """The first megabyte of a path in each run that has it, or the message that says why it cannot be read."""
        run_ids = [run_id for run_id, files in self.listed.items() if path in files]
        return dict(zip(run_ids, self.starts([(run_id, path) for run_id in run_ids], READ_BYTES), strict=True))

    def facts(self, path: str) -> PathFacts:
        """The facts about a path; its files are read on the first call only."""
        if path not in self._facts:
            starts = self.starts_of(path).values()
            read = [start for start in starts if isinstance(start, bytes)]
            self._facts[path] = PathFacts(
                frozenset(hashlib.sha256(start).digest() for start in read),
                frozenset(start for start in starts if isinstance(start, str)),
                preview_kind(path, read[0][:HEAD_BYTES]) if read else "not readable",
            )
        return self._facts[path]

    @cached_property
    def _uris(self) -> dict[str, str | None]:
        return dict(zip(self._tables.run_ids, self._tables.runs.column("artifact_uri").to_pylist(), strict=True))


def read_start(place: ArtifactPlace, path: str, limit: int) -> bytes | str:
    """The first bytes of a file, or the message that says why it cannot be read."""
    try:
        return place.read_bytes(path, limit)
    except QualiaLabError as error:
        return str(error)


def list_all(place: ArtifactPlace) -> list[ArtifactFile]:
    """The files of a place; empty if they cannot be listed."""
    try:
        return list(place.list_files())
    except QualiaLabError:
        return []
