"""Run a notebook's cells in a kernel that holds no secret and needs no store."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExecutionFailed, NotebookError
from qualia_lab.escaping import one_line
from qualia_lab.files import write_whole
from qualia_lab.notebook.build import notebook_bytes
from qualia_lab.stores.uri import split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Where the executing kernel finds the runs that the command has read already.
SNAPSHOT_VARIABLE = "QUALIA_LAB_SNAPSHOT"

_SECRET_VARIABLE = re.compile(
    r"(?i)(password|passwd|passphrase|secret|token|credential|api_?key|access_?key|private_?key|auth|cookie|dsn|"
    r"session|^(pg|mysql|aws_|azure_|google_|gcp_|databricks_|ssh_|mlflow_tracking_(user|client|server)))"
)
_OUTPUT_CHARACTERS = 1_000_000

# What is freed is given back to the machine at once (Arrow's allocator; glibc's, of what is large) where a person has
# not set it otherwise: of 100,000 runs the kernel's peak is a tenth lower, for some seconds of a minute.
_GIVES_BACK = {
    "MIMALLOC_PURGE_DELAY": "0",
    "MALLOC_MMAP_THRESHOLD_": str(6 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}


def execute_notebook(
    path: Path,
    *,
    timeout: float = 600,
    snapshot: Path | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> None:
    """Run every code cell of the notebook at `path` and put the outputs into the same file.

    timeout: seconds a cell may take.  snapshot: a snapshot of the runs the notebook loads.
    on_cell: called with (cells done, cells in all) at the start and after each cell.
    Raises NotebookError when the file is no notebook, and ExecutionFailed when a cell raises, runs out of time or
    kills the kernel; what ran by then is in the file.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = _read(path)
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

    client = NotebookClient(
        notebook,
        timeout=timeout,
        startup_timeout=120,
        shutdown_kernel="immediate",
        record_timing=False,
        resources={"metadata": {"path": str(path.absolute().parent)}},
        on_cell_execute=started,
        on_cell_executed=report,
    )
    if notebook.metadata.get("kernelspec", {}).get("name", "python3") == "python3":
        client.kernel_manager_class = _kernel_of_this_interpreter()
    if on_cell is not None:
        on_cell(0, in_all)
    try:
        client.execute(env=kernel_environment(os.environ, snapshot))
    except Exception as error:
        if hasattr(client, "_async_cleanup_kernel_future"):  # nbclient's own handler took the Ctrl-C
            raise KeyboardInterrupt from error
        if isinstance(error, (CellExecutionError, CellTimeoutError, DeadKernelError)):
            raise _failure(notebook.cells[running], running + 1, error, path, timeout) from error
        raise ExecutionFailed(
            f"The kernel for {path} did not start: {one_line(str(error), 200)}.", "Check that ipykernel is installed."
        ) from error
    finally:
        for cell in notebook.cells:
            _cap_outputs(cell)
        write_whole(path, notebook_bytes(notebook))


def kernel_environment(environment: Mapping[str, str], snapshot: Path | None) -> dict[str, str]:
    """The environment for the kernel: nothing that may be a credential, MLflow's telemetry off, and the snapshot."""
    kept = {
        name: value
        for name, value in environment.items()
        if not _SECRET_VARIABLE.search(name) and not split_uri(value).secrets
    }
    kept = _GIVES_BACK | kept
    kept |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if snapshot is not None:
        kept[SNAPSHOT_VARIABLE] = str(snapshot)
    return kept


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise NotebookError(f"There is no notebook at {path}.", "Check the path.") from error
    except Exception as error:
        raise NotebookError(
            f"{path} is not a notebook: {one_line(str(error), 120)}.", "Open it in Jupyter to see what is wrong."
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

    return Kernel


def _failure(cell: Any, place: int, error: Exception, path: Path, timeout: float) -> ExecutionFailed:
    """What happened, in which cell, with its source."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    if isinstance(error, CellTimeoutError):
        what = f"ran longer than {timeout:g} seconds"
    elif isinstance(error, CellExecutionError):
        what = f"raised {one_line(f'{error.ename}: {error.evalue}', 300)}"
    else:
        what = "killed its kernel"
    source = "".join(f"\n    {one_line(line, 110)}" for line in cell.source.splitlines()[:12])
    return ExecutionFailed(
        f"Cell {place} of {path} {what}:{source}",
        "What ran until then is saved in it. Open it in Jupyter, or raise --timeout."
        if isinstance(error, CellTimeoutError)
        else "What ran until then is saved in it; open it in Jupyter to go on.",
    )


def _cap_outputs(cell: Any) -> None:
    """Cut what a cell printed to a size a notebook can carry, and say so in the output."""
    for output in cell.get("outputs", ()):
        text = output.get("text")
        if isinstance(text, str) and len(text) > _OUTPUT_CHARACTERS:
            cut = f"\n[cut by qualia-lab: showing {_OUTPUT_CHARACTERS:,} of {len(text):,} characters]\n"
            output["text"] = text[:_OUTPUT_CHARACTERS] + cut
