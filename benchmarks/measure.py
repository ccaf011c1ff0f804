"""Measure readers alternately, each in its own process, so that they share neither memory nor caches."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import resource
    from collections.abc import Sequence
    from pathlib import Path

TURNS = 6  # repetitions; the first warms caches and is excluded if there are others
_SLOW = 5.0  # seconds; if MLflow's client takes longer, it has only one turn
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "PYTHONDONTWRITEBYTECODE": "",  # as installed: otherwise each turn of a command compiles this package again
}


class DifferentResults(Exception):
    """Two readers returned different results."""


@dataclass
class Measured:
    """The measurements of one reader for one job."""

    reader: str
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    peak: int = 0
    rows: int = 0
    digest: str = ""
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of the files that a command wrote

    @property
    def wall(self) -> float:
        """Wall-clock seconds of the median turn."""
        return statistics.median(self.walls[1:] or self.walls)

    @property
    def cpu(self) -> float:
        """CPU seconds of the reader's process in the median turn."""
        return statistics.median(self.cpus[1:] or self.cpus)


class _ReaderProcess:
    """The process of one reader."""

    def __init__(self, reader: str, job: str, uri: str) -> None:
        self.measured = Measured(reader)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.worker", reader, job, uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ENVIRONMENT},
        )

    def go(self) -> None:
        if self.measured.reader in ("client", "fluent") and self.measured.walls and self.measured.walls[0] > _SLOW:
            return
        answer = self._request("go")
        self.measured.walls.append(answer["wall"])
        self.measured.cpus.append(answer["cpu"])

    def end(self) -> Measured:
        answer = self._request("end")
        self.measured.peak, self.measured.rows = answer["peak"], answer["rows"]
        self.measured.digest = answer["digest"]
        self._process.communicate()
        return self.measured

    def _request(self, request: str) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"{self.measured.reader} ended early")


def measure(job: str, uris: dict[str, str], turns: int = TURNS) -> list[Measured]:
    """Measure one job, alternating between readers.  uris: the URI for each reader.  Raises DifferentResults."""
    readers = [_ReaderProcess(reader, job, uri) for reader, uri in uris.items()]
    for _ in range(turns):
        for reader in readers:
            reader.go()
    measured = [reader.end() for reader in readers]
    digests = {result.digest for result in measured if result.reader != "bytes"}
    if len(digests) > 1:
        raise DifferentResults(
            f"{job}: " + ", ".join(f"{result.reader} {result.rows} {result.digest}" for result in measured)
        )
    return measured


def measure_commands(commands: dict[str, Sequence[str]], folder: Path, turns: int = TURNS) -> list[Measured]:
    """Measure commands by name, alternately, in a folder; their results are not compared."""
    measured = {name: Measured(name) for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            if measured[name].walls and measured[name].walls[0] > 4 * _SLOW:
                continue
            started = time.perf_counter()
            with (folder / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **_ENVIRONMENT}
                )
                _, status, used = os.wait4(process.pid, 0)
            if status:
                raise RuntimeError(f"{name} failed: {(folder / f'{name}.log').read_text()[-2000:]}")
            measured[name].walls.append(time.perf_counter() - started)
            measured[name].cpus.append(used.ru_utime + used.ru_stime)
            measured[name].peak = max(measured[name].peak, _bytes(used))
    return list(measured.values())


def measure_findings(uri: str, turns: int = TURNS) -> list[Measured]:
    """Measure findings and reading what they use, alternately in one process, whose imports are not counted."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.findings", uri, str(turns)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **_ENVIRONMENT})
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        Measured(name, [line[name]["wall"] for line in lines], [line[name]["cpu"] for line in lines], lines[-1]["peak"])
        for name in ("ours", "reading")
    ]


def measure_opening(page: Path, turns: int = TURNS) -> dict[str, Measured]:
    """Measure opening a page in headless Chromium and choosing a run in it, each turn in a new context."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.opening", str(page), str(turns)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **_ENVIRONMENT})
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        name: Measured("ours", [line[name]["wall"] for line in lines], [line[name]["cpu"] for line in lines])
        for name in ("open", "choose")
    }


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
