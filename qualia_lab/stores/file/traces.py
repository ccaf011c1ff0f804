"""Reads the traces of an mlruns folder: EXPERIMENT/traces/TRACE_ID with trace_info.yaml, tags, metadata, assessments.

MLflow 2 and 3 write the same files with other names in trace_info.yaml. Links of traces to runs are not stored.
"""

# Paths are plain strings: creating a Path object for each file takes longer than opening the file.
# ruff: noqa: PTH112, PTH118, PTH119

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab import schema
from qualia_lab.genai_tables import TraceTables
from qualia_lab.stores.artifact_places import artifact_place
from qualia_lab.stores.file.mlruns import Unreadable, read_meta
from qualia_lab.stores.file.yaml_values import nested_yaml
from qualia_lab.stores.genai_rows import GenAIRows
from qualia_lab.stores.trace_choice import ALL_PARTS, chosen_ids, in_order, parts_to_choose
from qualia_lab.stores.trace_files import LARGEST_FILE, TRACE_FILE, spans_at, spans_in_file
from qualia_lab.stores.trace_rows import METADATA_OF_ROWS, SOURCE_RUN, TRACE_NAME, add_assessments, add_trace
from qualia_lab.stores.values import decoded, text
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from qualia_lab.genai_tables import TracePart, TraceQuery
    from qualia_lab.stores.file.mlruns import Root

_INFO, _TAGS, _METADATA, _ASSESSMENTS = "trace_info.yaml", "tags", "request_metadata", "assessments"
_LOCATION = "mlflow.artifactLocation"
_SPANS_PER_BATCH = 5_000


@dataclass(frozen=True)
class _Folder:
    """The folder of one trace."""

    trace_id: str
    experiment_id: str
    path: str


class FolderTraces:
    """The traces of one mlruns folder."""

    def __init__(self, root: Root, folder: Path) -> None:
        self._root = root
        self._folder = folder

    def read(self, query: TraceQuery, parts: Sequence[TracePart] | None, experiments: dict[str, str]) -> TraceTables:
        """The traces that match.

        Args:
            query: which traces; its experiments are not looked at.
            parts: the tables to read, None for all.
            experiments: the folders of the experiments to search, by id.
        """
        wanted: frozenset[TracePart] = frozenset(ALL_PARTS if parts is None else parts) | {"traces"}
        needed = parts_to_choose(query)
        rows = GenAIRows(schema.TRACE_TABLES)
        folders = {folder.trace_id: folder for folder in self._candidates(query, experiments, rows)}
        # With a limit, most traces are only looked at: what the query does not need is read for the chosen ones alone.
        first = needed if query.limit is not None else needed | wanted
        tables = self._tables(folders.values(), first, rows)
        chosen = chosen_ids(query, tables, lambda ids, content: self.spans(ids, experiments, content=content))
        if not wanted <= first:
            tables = self._tables([folders[trace_id] for trace_id in chosen], wanted, GenAIRows(schema.TRACE_TABLES))
        return in_order(tables, chosen, wanted)

    def count(self, experiments: dict[str, str]) -> dict[str, int]:
        """The number of traces of each of these experiments that has any."""
        ignored = GenAIRows(schema.TRACE_TABLES)
        counts = {
            experiment_id: sum(
                os.path.lexists(os.path.join(folder.path, _INFO))
                for folder in self._folders(experiment_id, path, ignored)
            )
            for experiment_id, path in experiments.items()
        }
        return {experiment_id: count for experiment_id, count in counts.items() if count}

    def spans(
        self, trace_ids: Sequence[str], experiments: dict[str, str], *, content: bool
    ) -> Iterator[pa.RecordBatch]:
        """The spans of these traces, in batches; traces whose spans cannot be read yield nothing."""
        waiting: list[dict[str, Any]] = []
        for trace_id in dict.fromkeys(trace_ids):
            folder = self._find(trace_id, experiments)
            if folder is not None:
                waiting += self._spans_of(folder, content=content)
            if len(waiting) >= _SPANS_PER_BATCH:
                yield from table_of(schema.SPANS, waiting).to_batches()
                waiting = []
        if waiting:
            yield from table_of(schema.SPANS, waiting).to_batches()

    def _spans_of(self, folder: _Folder, *, content: bool) -> list[dict[str, Any]]:
        """The spans of one trace: from the file in its own folder, else from where its tag says that it is."""
        try:
            data = self._read(folder, "artifacts", TRACE_FILE, limit=LARGEST_FILE)
        except FileNotFoundError:
            location = self._values(folder, _TAGS, (_LOCATION,), None).get(_LOCATION, "")
            place = artifact_place(folder.trace_id, location, beside=self._folder)
            return spans_at(place, folder.trace_id, content=content) if location else []
        except Unreadable:
            return []
        return spans_in_file(data, folder.trace_id, content=content)

    # Finding folders

    def _folders(self, experiment_id: str, path: str, rows: GenAIRows) -> Iterator[_Folder]:
        """The folders of an experiment's traces; a failure is reported."""
        try:
            for trace_id, folder in self._root.folders(os.path.join(path, "traces")).items():
                yield _Folder(trace_id, experiment_id, folder)
        except Unreadable as error:
            rows.add_problem(f"traces of experiment {experiment_id}", "", error)

    def _find(self, trace_id: str, experiments: dict[str, str]) -> _Folder | None:
        """The folder of a trace, whose id is not trusted."""
        if not trace_id or os.path.basename(trace_id) != trace_id or trace_id in (os.curdir, os.pardir):
            return None
        for experiment_id, path in experiments.items():
            traces = os.path.join(path, "traces")
            try:
                self._root.check(path)
                self._root.check(traces)
            except Unreadable:
                continue
            if os.path.isdir(os.path.join(traces, trace_id)):
                return _Folder(trace_id, experiment_id, os.path.join(traces, trace_id))
        return None

    def _candidates(self, query: TraceQuery, experiments: dict[str, str], rows: GenAIRows) -> Iterator[_Folder]:
        """The folders of traces with the ids and the runs of the query."""
        runs = set(query.run_ids)
        if query.trace_ids:
            found = (self._find(trace_id, experiments) for trace_id in dict.fromkeys(query.trace_ids))
            folders: Iterable[_Folder] = (folder for folder in found if folder is not None)
        else:
            folders = (folder for item in experiments.items() for folder in self._folders(*item, rows))
        for folder in folders:
            if not runs or self._values(folder, _METADATA, (SOURCE_RUN,), None).get(SOURCE_RUN) in runs:
                yield folder

    # Reading folders

    def _tables(self, folders: Iterable[_Folder], parts: Collection[TracePart], rows: GenAIRows) -> TraceTables:
        for folder in folders:
            self._add(folder, parts, rows)
        return TraceTables(**rows.to_tables())

    def _add(self, folder: _Folder, parts: Collection[TracePart], rows: GenAIRows) -> None:
        """Add the rows of one trace."""
        of = f"trace {folder.trace_id}"
        try:
            self._root.check(folder.path)
            info: dict[str, Any] = dict(read_meta(self._root, os.path.join(folder.path, _INFO)))
        except Unreadable as error:
            # Stores in a database keep the artifacts of their traces in folders of the same names.
            if os.path.lexists(os.path.join(folder.path, _INFO)) or os.path.isdir(os.path.join(folder.path, _TAGS)):
                rows.add_problem(of, "", f"{_INFO}: {error}")
            return
        recorded = info.get("trace_id") or info.get("request_id")
        if recorded not in (None, folder.trace_id):
            rows.add_problem(of, "trace_id", f"{_INFO} says {recorded}, the folder is {folder.trace_id}")
        info |= {"trace_id": folder.trace_id, "trace_location": None, "experiment_id": folder.experiment_id}
        tags = self._values(folder, _TAGS, None if "tags" in parts else (TRACE_NAME,), rows)
        metadata = self._values(folder, _METADATA, None if "metadata" in parts else METADATA_OF_ROWS, rows)
        add_trace(info, tags, metadata, rows)
        if "tags" in parts:
            rows.add_values("tags", (folder.trace_id,), tags)
        if "metadata" in parts:
            rows.add_values("metadata", (folder.trace_id,), metadata)
        if "assessments" in parts:
            add_assessments(folder.trace_id, self._assessments(folder, rows), rows)

    def _values(self, folder: _Folder, part: str, keys: Iterable[str] | None, rows: GenAIRows | None) -> dict[str, str]:
        """{key: value} of tags or metadata, one file each.

        Args:
            folder: the trace.
            part: the subfolder.
            keys: the keys to read, without listing the folder; None for all.
            rows: where files that cannot be read are reported; None to ignore them.
        """
        of = f"trace {folder.trace_id}"
        values = {}
        try:
            path = os.path.join(folder.path, part)
            self._root.check(folder.path)
            self._root.check(path)
            files = self._root.files(path) if keys is None else ((key, os.path.join(path, key)) for key in keys)
            for key, file in files:
                try:
                    values[text(key) or ""] = decoded(self._root.read(file))
                except FileNotFoundError:
                    continue
                except Unreadable as error:
                    if rows is not None:
                        rows.add_problem(of, f"{part} {key}", error)
        except Unreadable as error:
            if rows is not None:
                rows.add_problem(of, part, error)
        return values

    def _assessments(self, folder: _Folder, rows: GenAIRows) -> Iterator[dict[str, Any]]:
        """The assessments of a trace, one file each; files that cannot be read are reported."""
        of = f"trace {folder.trace_id}"
        try:
            for name, path in self._root.files(os.path.join(folder.path, _ASSESSMENTS)):
                try:
                    assessment = nested_yaml(decoded(self._root.read(path)))
                except FileNotFoundError:
                    continue
                except (Unreadable, ValueError) as error:
                    reason = error if isinstance(error, Unreadable) else "it is not valid YAML"
                    rows.add_problem(of, f"assessment {name}", reason)
                    continue
                if isinstance(assessment, dict):
                    yield assessment
                else:
                    rows.add_problem(
                        of, f"assessment {name}", "it is empty" if assessment is None else "it is no mapping"
                    )
        except Unreadable as error:
            rows.add_problem(of, _ASSESSMENTS, error)

    def _read(self, folder: _Folder, *path: str, limit: int) -> bytes:
        """A file of a trace. Raises Unreadable or FileNotFoundError."""
        self._root.check(folder.path)
        self._root.check(os.path.join(folder.path, *path[:-1]))
        return self._root.read(os.path.join(folder.path, *path), limit)
