"""What a refresh replaces can be given back, at most ten times, and nothing else is written."""

from __future__ import annotations

import zipfile

import pytest

from qualia_lab.errors import NotebookError
from qualia_lab.files import write_files_atomically
from qualia_lab.notebook.undo import MOST_STEPS, remove_old_steps, undo, undo_step


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_bytes(b"version 0")
    return path


def replace(path, data, *exports):
    """Replace a notebook as a refresh does."""
    old = {one: one.read_bytes() for one in (path, *exports)}
    write_files_atomically({**undo_step(path, old), path: data})
    remove_old_steps(path)


def steps(path):
    return sorted(one.name for one in (path.parent / ".qualia" / path.name).glob("*.zip"))


def test_the_last_ten_versions_are_given_back_in_turn(path):
    for number in range(1, MOST_STEPS + 4):
        replace(path, f"version {number}".encode())
    assert len(steps(path)) == MOST_STEPS
    for number in range(MOST_STEPS + 2, 2, -1):
        assert undo(path, ()).left == number - 3
        assert path.read_bytes() == f"version {number}".encode()
    with pytest.raises(NotebookError, match="There is nothing to undo for"):
        undo(path, ())
    assert path.read_bytes() == b"version 3"


def test_edits_since_the_refresh_are_kept(path):
    replace(path, b"version 1")
    path.write_bytes(b"version 1, edited")
    undone = undo(path, ())
    assert path.read_bytes() == b"version 0"
    assert undone.kept.read_bytes() == b"version 1, edited"


def test_what_was_undone_is_not_replaced_by_what_is_undone_later(path):
    for number in (1, 2):
        replace(path, f"version {number}".encode())
        path.write_bytes(f"edit {number}".encode())
        undo(path, ())
    kept = sorted((path.parent / ".qualia/n.ipynb").glob("undone-*.ipynb"))
    assert [one.read_bytes() for one in kept] == [b"edit 1", b"edit 2"]


def test_exports_are_given_back_and_no_other_name_of_a_step(path, tmp_path):
    page = tmp_path / "n.html"
    page.write_bytes(b"page 0")
    replace(path, b"version 1", page)
    [step] = (tmp_path / ".qualia/n.ipynb").glob("*.zip")
    with zipfile.ZipFile(step, "a") as archive:
        archive.writestr("../outside.txt", "no")
        archive.writestr("other.html", "no")
    page.write_bytes(b"page 1")
    assert undo(path, [page, tmp_path / "n.md"]).files == [path, page]
    assert page.read_bytes() == b"page 0"
    assert sorted(one.name for one in tmp_path.iterdir()) == [".qualia", "n.html", "n.ipynb"]


def test_a_step_of_a_refresh_that_was_killed_is_passed_over(path):
    replace(path, b"version 1")
    write_files_atomically(undo_step(path, {path: b"version 1"}))  # the notebook was not replaced any more
    undo(path, ())
    assert path.read_bytes() == b"version 0"


def test_a_damaged_step_is_named_and_nothing_is_written(path):
    replace(path, b"version 1")
    [step] = (path.parent / ".qualia/n.ipynb").glob("*.zip")
    step.write_bytes(b"no zip")
    with pytest.raises(NotebookError, match=r"1\.zip is damaged"):
        undo(path, ())
    assert path.read_bytes() == b"version 1"
