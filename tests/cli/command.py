"""Starts the command lines as a person does: in a process of their own, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

import qualia_lab

CHECKOUT = Path(qualia_lab.__file__).parents[1]
QUALIA = [sys.executable, "-c", "from qualia_lab.cli.main import main; main()"]
CREATE = [sys.executable, "-m", "qualia_lab.scripts.create_observational_notebook"]


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
    return clean | {"PYTHONPATH": str(CHECKOUT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "160"} | more


def run(command, *args, cwd, timeout=120, **env):
    """The finished process, with what it wrote as text; nobody is at its keyboard."""
    return subprocess.run(
        [*command, *map(str, args)], cwd=cwd, env=environment(**env), capture_output=True, stdin=subprocess.DEVNULL,
        encoding="utf-8", timeout=timeout, check=False,
    )  # fmt: skip


def tree(folder):
    """Every file below a folder with its bytes and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
