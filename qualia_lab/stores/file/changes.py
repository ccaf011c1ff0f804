"""The change token of an mlruns folder: the times of folders, and of the files of runs that have not ended."""

# Paths are plain strings: creating a Path object for each file takes longer than asking for its time.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qualia_lab.stores.change_tokens import file_facts, token_of
from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.file.mlruns import Root, Unreadable, read_meta
from qualia_lab.stores.values import RUN_STATUSES, status, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Facts = tuple[int, int, int] | None


_FOLDERS = ("metrics", "params", "tags", "inputs", "outputs")
_FOLDERS_OF_ENDED = ("", "metrics", "params", "tags")  # few, as there may be very many runs


class FolderChanges:
    """Makes the change tokens of one folder, and remembers which runs have ended by the time of their meta.yaml."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._ended: dict[str, tuple[Facts, bool]] = {}

    def token(self, experiments: Iterable[str], runs: Iterable[str]) -> str:
        """Return a token that differs after one of these folders was written to.

        Args:
            experiments: the folders of the experiments.
            runs: the folders of the runs.
        """
        facts: list[tuple[str, Facts]] = [(self._root.real, file_facts(self._root.real))]
        for folder in experiments:
            facts += self._with_files(folder, ("tags", "datasets", "models"))
            facts += self._of(folder, ("", "meta.yaml"))
            facts += self._of_traces(folder)
        facts += self._with_files(self._root.real, ("models",))  # the registry
        ended = {}
        for folder in runs:
            meta = file_facts(os.path.join(folder, "meta.yaml"))
            known = self._ended.get(folder)
            ended[folder] = known if known is not None and known[0] == meta else (meta, self._has_ended(folder))
            facts.append((folder, meta))
            facts += self._of(folder, _FOLDERS_OF_ENDED) if ended[folder][1] else self._with_files(folder, _FOLDERS)
        self._ended = ended
        last = max((fact[2] / 1e9 for _, fact in facts if fact is not None), default=None)
        return token_of(facts, last_write=last)

    def _has_ended(self, folder: str) -> bool:
        try:
            meta = read_meta(self._root, os.path.join(folder, "meta.yaml"))
        except (Unreadable, OSError):
            return False
        recorded = meta.get("status")
        return status(text(recorded) if isinstance(recorded, str) else None, RUN_STATUSES) in ENDED

    def _of(self, folder: str, names: Iterable[str]) -> Iterator[tuple[str, Facts]]:
        for name in names:
            path = os.path.join(folder, name)
            yield path, file_facts(path)

    def _of_traces(self, folder: str) -> Iterator[tuple[str, Facts]]:
        """The facts of the traces of an experiment, whose values are each written once."""
        traces = os.path.join(folder, "traces")
        yield traces, file_facts(traces)
        try:
            folders = self._root.folders(traces)
        except Unreadable:
            return
        for path in folders.values():
            yield from self._of(path, ("trace_info.yaml", "tags", "assessments"))

    def _with_files(self, folder: str, names: Iterable[str]) -> Iterator[tuple[str, Facts]]:
        """The facts of subfolders and of all files in them."""
        for name in names:
            path = os.path.join(folder, name)
            yield path, file_facts(path)
            try:
                yield from ((file, file_facts(file)) for _, file in self._root.files(path))
            except Unreadable:
                continue
