"""Run commands in a given folder, in a separate process or in this one."""

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
from qualia_lab.scripts import create_demo_runs, create_observational_notebook

CHECKOUT = Path(qualia_lab.__file__).parents[1]
QUALIA = [sys.executable, "-c", "from qualia_lab.cli.main import main; main()"]
# The line that a command prints if it takes more than a second, which may happen on a busy machine.
WAITING_LINE = re.compile(r"\A(starting|reading [^\n]*|writing|executing) \.\.\.\n")
CREATE = [sys.executable, "-m", "qualia_lab.scripts.create_observational_notebook"]
DEMO = [sys.executable, "-m", "qualia_lab.scripts.create_demo_runs"]
_MAINS = {QUALIA[-1]: qualia.main, CREATE[-1]: create_observational_notebook.main, DEMO[-1]: create_demo_runs.main}


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
    return clean | {"PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "160"} | more


def run(command, *args, cwd, timeout=120, **env):
    """Run a command in a separate process without a terminal; its output is text, without the line about waiting."""
    done = subprocess.run(
        [*command, *map(str, args)], cwd=cwd, env=environment(**env), capture_output=True, stdin=subprocess.DEVNULL,
        encoding="utf-8", timeout=timeout, check=False,
    )  # fmt: skip
    done.stderr = WAITING_LINE.sub("", done.stderr)
    return done


def run_here(command, *args, cwd, **env):
    """As `run`, but in this process, which saves the second for imports.

    Streams, arguments, folder, environment and logging are as in a separate process.
    """
    args = list(map(str, args))
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(patch.dict(os.environ, environment(**env), clear=True))
        stack.enter_context(patch.multiple(sys, argv=["qualia", *args], stdin=io.StringIO(), stdout=out, stderr=err))
        stack.enter_context(patch.multiple(console, _uris=[], _debug=False))
        stack.enter_context(patch.object(logging.root, "handlers", []))
        try:
            _MAINS[command[-1]]()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess([*command, *args], code, _written(out), _written(err))


def _written(stream):
    """The text written to a stream, with the line ends of a process's text output."""
    stream.seek(0)
    return stream.read()


def tree(folder):
    """Every file in a folder with its contents and modification time."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
