"""What a command reads out of the cell of parameters, however a person or papermill has written it."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from qualia_lab.errors import NotebookError
from qualia_lab.notebook.parameters import read_parameters, run_ids_of


def notebook_of(path, *cells):
    made = [new_code_cell(source, metadata={"tags": [tag]}) for tag, source in cells]
    nbformat.write(new_notebook(cells=made), path)
    return path


def read(tmp_path, source):
    return read_parameters(notebook_of(tmp_path / "n.ipynb", ("parameters", source)))


@pytest.mark.parametrize(
    "source",
    [
        "RUN_IDS = ['a', 'b']",
        "RUN_IDS: list[str] = ['a', 'b']",
        "RUN_IDS = MINE = ['a', 'b']",
        "RUN_IDS = sorted(['x'])\nRUN_IDS = ['a', 'b']",
        "RUN_IDS: list[str]\nRUN_IDS = ['a', 'b']  # mine\nprint(RUN_IDS[0], len(RUN_IDS))",
    ],
)
def test_a_value_that_is_written_out_is_read(tmp_path, source):
    path = notebook_of(tmp_path / "n.ipynb", ("parameters", source))
    assert run_ids_of(path, read_parameters(path)) == ("a", "b")


@pytest.mark.parametrize(
    "source",
    [
        "RUN_IDS = sorted(['a', 'b'])",
        "RUN_IDS: list[str] = list(MINE)",
        "RUN_IDS = ['a']\nRUN_IDS += ['b']",
        "RUN_IDS = ['a']\nRUN_IDS.append('b')",
        "RUN_IDS = ['a']\nRUN_IDS[0] = 'b'",
        "RUN_IDS = ['a']\ndel RUN_IDS[0]",
        "RUN_IDS, OTHER = ['a'], ['b']",
        "if True:\n    RUN_IDS = ['a']",
        "from mine import RUN_IDS",
        "from mine import ids as RUN_IDS",
        "print(RUN_IDS := ['a'])",
    ],
)
def test_run_ids_that_only_running_the_cell_would_tell_are_refused(tmp_path, source):
    with pytest.raises(NotebookError, match="sets RUN_IDS in a way that only running it would tell") as error:
        read(tmp_path, source)
    assert "RUN_IDS = ['ID', 'ID']" in error.value.hint


def test_so_is_a_tracking_uri_and_other_names_are_passed_over(tmp_path):
    with pytest.raises(NotebookError, match="sets TRACKING_URI"):
        read(tmp_path, "import os\nTRACKING_URI = os.environ['MINE']")
    assert read(tmp_path, "METRICS = sorted(['a'])\nRUN_IDS = ['a']") == {"RUN_IDS": ["a"]}


@pytest.mark.parametrize(("source", "place"), [("RUN_IDS = [", "line 1"), ("X = 1\n%matplotlib inline", "line 2")])
def test_a_cell_that_is_no_python_is_refused_with_its_line(tmp_path, source, place):
    with pytest.raises(NotebookError, match=f"cannot be read as Python in {place}"):
        read(tmp_path, source)


def test_what_papermill_injects_comes_last(tmp_path):
    cells = ("parameters", "RUN_IDS = sorted(['x'])"), ("injected-parameters", '# Parameters\nRUN_IDS = ["a"]\n')
    path = notebook_of(tmp_path / "n.ipynb", *cells)
    assert run_ids_of(path, read_parameters(path)) == ("a",)


@pytest.mark.parametrize("source", ["RUN_IDS = 'abc'", "RUN_IDS = [1]", "RUN_IDS = {'a': 1}"])
def test_run_ids_that_are_no_list_of_texts_are_refused(tmp_path, source):
    path = notebook_of(tmp_path / "n.ipynb", ("parameters", source))
    with pytest.raises(NotebookError, match="is no list of texts"):
        run_ids_of(path, read_parameters(path))


def test_no_run_ids_are_none(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", ("parameters", "RUN_IDS = None"))
    assert run_ids_of(path, read_parameters(path)) == ()
