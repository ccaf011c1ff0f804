"""Starts the command lines as a person does, in a folder of their own: in a process of their own, or in this one."""

import contextlib
import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import qualia_lab
from qualia_lab import console
from qualia_lab.cli import main as qualia
from qualia_lab.scripts import create_observational_notebook

CHECKOUT = Path(qualia_lab.__file__).parents[1]
QUALIA = [sys.executable, "-c", "from qualia_lab.cli.main import main; main()"]
# What a command says first where it has not said anything for a second: on a busy machine any may.
FIRST_WORD = re.compile(r"\A(starting|reading [^\n]*|writing|executing) \.\.\.\n")
CREATE = [sys.executable, "-m", "qualia_lab.scripts.create_observational_notebook"]


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
    return clean | {"PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "160"} | more


def run(command, *args, cwd, timeout=120, **env):
    """The finished process, with what it wrote as text but for its first word; nobody is at its keyboard."""
    done = subprocess.run(
        [*command, *map(str, args)], cwd=cwd, env=environment(**env), capture_output=True, stdin=subprocess.DEVNULL,
        encoding="utf-8", timeout=timeout, check=False,
    )  # fmt: skip
    done.stderr = FIRST_WORD.sub("", done.stderr)
    return done


def run_here(command, *args, cwd, **env):
    """What `run` gives, without the second that a process takes to import everything: for what needs none of its own.

    Streams, arguments, folder, environment and logging are those that the command has in a process of its own.
    """
    main = {"-c": qualia.main, "-m": create_observational_notebook.main}[command[1]]
    args = list(map(str, args))
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(patch.dict(os.environ, environment(**env), clear=True))
        stack.enter_context(patch.multiple(sys, argv=["qualia", *args], stdin=io.StringIO(), stdout=out, stderr=err))
        stack.enter_context(patch.multiple(console, _uris=[], _debug=False))
        stack.enter_context(patch.object(logging.root, "handlers", []))
        try:
            main()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess([*command, *args], code, _written(out), _written(err))


def _written(stream):
    """What was written to a stream, with the line ends that text of a process has."""
    stream.seek(0)
    return stream.read()


def tree(folder):
    """Every file below a folder with its bytes and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
