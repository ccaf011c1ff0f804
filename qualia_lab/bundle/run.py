"""Execute the notebook of a bundle on the data of the bundle alone, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.errors import ExecutionFailed, KernelNotStarted
from qualia_lab.notebook.execute import Edit, execute_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NO_NETWORK = Path(__file__).with_name("no_network.py")


def run_in_bundle(
    notebook: Path,
    data: bytes,
    *,
    timeout: float,
    on_cell: Callable[[int, int], None] | None,
    variables: Mapping[str, str] | None = None,
) -> ExecutionFailed | None:
    """Execute a notebook beside the data of a bundle, without network, and write it with its outputs.

    Args:
        notebook: the file to write, in the folder in which the cells run.
        data: the notebook, without outputs: those of cells that are not run would be the recorded ones.
        timeout: maximum seconds per cell.
        on_cell: called with (finished cells, total cells), in another thread.
        variables: more environment variables of the kernel.

    Returns:
        The error of the first cell that failed, with the outputs of the cells before it in the file; None if all ran.

    Raises:
        KernelNotStarted: no cell was run.
    """
    environment = {"PYTHONSTARTUP": str(_NO_NETWORK), **(variables or {})}
    try:
        execute_notebook(
            notebook,
            edit=Edit(data),
            timeout=timeout,
            snapshot_variables=environment,
            on_cell=on_cell,
            record=False,
        )
    except KernelNotStarted:
        raise
    except ExecutionFailed as error:
        error.message = error.message.replace(str(notebook), notebook.name)
        return error
    return None
