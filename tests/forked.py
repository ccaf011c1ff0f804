"""Starts kernels and commands in forks of a process that has imported what they import, which takes seconds otherwise.

What runs is the same program, with the streams, folder, environment and arguments of a process of its own that waits for
it and passes signals on (`forked_client.py`). Tests of imports, of starting and of ending use processes as a user does.

`python -m tests.forked SOCKET PROGRAM` serves until its stdin ends; a third argument is the socket that kernels ask.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[1]
CLIENT = CHECKOUT / "tests/forked_client.py"
COMMANDS = {
    "qualia": "qualia_lab.cli.main",
    "create-observation-notebook": "qualia_lab.scripts.create_observational_notebook",
    "create-demo-runs": "qualia_lab.scripts.create_demo_runs",
}
# What is imported before. Not MLflow, as a command reads a SQLite file in another way where it is there already.
PROGRAMS = {
    "kernel": (
        *("ipykernel.ipkernel", "ipykernel.kernelapp", "IPython.core.completer", "matplotlib.figure"),
        *("matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg", "pandas", "pyarrow.compute"),
        *("pyarrow.parquet", "qualia_lab.client", "qualia_lab.runs", "qualia_lab.analysis", "qualia_lab.charts"),
    ),
    "command": (
        *("sqlalchemy", "nbclient", "nbformat", "jupyter_client", "ipykernel.kernelspec", "pandas", "pyarrow.compute"),
        *("pyarrow.parquet", *COMMANDS.values(), "qualia_lab.cli", "qualia_lab.notebook", "qualia_lab.sections"),
        *("qualia_lab.stores", "qualia_lab.study"),
    ),
}
MATPLOTLIB_OF_A_KERNEL = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


@cache
def socket_of(program: str, *of_kernels: str) -> str:
    """The socket of a server for this process, which ends with it."""
    folder = tempfile.mkdtemp(prefix="qualia-forks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-m", "tests.forked", f"{folder}/socket", program, *of_kernels]
    server = subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout.readline() == b"ready\n"
    return f"{folder}/socket"


def client_of(address: str) -> list[str]:
    """The beginning of a command line that has a server run the arguments after it, also `-c` and code."""
    return [sys.executable, "-I", "-S", str(CLIENT), address]


@cache
def forked_commands() -> Path:
    """A folder for PATH, with commands that run in forks, and so do kernels that they start."""
    address = socket_of("command", socket_of("kernel"))
    for name in COMMANDS:
        command = Path(address).with_name(name)
        command.write_text(f'#!/bin/sh\nexec {shlex.join(client_of(address))} "$0" "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    return Path(address).parent


@contextlib.contextmanager
def forked_kernels(address: str | None = None) -> Iterator[None]:
    """Kernels that this process starts for notebooks are forks."""
    from ipykernel import kernelspec

    about = kernelspec.get_kernel_dict()

    def of_a_fork() -> dict[str, Any]:
        return about | {"argv": [*client_of(address or socket_of("kernel")), "-f", "{connection_file}"]}

    with patch.object(kernelspec, "get_kernel_dict", of_a_fork):
        yield


# The server


def serve(address: str, program: str) -> None:
    """Fork for each connection, pass on its signals, and answer the exit code."""
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        children: dict[int, tuple[int, socket.socket]] = {}  # {process: its descriptor, who waits for it}
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    for descriptor, _ in children.values():
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    return
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    process = start(connection, program)
                    descriptor = os.pidfd_open(process)
                    children[process] = descriptor, connection
                    selector.register(descriptor, selectors.EVENT_READ, process)
                    selector.register(connection, selectors.EVENT_READ, process)
                elif key.data in children and key.fd == children[key.data][0]:
                    descriptor, connection = children.pop(key.data)
                    selector.unregister(descriptor)
                    os.close(descriptor)
                    with contextlib.suppress(KeyError):
                        selector.unregister(connection)
                    code = os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1])
                    with contextlib.suppress(OSError):
                        connection.sendall(bytes([max(-code, 0), max(code, 0)]))  # a signal, or an exit code
                    connection.close()
                elif key.data in children:  # whose process has not ended in the meantime
                    sent = key.fileobj.recv(1)
                    if not sent:  # who waited for it was killed
                        selector.unregister(key.fileobj)
                    signal.pidfd_send_signal(children[key.data][0], sent[0] if sent else signal.SIGKILL)


def start(connection: socket.socket, program: str) -> int:
    """Fork, and run the program in the fork."""
    size, descriptors, *_ = socket.recv_fds(connection, 4, 3)
    length, about = int.from_bytes(size, "big"), b""
    while len(about) < length:
        about += connection.recv(length - len(about))
    process = os.fork()
    if not process:
        run(program, descriptors, **json.loads(about))
    for descriptor in descriptors:
        os.close(descriptor)
    return process


def run(
    program: str, descriptors: list[int], arguments: list[str], folder: str, environment: dict[str, str]
) -> NoReturn:
    """Run the program in this process as in a new one."""
    code: Any = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        encoding = environment.get("PYTHONIOENCODING", "utf-8")
        sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
        sys.stdout = os.fdopen(1, "w", 1 if os.isatty(1) else -1, encoding, closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding, "backslashreplace", closefd=False)
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
        sys.path[:] = [
            *(path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path),
            *(path for path in sys.path if path not in ("", str(CHECKOUT))),
        ]
        importlib.invalidate_caches()
        tempfile.tempdir = None  # it is chosen again
        if arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
        elif program == "kernel":
            sys.argv = ["ipykernel_launcher.py", *arguments]
            runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            importlib.import_module(COMMANDS[Path(arguments[0]).name]).main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code if isinstance(code, int) else bool(code))


def main() -> None:
    """Import what the program imports, and serve."""
    address, program, *of_kernels = sys.argv[1:]
    if program == "kernel":
        # These are read when the modules are imported: 1 is a parent that is not watched.
        os.environ.update({"JPY_PARENT_PID": "1", **MATPLOTLIB_OF_A_KERNEL})
    for name in PROGRAMS[program]:
        module = importlib.import_module(name)
        if name.startswith("qualia_lab.") and hasattr(module, "__path__"):
            for one in pkgutil.walk_packages(module.__path__, f"{name}."):
                importlib.import_module(one.name)
    gc.collect()
    gc.freeze()  # so that forks share the memory of what was imported
    with forked_kernels(*of_kernels) if of_kernels else contextlib.nullcontext():
        serve(address, program)


if __name__ == "__main__":
    main()
