"""The process of one reader, which repeats a job on request: `python -m benchmarks.worker READER JOB URI`."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.readers import READERS
from benchmarks.wide import digest


def main(reader_name: str, job: str, uri: str) -> None:
    """Answer each line of stdin with a line of JSON: the seconds of a turn or, at the end, memory and a digest."""
    reader: Any = READERS[reader_name](uri)
    result = None
    for line in sys.stdin:
        if line.strip() == "end":
            break
        result = None  # free the memory of the previous turn
        wall, cpu = time.perf_counter(), time.process_time()
        result = getattr(reader, job)()
        print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}), flush=True)
    peak = peak_memory()
    table = reader.as_table(job, result) if hasattr(reader, "as_table") else result
    print(json.dumps({"peak": peak, "rows": table.num_rows, "digest": digest(table, sort=job != "top")}), flush=True)


def peak_memory() -> int:
    """The peak memory in bytes. On Linux, rusage would include the peak of the parent process."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
