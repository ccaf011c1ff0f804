"""Findings compared with reading what they use: `python -m benchmarks.findings URI TURNS` prints a line per turn."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.worker import peak_memory
from qualia_lab.inventory import take_inventory
from qualia_lab.runs import Runs
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.study import StudySettings, describe_study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.tables import RunTables

Seconds = dict[str, float]  # wall-clock and CPU seconds: `wall` and `cpu`


def turns_of(uri: str) -> Iterator[tuple[Seconds, Seconds, int, tuple[Finding, ...]]]:
    """Read all runs of a store and their histories, then find what stands out, again and again.

    Yields:
        The seconds of reading, those of findings, which read the histories once more, the number of points, and the
        findings. Imports are done before.
    """
    store = open_store(uri)
    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    _find(store, store.read(run_ids[:: max(1, len(run_ids) // 400)]))
    while True:
        begin = _now()
        tables = store.read(run_ids)
        keys = sorted(set(tables.metrics.column("key").to_pylist()))
        points = sum(batch.num_rows for batch in store.read_metric_history(run_ids, keys))
        read = _now()
        found = _find(store, tables)
        done = _now()
        yield (
            {name: read[name] - begin[name] for name in begin},
            {name: done[name] - read[name] for name in read},
            points,
            found,
        )


def _find(store: Any, tables: RunTables) -> tuple[Finding, ...]:
    study = describe_study(tables, take_inventory(tables), StudySettings())
    return Runs(store, tables, study).find({})


def _now() -> Seconds:
    return {"wall": time.perf_counter(), "cpu": time.process_time()}


def main(uri: str, turns: str) -> None:
    """Print the seconds of each turn, and the peak memory in bytes, as JSON."""
    for _, (reading, finding, _, _) in zip(range(int(turns)), turns_of(uri), strict=False):
        print(json.dumps({"reading": reading, "ours": finding, "peak": peak_memory()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
