"""A kernel that holds no secret and needs no store runs the cells of a notebook; when this ends, it is gone."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExecutionFailed, KernelNotStarted
from qualia_lab.escaping import one_line
from qualia_lab.notebook.event_loop import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_OWN = "python3"  # the name of a kernel that means the Python that runs this


def run_cells(
    notebook: Any,
    path: Path,
    *,
    timeout: float,
    environment: Mapping[str, str],
    on_cell: Callable[[int, int], None] | None,
) -> None:
    """Run every code cell of a notebook node and put the outputs into it.

    Args:
        notebook: of nbformat; it is changed in place.
        path: the notebook's file, for messages; cells run in its folder.
        timeout: seconds that a cell may take.
        environment: the kernel's variables.
        on_cell: called with (cells done, cells in all) at the start and after each cell, in another thread.

    Raises:
        KernelNotStarted: no cell ran.
        ExecutionFailed: a cell raised, ran out of time or killed the kernel; what ran has its outputs.
    """
    from nbclient import NotebookClient

    in_all = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    done = running = 0

    def started(cell_index: int, **_: Any) -> None:
        nonlocal running
        running = cell_index

    def report(**_: Any) -> None:
        nonlocal done
        done += 1
        if on_cell is not None:
            on_cell(done, in_all)

    kernel = _kernel_manager(notebook, path)
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=timeout,
        startup_timeout=120,
        record_timing=False,
        on_cell_execute=started,
        on_cell_executed=report,
    )
    folder = str(path.absolute().parent)
    if on_cell is not None:
        on_cell(0, in_all)

    async def run() -> None:
        try:
            await _start(client, kernel, path, folder, environment)
            await client.async_execute()
        finally:
            atexit.unregister(client._cleanup_kernel)  # it is stopped here, also where nbclient would not have done it
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
        installed = sorted({_OWN, *kernel.kernel_spec_manager.find_kernel_specs()})
        raise KernelNotStarted(
            f"{path} asks for the kernel {one_line(str(kernel.kernel_name), 60)}, which is not installed.",
            f"There is {', '.join(one_line(name, 60) for name in installed)}; choose one of them in Jupyter and save.",
        ) from error
    except Exception as error:
        raise KernelNotStarted(
            f"The kernel {one_line(str(kernel.kernel_name), 60)} for {path} did not start: "
            f"{one_line(str(error) or type(error).__name__, 200).rstrip('.')}.",
            "Start it in Jupyter to see why, or choose another one there.",
        ) from error


def _kernel_manager(notebook: Any, path: Path) -> Any:
    """The manager of the kernel that the notebook asks for."""
    name = notebook.metadata.get("kernelspec", {}).get("name", _OWN)
    if name != _OWN:
        from jupyter_client import AsyncKernelManager

        return AsyncKernelManager(kernel_name=name)
    try:
        return _kernel_of_this_interpreter()
    except ImportError as error:
        raise KernelNotStarted(
            f"{path} cannot be executed: {one_line(str(error), 200)}.", "Install it: pip install ipykernel"
        ) from error


def _kernel_of_this_interpreter() -> Any:
    """A kernel manager for the Python that runs this, whatever a person's own kernel specs say `python3` is."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class Kernel(AsyncKernelManager):
        """ipykernel under `sys.executable`."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            # Without it ipykernel 7.4 warns on every start that it listens unencrypted; older ones have no such trait.
            if self.has_trait("transport_encryption"):
                self.transport_encryption = "auto"

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

    return Kernel()


def _failure(cell: Any, place: int, error: Exception, path: Path, timeout: float) -> ExecutionFailed:
    """What happened, in which cell, with its source."""
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
        f"Cell {place} of {path} {what}:{source}",
        "What ran until then is saved in it. Open it in Jupyter, or raise --timeout."
        if isinstance(error, CellTimeoutError)
        else "What ran until then is saved in it; open it in Jupyter to go on.",
    )
