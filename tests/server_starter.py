"""Starts `mlflow server` in forks of one process that has imported MLflow's server, which takes seconds otherwise.

A fork runs the command `mlflow server` with its options; uvicorn, which the command starts as a new process, runs in the
same one.

`python -m tests.server_starter` reads JSON lines from stdin and answers each with one: {"start": OPTIONS, "folder": …,
"environment": …} starts a server in this folder, with its output in server.log there, and answers its process id;
{"poll": ID} answers whether it runs, {"stop": ID} stops it. All are stopped when stdin ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any


class Starter:
    """The process that starts servers."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.server_starter"]
        checkout = Path(__file__).parents[1]
        self.process = subprocess.Popen(
            command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def ask(self, **question: Any) -> Any:
        """Send a request and return the answer."""
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@cache
def starter() -> Starter:
    """The starter of this process, which ends with it."""
    return Starter()


def start(options: list[str], folder: str, environment: dict[str, str]) -> int:
    """Fork a process that runs `mlflow server` with these options, and return its id."""
    process = os.fork()
    if process:
        return process
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        log = os.open("server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _serve(options)
    finally:
        sys.stderr.flush()
        os._exit(1)


def _serve(options: list[str]) -> None:
    import mlflow.cli
    import mlflow.server

    def run_here(command: list[str], *, extra_env: dict[str, str], **_: Any) -> None:
        assert command[:3] == [sys.executable, "-m", "uvicorn"], command
        os.environ.update(extra_env)
        sys.argv = command[2:]
        runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)

    mlflow.server._exec_cmd = run_here
    try:
        mlflow.cli.cli(["server", *options])
    except Exception:
        sys.excepthook(*sys.exc_info())


def poll(process: int) -> bool:
    """Whether a started process still runs."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(process, os.WNOHANG) == (0, 0)
    return False


def stop(process: int) -> None:
    """Stop a server, and wait until it has ended."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, sign)
        deadline = time.monotonic() + 10
        while poll(process):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return


def main() -> None:
    """Answer the requests of stdin."""
    importlib.import_module("uvicorn.main")  # first: MLflow's server looks whether it was imported
    import mlflow.cli
    import mlflow.server.fastapi_app
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    gc.freeze()  # so that forks share the memory of what was imported
    started = []
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            answer: Any = start(question["start"], question["folder"], question["environment"])
            started.append(answer)
        elif "poll" in question:
            answer = poll(question["poll"])
        else:
            answer = stop(question["stop"])
        print(json.dumps(answer), flush=True)
    for process in started:
        if poll(process):
            stop(process)


if __name__ == "__main__":
    main()
