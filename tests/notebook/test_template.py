"""Templates are parsed as by jupytext, and found by path or name."""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient
from nbformat import v4

from qualia_lab.errors import TemplateError
from qualia_lab.notebook.copied_template import copied_template
from qualia_lab.notebook.template import BUILT_IN, list_templates, read_template, read_template_file, template_names
from qualia_lab.notebook.template_cells import TemplateCell, parse_notebook, parse_percent
from qualia_lab.sections import SECTIONS

BUILT_IN_FOLDER = Path(__file__).parents[2] / "qualia_lab" / "templates"

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


QUOTED_AND_MAGIC = {
    "a text in quotes": '# %% [markdown]\n"""\n# A heading\n\nA "text", and more.\n"""\n\n# %%\nx = 1\n',
    "a text in other quotes, on one line": "# %% [markdown] section=\"title\"\nr'''$\\alpha$'''\n",
    "a raw text in quotes": '# %% [raw]\n"""\n---\ntitle: mine\n---\n"""\n',
    "a text in comments that begins with quotes": '# %% [markdown]\n# """\n# three quotes\n',
    "a code cell with quotes": '# %%\n"""A docstring\n# %% that is no cell\n# %matplotlib inline\n"""\ny = "# %%"\n',
    "quotes that are no quotes": '# %%\n# it\'s\nx = \'a"""\' # """\n\n# %%\n# %cd ..\n',
    "magics": "# %%\n# %matplotlib inline\nif x:\n    # %timeit x\n    # !ls -l\n    y = 1\n# files = !ls\n# ?print\n",
    "a magic of several lines": "# %%\n# !pip install \\\n#   --quiet \\\n#   jupytext\n# a comment\n",
    "a magic in a comment": "# %%\n# # %load_ext dotenv\n# %time x = 1  # noescape\n# 5 % of x\n# %\n",
    "magics that were not made comments": "# %%\n%matplotlib inline\n!ls\n",
    "a cell magic": "# %%\n# %%time\nx = 1\n\n# %%time\ny = 2\n",
    "a script that can be executed": "#!/usr/bin/env python\n# %%\nx = 1\n",
    "another language": '# %% language="bash"\n# ls # files\n#\n# pwd\n\n# %% magic_args="-s 1" language="perl"\n# print\n',
}


@pytest.mark.parametrize("text", QUOTED_AND_MAGIC.values(), ids=QUOTED_AND_MAGIC.keys())
def test_quoted_texts_and_magics_are_as_in_jupytext(text):
    ours = [(cell.kind, cell.source.strip("\n"), cell.section, cell.tags) for cell in parse_percent(text)]
    assert ours == as_jupytext_reads(text)


def test_comments_that_are_prose_are_not_taken_for_commands():
    """jupytext makes code of these, as of magics, which would be a syntax error."""
    text = "# %%\n# copy the ids of the runs\n# Why?\nx = 1\n"
    assert parse_percent(text)[0].source == "# copy the ids of the runs\n# Why?\nx = 1"


MAGICS = [
    "%matplotlib inline",
    "%%time",
    "!ls -l",
    "?print",
    "a = %who_ls",
    "a = !ls",
    "# %load x",
    "#",
    '"""',
    "x = 1",
]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["code", "markdown"]), st.lists(st.sampled_from(MAGICS), min_size=1))),
    st.sampled_from([{}, {"cell_markers": '"""'}]),
)
def test_what_jupytext_writes_is_read_as_jupytext_reads_it(cells, options):
    new = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    notebook = v4.new_notebook(cells=[new[kind]("\n".join(lines)) for kind, lines in cells])
    notebook.metadata["jupytext"] = options
    text = jupytext.writes(notebook, fmt="py:percent")
    ours = [(cell.kind, cell.source.strip("\n"), cell.section, cell.tags) for cell in parse_percent(text)]
    assert ours == as_jupytext_reads(text)


@pytest.mark.parametrize("path", sorted(BUILT_IN_FOLDER.glob("*.py")), ids=lambda path: path.stem)
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


def test_the_project_goes_before_built_in_templates_and_a_script_before_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "notebooks" / "templates"
    folder.mkdir(parents=True)
    for name in ("observe.py", "mine.py", "named.py", "no_template.txt"):
        (folder / name).write_text(f"# %% [markdown]\n# ## {name}\n")
    for name in ("mine.ipynb", "other.ipynb"):
        (folder / name).write_text('{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["a note\\n"]}]}')
    (tmp_path / "reports.py").write_text("# %%\n1 + 1\n")
    (tmp_path / "pyproject.toml").write_text('[tool.qualia.templates]\nnamed = "reports.py"\ngone = "gone.py"\n')
    listed, errors = list_templates()
    assert [(one.name, one.origin, text) for one, text in listed if one.origin != "built in"] == [
        ("observe", "notebooks/templates/observe.py", "observe.py"),
        ("mine", "notebooks/templates/mine.py", "mine.py"),
        ("named", "reports.py", ""),
        ("other", "notebooks/templates/other.ipynb", "a note"),
    ]
    assert [one.name for one, _ in listed][: len(BUILT_IN)] == list(BUILT_IN)
    assert ["gone.py cannot be read" in error for error in errors] == [True]
    assert read_template("mine").cells[0].source == "## mine.py"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "a.py",
            "# ---\n# x: 1\n# ---\n\n# %%\nx = 1\n\n# %% section=title\n",
            "a.py:8: the options of `section=title`",
        ),
        ("a.py", "x = 1\n# %% tags=3\n", "a.py:2: the section of a cell is not a text, or its tags are not a list."),
        ("a.py", '# %%\n\n# %% section="curves"\n# text\nx = 1\n', "a.py:3: the cell of the section curves has code"),
        ("a.ipynb", [{}, {"section": ["title"]}], "a.ipynb, cell 2: the section of a cell is not a text"),
        ("a.ipynb", [{"section": "curves"}, {}], "a.ipynb, cell 1: the cell of the section curves has code"),
    ],
)
def test_errors_name_the_file_and_the_line_or_the_cell(file, text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if isinstance(text, list):
        cells = [{"cell_type": "code", "source": ["x = 1"], "metadata": metadata} for metadata in text]
        text = json.dumps({"cells": cells, "nbformat": 4})
    (tmp_path / file).write_text(text)
    with pytest.raises(TemplateError) as error:
        read_template(file)
    assert error.value.message.startswith(message)
    assert error.value.hint


def test_a_copy_is_the_same_template_with_a_comment_in_each_cell_of_a_section(tmp_path):
    for name in BUILT_IN:
        path = tmp_path / f"{name}.py"
        path.write_text(copied_template(read_template_file(name)))
        copy, original = read_template(str(path)), read_template(name)
        assert [(cell.kind, cell.section, cell.tags) for cell in copy.cells] == [
            (cell.kind, cell.section, cell.tags) for cell in original.cells
        ]
        assert copy.description == original.description != ""
        assert all(cell.source for cell in copy.cells)
    assert read_template(str(tmp_path / "observe.py")).cells[4].source == "# Section headline: In short"


def test_a_copy_keeps_the_cells_of_a_person(tmp_path):
    text = 'x = 1\n\n# %% section="nothing"\n\n# %% [markdown] section="title"\n\n# %% tags=["a"]\n# mine\ny = 2\n'
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert copied_template(read_template_file(str(path))) == text.replace(
        'section="nothing"\n', 'section="nothing"\n# Section nothing\n'
    ).replace('section="title"\n', 'section="title"\n# Section title: Title\n')
    cells = [{"cell_type": "code", "metadata": {"section": "curves"}, "source": []}]
    cells += [{"cell_type": "code", "metadata": {"mine": 1}, "source": ["y = 2"], "outputs": []}]
    path = tmp_path / "mine.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {"mine": 2}, "nbformat": 4}))
    copied = json.loads(copied_template(read_template_file(str(path))))
    cells[0]["source"] = ["# Section curves: Metric histories"]
    assert copied == {"cells": cells, "metadata": {"mine": 2}, "nbformat": 4}


@pytest.mark.slow
def test_templates_survive_jupytext_and_run_as_they_are(demo_store, tmp_path):
    """One kernel runs the cells of all built-in templates, of their copies, and of a template that loads some runs."""
    own = f"""\
# %% section="loading"
from qualia_lab import NotebookGenerator, load_runs
selection = NotebookGenerator("sqlite:///{demo_store}").select(limit=2)
runs = load_runs(selection.tracking_uri, selection.run_ids)

# %% section="curves"
# Section curves: Metric histories

# %% tags=["mine"]
assert len(runs.metrics) == 2
"""
    (tmp_path / "own.py").write_text(own)
    files = [read_template_file(name) for name in (*BUILT_IN, str(tmp_path / "own.py"))]
    run = jupytext.reads("", fmt="py:percent")
    for text in (*(file.text for file in files), *map(copied_template, files)):
        notebook = jupytext.reads(jupytext.writes(jupytext.reads(text, fmt="py:percent"), fmt="ipynb"), fmt="ipynb")
        assert parse_percent(jupytext.writes(notebook, fmt="py:percent")) == parse_percent(text)
        assert parse_notebook(jupytext.writes(notebook, fmt="ipynb")) == parse_percent(text)
        run.cells += notebook.cells
    NotebookClient(run, kernel_name="python3").execute()


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
