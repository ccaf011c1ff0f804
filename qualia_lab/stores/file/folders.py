"""Finds the folders of experiments and runs in an mlruns folder."""

# Paths are plain strings: creating a Path object for each file takes longer than opening the file.
# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreNotFound, StoreUnreadable
from qualia_lab.stores.file.mlruns import Unreadable
from qualia_lab.stores.values import text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from qualia_lab.stores.file.mlruns import Root

_RUN_ID = re.compile(r"[0-9a-f]{32}\Z")
_RECORDED_ID = re.compile(rb"""(?m)^experiment_id:[ \t]*['"]?([^'"\r\n]*?)['"]?[ \t]*\r?$""")
_NOT_EXPERIMENTS = {"models"}  # the model registry
_NOT_RUNS = {"tags", "datasets", "traces", "models"}
_RUN_PARTS = ("params", "metrics", "tags")


@dataclass(frozen=True)
class Experiment:
    """The folder of an experiment; its meta.yaml is read only when needed."""

    experiment_id: str
    path: str
    deleted: bool

    def lifecycle_stage(self, recorded: Any) -> str:
        """The lifecycle stage: deleted for anything in the trash, whatever its files say."""
        return "deleted" if self.deleted else text(recorded) or "active"


class Folders:
    """The folders of experiments and runs in a store."""

    def __init__(self, root: Root, path: Path) -> None:
        self._root = root
        self._path = path

    def experiments(self) -> list[Experiment]:
        """Every experiment, including deleted ones."""
        if not self._path.is_dir():
            raise StoreNotFound(f"There is no folder {self._path}.", "Check the path; nothing was created.")
        try:
            active, trash = (self._root.folders(os.path.join(self._root.real, name)) for name in ("", ".trash"))
        except Unreadable as error:
            raise StoreUnreadable(
                f"The folder {self._path} could not be read: {error}.", "Check its permissions."
            ) from error
        candidates = [
            *(Experiment(name, path, deleted=False) for name, path in active.items() if name not in _NOT_EXPERIMENTS),
            *(Experiment(name, path, deleted=True) for name, path in trash.items()),
        ]
        found = [
            candidate
            for candidate in candidates
            if not candidate.experiment_id.startswith(".")
            and (
                os.path.lexists(os.path.join(candidate.path, "meta.yaml"))
                or any(_RUN_ID.match(name) for name in self.runs(candidate))
            )
        ]
        found = self._without_copies(found)
        if not found and (self._path / "mlruns").is_dir():
            raise StoreUnreadable(
                f"The folder {self._path} holds no experiments itself.", f"Point at {self._path / 'mlruns'} instead."
            )
        return found

    def _without_copies(self, experiments: list[Experiment]) -> list[Experiment]:
        """The experiments without copied folders, whose meta.yaml has the id of another existing folder.

        MLflow skips copies too. Folders that were renamed or have no meta.yaml are not copies.
        """
        existing = {experiment.experiment_id for experiment in experiments}
        originals = []
        for experiment in experiments:
            try:
                data = self._root.read(os.path.join(experiment.path, "meta.yaml"))
            except (Unreadable, OSError):
                data = b""
            recorded = _RECORDED_ID.search(data)
            recorded_id = recorded[1].decode("utf-8", "replace") if recorded else experiment.experiment_id
            if recorded_id == experiment.experiment_id or recorded_id not in existing:
                originals.append(experiment)
        return originals

    def runs(self, experiment: Experiment) -> dict[str, str]:
        """The runs of an experiment as {run_id: path}: folders that have a meta.yaml or look like a run."""
        try:
            folders = self._root.folders(experiment.path)
        except Unreadable:
            return {}
        return {
            name: path
            for name, path in folders.items()
            if name not in _NOT_RUNS
            and (
                os.path.lexists(os.path.join(path, "meta.yaml"))
                or (_RUN_ID.match(name) and any(os.path.isdir(os.path.join(path, part)) for part in _RUN_PARTS))
            )
        }

    def find(self, run_ids: Iterable[str]) -> dict[str, tuple[Experiment, str]]:
        """{run id: (experiment, path)} of those of these runs that exist, in this order."""
        everything = {
            run_id: (experiment, path)
            for experiment in reversed(self.experiments())  # if a run exists twice, the active one counts
            for run_id, path in self.runs(experiment).items()
        }
        return {run_id: everything[run_id] for run_id in dict.fromkeys(run_ids) if run_id in everything}
