"""Refreshing loses no text of a person, whatever they and their tools do to the notebook between two refreshes."""

from __future__ import annotations

import json
import os
import tempfile
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import black
import jupytext
import nbformat
import nbstripout
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qualia_lab.files import write_files_atomically
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.generated import NAMESPACE, cell_key, generated_as_metadata, read_generated
from qualia_lab.notebook.merge import merge_cells
from qualia_lab.notebook.parameters import run_ids_in
from qualia_lab.notebook.plan import NotebookPlan
from qualia_lab.notebook.results import results_of
from qualia_lab.notebook.undo import undo
from qualia_lab.refresh.opened import open_notebook
from qualia_lab.refresh.refreshing import Refreshing, merge_plan
from qualia_lab.sections.section import PlannedCell
from qualia_lab.selection import Selection
from qualia_lab.study.study import Study
from tests.counting import record_count

if TYPE_CHECKING:
    from collections.abc import Callable

SEQUENCES = int(os.environ.get("QUALIA_TEST_SEQUENCES", "300"))


def plan_of(version: int, runs: tuple[str, ...]) -> NotebookPlan:
    """A small plan with every kind of generated cell: its text depends on the version, its cells on the runs."""
    cells = [
        PlannedCell("title", "markdown", f"# Churn\n\nWritten by version {version}.\n\nRun all cells."),
        PlannedCell(
            "parameters",
            "code",
            f"TRACKING_URI = 'sqlite:///a.db'\nCHOSEN_BY = {{}}\nRUN_IDS = {list(runs)!r}\nLIMIT = {version}\nPOOL = False",
            ("parameters",),
        ),
        PlannedCell("loading", "code", "runs = load_runs(\n    TRACKING_URI, RUN_IDS,\n)\nruns"),
        PlannedCell("headline", "code", "runs.headline()"),
        *(PlannedCell(f"run:{run}", "code", f"runs.show('{run}', folded=True)") for run in runs),
        *([PlannedCell("extra", "code", "runs.extra('a',   1)")] if version % 2 else []),
        PlannedCell("exploration", "code", ""),
        PlannedCell("not_shown", "markdown", f"## Not shown\n\n- {version} things"),
    ]
    selection, study = Selection("sqlite:///a.db", runs), Study.__new__(Study)
    return NotebookPlan("Churn", "observe", selection, study, tuple(cells), (), {"date": "2026-11-29"})


def refresh(path: Path, plan: NotebookPlan) -> None:
    """Refresh a notebook without running its cells, which no text depends on."""
    opened = open_notebook(path)
    refreshing = Refreshing(opened, plan, merge_plan(opened, plan, restore=False, changes=True))
    notebook = json.loads(refreshing.data(()))
    files = refreshing.finish(notebook, results_of(notebook["cells"], run_ids_in(notebook["cells"], path), when=""))
    write_files_atomically({**files, path: notebook_bytes(notebook)})


@dataclass
class Editor:
    """A notebook on disk that a person and tools edit.

    Attributes:
        path: its file.
        words: the words that the person wrote and has not deleted.
    """

    path: Path
    words: set[str] = field(default_factory=set)
    written: int = 0

    def cells(self, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change the cells, and forget the words that are in none of them any more."""
        notebook = json.loads(self.path.read_text())
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
        change(notebook["cells"])
        if notebook["nbformat_minor"] < 5:
            for cell in notebook["cells"]:
                cell.pop("id", None)
        self.path.write_text(json.dumps(notebook))
        self.forget_deleted()

    def forget_deleted(self) -> None:
        text = self.text()
        self.words = {word for word in self.words if word in text}

    def text(self) -> str:
        return "\n".join("".join(cell["source"]) for cell in json.loads(self.path.read_text())["cells"])

    def word(self) -> str:
        """A new word of the person."""
        self.written += 1
        word = f"word{self.written:04}end"
        self.words.add(word)
        return word


def add_cell(editor: Editor, place: int, is_code: bool) -> None:
    cell = {"cell_type": "markdown", "id": f"own-{editor.written}-x", "metadata": {}, "source": f"My {editor.word()}"}
    if is_code:
        cell |= {"cell_type": "code", "outputs": [], "execution_count": None, "source": f"print('{editor.word()}')"}
    editor.cells(lambda cells: cells.insert(place % (len(cells) + 1), cell))


def edit_line(editor: Editor, place: int, line: int) -> None:
    word = editor.word()

    def edit(cells: list[dict[str, Any]]) -> None:
        if not cells:
            return
        lines = cells[place % len(cells)]["source"].split("\n")
        lines.insert(line % (len(lines) + 1), f"# {word}")
        cells[place % len(cells)]["source"] = "\n".join(lines)

    editor.cells(edit)


def change_a_value(editor: Editor, number: int) -> None:
    """Change a value of the parameters cell, which wins over every new one."""

    def edit(cells: list[dict[str, Any]]) -> None:
        for cell in cells:
            if cell_key(cell) == "parameters":
                cell["source"] = cell["source"].replace("POOL = False", f"POOL = {number}")

    editor.cells(edit)


def delete(editor: Editor, place: int) -> None:
    editor.cells(lambda cells: cells and cells.pop(place % len(cells)))


def cut_and_paste(editor: Editor, place: int, to: int) -> None:
    """JupyterLab gives a pasted cell a new id and keeps its metadata."""

    def move(cells: list[dict[str, Any]]) -> None:
        if cells:
            cell = cells.pop(place % len(cells))
            cells.insert(to % (len(cells) + 1), {**cell, "id": f"pasted-{place}-{to}-{len(cells)}"})

    editor.cells(move)


def copy(editor: Editor, place: int) -> None:
    editor.cells(
        lambda cells: (
            cells and cells.insert(place % len(cells) + 1, {**cells[place % len(cells)], "id": f"copy-{place}"})
        )
    )


def split(editor: Editor, place: int, line: int) -> None:
    """JupyterLab leaves the metadata in both halves, and the id in the second."""

    def halve(cells: list[dict[str, Any]]) -> None:
        if cells:
            cell = cells[place % len(cells)]
            lines = cell["source"].split("\n")
            at = line % (len(lines) + 1)
            first = {**cell, "id": f"split-{place}-{line}", "source": "\n".join(lines[:at])}
            cells[place % len(cells)] = {**cell, "source": "\n".join(lines[at:])}
            cells.insert(place % len(cells), first)

    editor.cells(halve)


def join(editor: Editor, place: int) -> None:
    """JupyterLab keeps the metadata of the first of two cells that are merged."""

    def merge(cells: list[dict[str, Any]]) -> None:
        if len(cells) > 1:
            first = place % (len(cells) - 1)
            cells[first]["source"] += "\n" + cells.pop(first + 1)["source"]

    editor.cells(merge)


def change_type(editor: Editor, place: int) -> None:
    def change(cells: list[dict[str, Any]]) -> None:
        if cells:
            cell = cells[place % len(cells)]
            if cell["cell_type"] == "code":
                cell["cell_type"] = "markdown"
                del cell["outputs"], cell["execution_count"]
            else:
                cell |= {"cell_type": "code", "outputs": [], "execution_count": None}

    editor.cells(change)


def saved_by_jupytext(editor: Editor) -> None:
    """Its percent format gives every cell a new id."""
    notebook = nbformat.read(editor.path, as_version=4)
    nbformat.write(jupytext.reads(jupytext.writes(notebook, fmt="py:percent"), fmt="py:percent"), editor.path)
    editor.forget_deleted()


def saved_by_black(editor: Editor) -> None:
    def reformat(cells: list[dict[str, Any]]) -> None:
        for cell in cells:
            if cell["cell_type"] == "code" and cell["source"].strip():
                try:
                    cell["source"] = black.format_cell(cell["source"], fast=True, mode=black.Mode(line_length=40))
                except (black.NothingChanged, ValueError, tokenize.TokenError):
                    continue

    editor.cells(reformat)


def saved_by_nbstripout(editor: Editor, keys: str) -> None:
    notebook = nbformat.read(editor.path, as_version=4)
    nbformat.write(
        nbstripout.strip_output(notebook, keep_output=False, keep_count=False, keep_id=False, extra_keys=keys.split()),
        editor.path,
    )


def saved_by_colab(editor: Editor) -> None:
    """Colab writes minor version 0, with the ids in the metadata, and metadata of its own."""
    notebook = json.loads(editor.path.read_text())
    for cell in notebook["cells"]:
        if "id" in cell:
            cell["metadata"]["id"] = cell.pop("id")
    notebook["nbformat_minor"] = 0
    notebook["metadata"]["colab"] = {"provenance": []}
    editor.path.write_text(json.dumps(notebook))


def saved_by_vs_code(editor: Editor) -> None:
    editor.cells(lambda cells: [cell["metadata"].update(vscode={"languageId": "python"}) for cell in cells])


def undone(editor: Editor) -> None:
    """What is replaced is kept in a file, so that even edits since the refresh can be found."""
    now = editor.path.read_bytes()
    try:
        result = undo(editor.path, ())
    except Exception:
        assert editor.path.read_bytes() == now
        return
    assert result.kept.read_bytes() == now
    editor.forget_deleted()


numbers = st.integers(0, 30)
versions = st.tuples(
    st.integers(1, 3), st.lists(st.sampled_from("abcde"), unique=True, min_size=1, max_size=4).map(tuple)
)
edits = st.one_of(
    st.tuples(st.just(add_cell), numbers, st.booleans()),
    st.tuples(st.just(edit_line), numbers, numbers),
    st.tuples(st.just(change_a_value), numbers),
    st.tuples(st.just(delete), numbers),
    st.tuples(st.just(cut_and_paste), numbers, numbers),
    st.tuples(st.just(copy), numbers),
    st.tuples(st.just(split), numbers, numbers),
    st.tuples(st.just(join), numbers),
    st.tuples(st.just(change_type), numbers),
    st.sampled_from([(saved_by_jupytext,), (saved_by_black,), (saved_by_colab,), (saved_by_vs_code,), (undone,)]),
    st.tuples(st.just(saved_by_nbstripout), st.sampled_from(["", "metadata.kernelspec cell.metadata.tags"])),
)


@settings(max_examples=SEQUENCES)
@given(first=versions, steps=st.lists(st.one_of(edits, edits, versions), min_size=2, max_size=8))
def test_no_word_of_a_person_is_lost(first, steps):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "n.ipynb"
        path.write_bytes(notebook_bytes(build_notebook(plan_of(*first))))
        editor = Editor(path)
        for step in [*steps, first]:
            if callable(step[0]):
                step[0](editor, *step[1:])
            elif has_parameters(path):
                check_refresh(editor, plan_of(*step))
    record_count(5, "sequences of edits, saves by tools, refreshes and undos", tried=1, failed=0)


def has_parameters(path: Path) -> bool:
    """Whether the notebook still has parameters that can be read; otherwise a refresh refuses it with a sentence."""
    try:
        return "TRACKING_URI" in open_notebook(path).parameters
    except Exception:
        return False


def check_refresh(editor: Editor, plan: NotebookPlan) -> None:
    """A refresh keeps every word and the order of the cells that stay; a second one changes only what changed."""
    before = json.loads(editor.path.read_text())["cells"]
    refresh(editor.path, plan)
    text = editor.text()
    assert [word for word in editor.words if word not in text] == []
    notebook = json.loads(editor.path.read_text())
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    keys = [cell_key(cell) for cell in notebook["cells"] if cell_key(cell)]
    assert len(set(keys)) == len(keys)
    old = [cell_key(cell) for cell in before if cell_key(cell)]
    if len(set(old)) == len(old):
        both = [key for key in old if key in keys]
        assert [key for key in keys if key in both] == both
    refresh(editor.path, plan)
    again = json.loads(editor.path.read_text())
    assert [cell for cell in again["cells"] if not is_about_changes(cell)] == [
        cell for cell in notebook["cells"] if not is_about_changes(cell)
    ]


def is_about_changes(cell: dict[str, Any]) -> bool:
    return cell_key(cell).startswith("changes:")


@pytest.fixture
def made(tmp_path):
    """A generated notebook, and a function that changes its cells."""
    path = tmp_path / "n.ipynb"
    path.write_bytes(notebook_bytes(build_notebook(plan_of(1, ("a", "b")))))
    return Editor(path)


def sources(editor: Editor) -> dict[str, str]:
    return {
        cell_key(cell) or cell["id"]: "".join(cell["source"]) for cell in json.loads(editor.path.read_text())["cells"]
    }


def set_source(editor: Editor, key: str, source: str) -> None:
    editor.cells(lambda cells: [cell.update(source=source) for cell in cells if cell_key(cell) == key])


def test_values_of_the_person_win_and_the_others_are_new(made):
    change_a_value(made, 7)
    refresh(made.path, plan_of(2, ("b", "c")))
    assert sources(made)["parameters"].splitlines() == [
        "TRACKING_URI = 'sqlite:///a.db'", "CHOSEN_BY = {}", "RUN_IDS = ['b', 'c']", "LIMIT = 2", "POOL = 7",
    ]  # fmt: skip


def test_an_edited_cell_is_merged_if_both_changed_other_lines(made):
    set_source(made, "title", "# Churn\n\nWritten by version 1.\n\nRun all cells.\n\nMine.")
    refresh(made.path, plan_of(2, ("a", "b")))
    assert sources(made)["title"] == "# Churn\n\nWritten by version 2.\n\nRun all cells.\n\nMine."


def test_a_new_version_is_offered_beside_an_edit_of_the_same_line(made):
    set_source(made, "title", "# Churn\n\nWritten by me.\n\nRun all cells.")
    refresh(made.path, plan_of(2, ("a", "b")))
    cells = json.loads(made.path.read_text())["cells"]
    assert cells[0]["source"] == "# Churn\n\nWritten by me.\n\nRun all cells."
    assert cells[1]["cell_type"] == "raw"
    note, rest = cells[1]["source"].split("\n", 1)
    assert "delete that cell and make this one Markdown (Esc, M)" in note
    assert rest == "# Churn\n\nWritten by version 2.\n\nRun all cells."


def offered(made: Editor) -> None:
    set_source(made, "title", "# Mine")
    refresh(made.path, plan_of(2, ("a", "b")))


def test_an_offer_is_taken_by_deleting_the_cell_above(made):
    offered(made)

    def take(cells: list[dict[str, Any]]) -> None:
        cells[1]["cell_type"] = "markdown"
        del cells[0]

    made.cells(take)
    refresh(made.path, plan_of(2, ("a", "b")))
    assert sources(made)["title"] == "# Churn\n\nWritten by version 2.\n\nRun all cells."


def test_an_offer_that_was_deleted_does_not_come_back(made):
    offered(made)
    made.cells(lambda cells: cells.pop(1))
    refresh(made.path, plan_of(2, ("a", "b")))
    cells = json.loads(made.path.read_text())["cells"]
    assert [cell["source"] for cell in cells[:2]] == ["# Mine", sources(made)["parameters"]]


def test_a_deleted_cell_stays_deleted_until_it_is_restored(made):
    made.cells(lambda cells: cells.remove(next(cell for cell in cells if cell_key(cell) == "loading")))
    refresh(made.path, plan_of(2, ("a", "b")))
    assert "loading" not in sources(made)
    opened = open_notebook(made.path)
    restored = merge_plan(opened, plan_of(2, ("a", "b")), restore=True, changes=False)
    assert [cell_key(cell) for cell in restored.cells][1:4] == ["parameters", "loading", "headline"]


def test_a_cell_of_a_run_that_is_gone_goes_unless_it_was_edited(made):
    set_source(made, "run:a", "runs.show('a', folded=True)  # the good one")
    refresh(made.path, plan_of(1, ("c",)))
    texts = list(sources(made).values())
    assert "runs.show('a', folded=True)  # the good one" in texts
    assert "run:a" not in sources(made)
    assert "runs.show('b', folded=True)" not in texts
    assert texts.index("runs.show('c', folded=True)") > texts.index("runs.headline()")


def test_an_edited_cell_of_a_run_that_went_is_the_person_s_also_when_the_run_is_back(made):
    set_source(made, "run:a", "runs.show('a')  # mine")
    refresh(made.path, plan_of(1, ("b",)))
    refresh(made.path, plan_of(1, ("a", "b")))
    texts = list(sources(made).values())
    assert texts.count("runs.show('a')  # mine") == 1
    assert texts.count("runs.show('a', folded=True)") == 1
    assert not any("A new version of the cell above" in text for text in texts)


def test_a_new_cell_comes_after_what_the_person_wrote_below_its_predecessor(made):
    def note(cells: list[dict[str, Any]]) -> None:
        place = next(place for place, cell in enumerate(cells) if cell_key(cell) == "run:a")
        cells.insert(place + 1, {"cell_type": "markdown", "id": "note", "metadata": {}, "source": "About a."})

    made.cells(note)
    refresh(made.path, plan_of(1, ("a", "c", "b")))
    order = [key for key in sources(made) if key.startswith(("run:", "note"))]
    assert order == ["run:a", "note", "run:c", "run:b"]


def test_without_the_generated_sources_an_edit_stays_and_the_new_version_is_offered(made):
    set_source(made, "title", "# Mine")
    notebook = json.loads(made.path.read_text())
    del notebook["metadata"][NAMESPACE]
    made.path.write_text(json.dumps(notebook))
    refresh(made.path, plan_of(2, ("a", "b")))
    cells = json.loads(made.path.read_text())["cells"]
    assert cells[0]["source"] == "# Mine"
    assert cells[1]["source"].endswith("Written by version 2.\n\nRun all cells.")
    assert "LIMIT = 2" in sources(made)["parameters"]  # nobody edited it, as its digest says


def test_a_notebook_without_our_metadata_is_matched_by_ids_and_sources(made):
    def strip(cells: list[dict[str, Any]]) -> None:
        for place, cell in enumerate(cells):
            cell["metadata"] = {"tags": cell["metadata"]["tags"]} if "tags" in cell["metadata"] else {}
            cell["id"] = cell["id"] if place % 2 else f"other-{place}"

    made.cells(strip)
    before = [cell["source"] for cell in json.loads(made.path.read_text())["cells"]]
    refresh(made.path, plan_of(1, ("a", "b")))
    assert [cell["source"] for cell in json.loads(made.path.read_text())["cells"]] == before


def test_the_metadata_holds_each_source_once_and_compressed(made):
    notebook = json.loads(made.path.read_text())
    assert set(notebook["metadata"][NAMESPACE]) == {"version", "template", "generated"}
    for cell in notebook["cells"]:
        assert set(cell["metadata"][NAMESPACE]) == {"key", "digest"}
    assert read_generated(notebook).base["headline"] == "runs.headline()"


@pytest.mark.parametrize(
    "damage", ["", "AAAA", "not base64 §", 3, None, {"base": 1}, generated_as_metadata(read_generated({"metadata": {NAMESPACE: {}}}))["generated"][:-6]]
)  # fmt: skip
def test_a_damaged_record_is_no_record(made, damage):
    notebook = json.loads(made.path.read_text())
    notebook["metadata"][NAMESPACE]["generated"] = damage
    made.path.write_text(json.dumps(notebook))
    set_source(made, "headline", "runs.headline()  # mine")
    refresh(made.path, plan_of(1, ("a", "b")))
    assert "runs.headline()  # mine" in sources(made).values()


def test_a_record_that_expands_without_end_is_refused():
    import base64
    import zlib

    stream = zlib.compressobj(9)
    bomb = b"".join(stream.compress(b" " * 1_000_000) for _ in range(80)) + stream.flush()
    notebook = {"metadata": {NAMESPACE: {"generated": base64.b64encode(bomb).decode()}}}
    assert read_generated(notebook).base == {}


def test_cells_of_a_newer_key_are_added_in_their_place():
    new = [{**cell, "source": "".join(cell["source"])} for cell in build_notebook(plan_of(1, ("a",)))["cells"]]
    merged = merge_cells([], new, {})
    assert [cell_key(cell) for cell in merged.cells] == [cell_key(cell) for cell in new]
    assert merged.added == tuple(cell_key(cell) for cell in new)
