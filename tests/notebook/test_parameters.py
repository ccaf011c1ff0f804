"""Reading the parameters cell, as written by users and by papermill."""

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
def test_a_literal_value_is_read(tmp_path, source):
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
def test_run_ids_that_are_not_a_literal_are_rejected(tmp_path, source):
    with pytest.raises(NotebookError, match="sets RUN_IDS by an expression that is not a literal") as error:
        read(tmp_path, source)
    assert "RUN_IDS = ['ID', 'ID']" in error.value.hint


def test_a_tracking_uri_has_to_be_a_literal_and_other_names_are_skipped(tmp_path):
    with pytest.raises(NotebookError, match="sets TRACKING_URI"):
        read(tmp_path, "import os\nTRACKING_URI = os.environ['MINE']")
    assert read(tmp_path, "METRICS = sorted(['a'])\nRUN_IDS = ['a']") == {"RUN_IDS": ["a"]}


@pytest.mark.parametrize(("source", "place"), [("RUN_IDS = [", "line 1"), ("X = 1\n%matplotlib inline", "line 2")])
def test_invalid_python_is_rejected_with_its_line(tmp_path, source, place):
    with pytest.raises(NotebookError, match=f"is not valid Python in {place}"):
        read(tmp_path, source)


def test_parameters_injected_by_papermill_override_the_others(tmp_path):
    cells = ("parameters", "RUN_IDS = sorted(['x'])"), ("injected-parameters", '# Parameters\nRUN_IDS = ["a"]\n')
    path = notebook_of(tmp_path / "n.ipynb", *cells)
    assert run_ids_of(path, read_parameters(path)) == ("a",)


@pytest.mark.parametrize("source", ["RUN_IDS = 'abc'", "RUN_IDS = [1]", "RUN_IDS = {'a': 1}"])
def test_run_ids_that_are_not_a_list_of_strings_are_rejected(tmp_path, source):
    path = notebook_of(tmp_path / "n.ipynb", ("parameters", source))
    with pytest.raises(NotebookError, match="is not a list of strings"):
        run_ids_of(path, read_parameters(path))


def test_run_ids_may_be_none(tmp_path):
    path = notebook_of(tmp_path / "n.ipynb", ("parameters", "RUN_IDS = None"))
    assert run_ids_of(path, read_parameters(path)) == ()
