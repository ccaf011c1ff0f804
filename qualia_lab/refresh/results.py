"""What a notebook says, or what is found in a snapshot, so that two of them can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.charts.findings_card import FindingsCard
from qualia_lab.generator import NotebookGenerator
from qualia_lab.notebook.parameters import run_ids_in
from qualia_lab.notebook.read import read_notebook
from qualia_lab.notebook.results import read_results, results_of
from qualia_lab.runs import Runs
from qualia_lab.selection import Conditions

if TYPE_CHECKING:
    from pathlib import Path

    from qualia_lab.analysis.changes import Results


def results_in(path: Path) -> Results:
    """Return what is said of the runs of a notebook or a snapshot.

    Args:
        path: the file of an executed notebook, or the folder of a snapshot.

    Returns:
        Of a notebook, what its outputs say; of a snapshot, what is found now in all of its runs.

    Raises:
        NotebookError: it is neither.
        StoreError: the snapshot cannot be read.
    """
    if path.is_dir():
        return _results_in_snapshot(path)
    notebook = read_notebook(path)
    return read_results(notebook, run_ids_in(notebook["cells"], path))


def _results_in_snapshot(folder: Path) -> Results:
    with NotebookGenerator(f"snapshot:{folder}") as generator:
        selection = generator.choose(Conditions())
        runs = Runs(generator.store_of(selection), generator.read(selection), generator.describe(selection))
        cards = (runs, runs.headline(), FindingsCard(runs.find({}), {}, len(runs)))
        outputs = [{"data": card._repr_mimebundle_()} for card in cards]
        return results_of([{"outputs": outputs}], list(runs), when="")
