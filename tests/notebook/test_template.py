"""Templates are parsed as by jupytext, and found by path or name."""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.errors import TemplateError
from qualia_lab.notebook.template import read_template, template_names
from qualia_lab.notebook.template_cells import TemplateCell, parse_percent
from qualia_lab.sections import SECTIONS

BUILT_IN = Path(__file__).parents[2] / "qualia_lab" / "templates"

# Cell lines that the percent format does not change: no markers, magics or leading comments.
LINES = st.lists(st.sampled_from(["x = 1", "", "    y = [", "print('# %% no cell')", "z = {}"]), min_size=1, max_size=6)
CELLS = st.lists(
    st.tuples(st.sampled_from(["code", "markdown"]), LINES, st.sampled_from([None, "title", "a_b"]), st.booleans()),
    min_size=1,
    max_size=6,
)


def percent(cells) -> str:
    """The cells as a py:percent text."""
    parts = []
    for kind, lines, section, tagged in cells:
        heading = "# %%" + (" [markdown]" if kind == "markdown" else "")
        heading += f' section="{section}"' if section else ""
        heading += ' tags=["one", "two"]' if tagged else ""
        parts += [heading, *(f"# {line}" if kind == "markdown" else line for line in lines), ""]
    return "\n".join(parts)


def as_jupytext_reads(text: str) -> list[tuple]:
    notebook = jupytext.reads(text, fmt="py:percent")
    return [
        (cell.cell_type, cell.source.strip("\n"), cell.metadata.get("section"), tuple(cell.metadata.get("tags", ())))
        for cell in notebook.cells
    ]


@given(CELLS)
def test_a_percent_text_has_the_same_cells_as_in_jupytext(cells):
    text = percent(cells)
    ours = [(cell.kind, cell.source.strip("\n"), cell.section, cell.tags) for cell in parse_percent(text)]
    assert ours == as_jupytext_reads(text)


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.py")), ids=lambda path: path.stem)
def test_built_in_templates_name_existing_sections(path):
    cells = read_template(path.stem).cells
    assert [(c.kind, c.source, c.section, c.tags) for c in cells] == as_jupytext_reads(path.read_text())
    assert {cell.section for cell in cells if cell.section} <= SECTIONS.keys()


def test_a_template_is_a_path_a_notebook_or_a_name_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text('# %% section="title"\n# %%\nprint(1)\n')
    cell = {"cell_type": "code", "metadata": {"section": "setup"}, "source": ["a\n", "b"]}
    (tmp_path / "mine.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    (tmp_path / "pyproject.toml").write_text('[tool.qualia.templates]\nteam = "mine.py"\n')
    assert read_template("mine.py").cells[1] == TemplateCell("code", "print(1)")
    assert read_template("mine.ipynb").cells == (TemplateCell("code", "a\nb", "setup"),)
    assert read_template("team").cells == read_template("mine.py").cells
    assert "team" in template_names()


@pytest.mark.parametrize(
    ("name", "message"),
    [("obsrve", "Did you mean observe"), ("nothing.py", "no template at"), ("../../etc/passwd", "no template at")],
)
def test_the_error_for_an_unknown_template_has_a_suggestion(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TemplateError) as error:
        read_template(name)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["# %% section=title\n", "# %% section=3\n", '# %% tags="one"\n'])
def test_options_that_are_not_json_are_rejected(text):
    with pytest.raises(TemplateError):
        parse_percent(text)


def test_raw_cells_stay_raw(tmp_path):
    ours = parse_percent("# %% [raw]\n# ---\n# title: mine\n# ---\n\n# %%\nx = 1\n")
    theirs = jupytext.reads("# %% [raw]\n# ---\n# title: mine\n# ---\n\n# %%\nx = 1\n", fmt="py:percent").cells
    assert [(cell.kind, cell.source) for cell in ours] == [(cell.cell_type, cell.source) for cell in theirs]
    path = tmp_path / "mine.ipynb"
    cells = [{"cell_type": "raw", "source": ["a\n", "b"], "metadata": {}, "id": "r"}]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert read_template(str(path)).cells == (TemplateCell("raw", "a\nb"),)
