"""Reads the metric files of an mlruns folder, in batches of a few megabytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from qualia_lab import schema
from qualia_lab.columns import column, column_of
from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.file.mlruns import TooLarge, Unreadable
from qualia_lab.stores.file.points import has_complete_last_line, latest_points, normalized, parse_files
from qualia_lab.stores.rows import Fields, Rows
from qualia_lab.stores.values import RUN_STATUSES, status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qualia_lab.stores.file.mlruns import Root
    from qualia_lab.stores.file.points import Points
    from qualia_lab.stores.file.runs import FolderRuns

    MetricFile = tuple[str, str, str]  # run id, key, path

_BYTES_PER_BATCH = 4 << 20  # of metric files: some hundred thousand points
_MAX_METRIC_BYTES = 64 << 20


class MetricFiles:
    """The points of metrics; what cannot be read is reported in the rows."""

    def __init__(self, root: Root, runs: FolderRuns) -> None:
        self._root = root
        self._runs = runs

    def read_latest(self, files: Iterable[MetricFile], rows: Rows) -> None:
        """Add the latest value of each of these metrics to the rows."""
        for series, contents, points in self._points(files, rows):
            for index in np.flatnonzero(points.counts == 0).tolist():
                if index not in points.problems:
                    rows.add_problem(series[index][0], f"metric {series[index][1]}", "it has no value")
            for index, (step, timestamp, value) in latest_points(contents, points):
                run_id, key = series[index]
                latest = {"run_id": run_id, "key": key, "value": value, "step": step, "timestamp": timestamp}
                rows.tables["metrics"].append(latest)

    def history(self, files: Iterable[MetricFile]) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics; nothing is reported."""
        for series, _, points in self._points(files, Rows()):
            if len(points.steps):
                yield _history(series, points)

    def _points(
        self, files: Iterable[MetricFile], rows: Rows
    ) -> Iterator[tuple[list[tuple[str, str]], list[bytes], Points]]:
        """Batches of metric files of a few megabytes: their (run id, key), contents and points; errors are reported."""
        series: list[tuple[str, str]] = []
        contents: list[bytes] = []
        size = 0
        ended: dict[str, bool] = {}
        for run_id, key, file in files:
            try:
                data = self._read_metric(run_id, key, file, rows)
                if has_complete_last_line(data) and self._has_ended(run_id, file, ended):
                    data += b"\n"
            except (Unreadable, FileNotFoundError) as error:
                rows.add_problem(run_id, f"metric {key}", error)
                continue
            series.append((run_id, key))
            contents.append(data)
            size += len(data)
            if size >= _BYTES_PER_BATCH:
                yield series, contents, self._parsed(series, contents, rows)
                series, contents, size = [], [], 0
        if series:
            yield series, contents, self._parsed(series, contents, rows)

    def _has_ended(self, run_id: str, file: str, known: dict[str, bool]) -> bool:
        """Whether the run of a metric file has ended, so that the file is no longer being written."""
        if run_id not in known:
            folder = f"{os.sep}{run_id}{os.sep}"
            path = file[: file.index(folder) + len(folder) - 1] if folder in file else ""
            meta = Fields(self._runs.meta(run_id, "run", path, Rows()) if path else {}, Rows(), run_id)
            known[run_id] = status(meta.text("status"), RUN_STATUSES) in ENDED
        return known[run_id]

    def _read_metric(self, run_id: str, key: str, file: str, rows: Rows) -> bytes:
        """The contents of a metric file; a huge one is normalized while it is read, so that memory stays bounded."""
        try:
            return self._root.read(file, _MAX_METRIC_BYTES)
        except TooLarge:
            data, problem = normalized(self._root.chunks(file))
            if problem:
                rows.add_problem(run_id, f"metric {key}", problem)
            return data

    def _parsed(self, series: list[tuple[str, str]], contents: list[bytes], rows: Rows) -> Points:
        points = parse_files(contents)
        for index, problem in points.problems.items():
            run_id, key = series[index]
            rows.add_problem(run_id, f"metric {key}", problem)
        return points


def _history(series: list[tuple[str, str]], points: Points) -> pa.RecordBatch:
    codes = column_of(np.repeat(np.arange(len(series), dtype=np.int32), points.counts), pa.int32())
    run_ids, keys = (
        pa.DictionaryArray.from_arrays(codes, column(names, schema.STRING)).cast(schema.STRING)
        for names in zip(*series, strict=True)
    )
    numbers = [
        column_of(numbers, kind)
        for numbers, kind in (
            (points.steps, schema.INT),
            (points.timestamps, schema.INT),
            (points.values, schema.FLOAT),
        )
    ]
    return pa.RecordBatch.from_arrays([run_ids, keys, *numbers], schema=schema.METRIC_HISTORY)
