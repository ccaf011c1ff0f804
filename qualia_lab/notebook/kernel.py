"""Run the cells of a notebook in a kernel that has only the given environment and is shut down at the end."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExecutionFailed, KernelNotStarted
from qualia_lab.escaping import one_line
from qualia_lab.notebook.event_loop import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CURRENT_PYTHON = "python3"  # the kernel name that stands for the current interpreter


def run_cells(
    notebook: Any,
    path: Path,
    *,
    timeout: float,
    environment: Mapping[str, str],
    on_cell: Callable[[int, int], None] | None,
) -> None:
    """Run every code cell of a notebook node and add the outputs to it.

    Args:
        notebook: an nbformat node, which is modified in place.
        path: the file of the notebook, for messages; cells run in its folder.
        timeout: maximum seconds per cell.
        environment: the environment variables of the kernel.
        on_cell: called with (finished cells, total cells) at the start and after each cell, in another thread.

    Raises:
        KernelNotStarted: no cell was run.
        ExecutionFailed: a cell raised an exception, timed out or killed the kernel; earlier cells have their outputs.
    """
    from nbclient import NotebookClient

    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    done = running = 0

    def started(cell_index: int, **_: Any) -> None:
        nonlocal running
        running = cell_index

    def finished(**_: Any) -> None:
        nonlocal done
        done += 1
        if on_cell is not None:
            on_cell(done, total)

    kernel = _kernel_manager(notebook, path)
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=timeout,
        startup_timeout=120,
        record_timing=False,
        on_cell_execute=started,
        on_cell_executed=finished,
    )
    folder = str(path.absolute().parent)
    if on_cell is not None:
        on_cell(0, total)

    async def run() -> None:
        try:
            await _start(client, kernel, path, folder, environment)
            await client.async_execute()
        finally:
            atexit.unregister(client._cleanup_kernel)  # the kernel is stopped below, even if nbclient would not do it
            if client.kc is not None:
                client.kc.stop_channels()
            if kernel.has_kernel:
                await kernel.shutdown_kernel(now=True)

    try:
        run_in_thread(run())
    except ExecutionFailed:
        raise
    except Exception as error:
        raise _failure(notebook.cells[running], running + 1, error, path, timeout) from error


async def _start(client: Any, kernel: Any, path: Path, folder: str, environment: Mapping[str, str]) -> None:
    from jupyter_client.kernelspec import NoSuchKernel

    try:
        await client.async_start_new_kernel(cwd=folder, env=dict(environment))
        await client.async_start_new_kernel_client()
    except NoSuchKernel as error:
        installed = sorted({_CURRENT_PYTHON, *kernel.kernel_spec_manager.find_kernel_specs()})
        raise KernelNotStarted(
            f"{path} requests the kernel {one_line(str(kernel.kernel_name), 60)}, which is not installed.",
            f"Installed: {', '.join(one_line(name, 60) for name in installed)}. Choose one in Jupyter and save.",
        ) from error
    except Exception as error:
        raise KernelNotStarted(
            f"The kernel {one_line(str(kernel.kernel_name), 60)} for {path} did not start: "
            f"{one_line(str(error) or type(error).__name__, 200).rstrip('.')}.",
            "Start it in Jupyter to see why, or choose another one there.",
        ) from error


def _kernel_manager(notebook: Any, path: Path) -> Any:
    """Return the manager of the kernel that the notebook requests."""
    name = notebook.metadata.get("kernelspec", {}).get("name", _CURRENT_PYTHON)
    if name != _CURRENT_PYTHON:
        from jupyter_client import AsyncKernelManager

        return AsyncKernelManager(kernel_name=name)
    try:
        return _kernel_of_this_interpreter()
    except ImportError as error:
        raise KernelNotStarted(
            f"{path} cannot be executed: {one_line(str(error), 200)}.", "Install it: pip install ipykernel"
        ) from error


def _kernel_of_this_interpreter() -> Any:
    """Return a kernel manager for the current interpreter, whatever `python3` is in the user's kernel specs."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class Kernel(AsyncKernelManager):
        """ipykernel under `sys.executable`."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            # Otherwise ipykernel 7.4 warns at each start about an unencrypted connection; older ones lack the trait.
            if self.has_trait("transport_encryption"):
                self.transport_encryption = "auto"

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

    return Kernel()


def _failure(cell: Any, number: int, error: Exception, path: Path, timeout: float) -> ExecutionFailed:
    """Return the error of a cell with its number and source."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    if isinstance(error, CellTimeoutError):
        what = f"ran longer than {timeout:g} seconds"
    elif isinstance(error, CellExecutionError):
        what = f"raised {one_line(f'{error.ename}: {error.evalue}', 300)}"
    elif isinstance(error, DeadKernelError):
        what = "killed its kernel"
    else:
        what = f"could not be run: {one_line(f'{type(error).__name__}: {error}', 300)}"
    source = "".join(f"\n    {one_line(line, 110)}" for line in cell.source.splitlines()[:12])
    return ExecutionFailed(
        f"Cell {number} of {path} {what}:{source}",
        "The outputs until then are saved in it. Open it in Jupyter, or increase --timeout."
        if isinstance(error, CellTimeoutError)
        else "The outputs until then are saved in it; open it in Jupyter to continue.",
    )
