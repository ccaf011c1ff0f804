"""Tables that fit a terminal: important columns are kept, and columns left out are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from qualia_lab.console_table import Column, lay_out, wrap

ID = "3d615641733f4469b83049306af248bc"
COLUMNS = [
    Column(""), Column("run", name=True), Column("run id", short=8), Column("started", early=True), Column("lr", right=True),
    Column("model"), Column("validation/accuracy", right=True), Column("loss", right=True),
]  # fmt: skip


def row(name):
    return ["✅", name, ID, "2 days ago", "0.001", "mlp", "0.8643", "0.4151"]


def names_of(lines):
    """The names in the table, joined over continuation lines; each ends where the id begins."""
    return "".join(line[3 : line.index(ID[:8])].rstrip() if line[0] == "✅" else line[4:] for line in lines)


@given(st.lists(st.text(st.characters(categories=["L", "N", "Pd"]), max_size=120), max_size=5), st.integers(30, 200))
def test_status_sign_full_name_and_eight_id_characters_are_shown_at_any_width(names, room):
    titles, lines, left_out = lay_out(COLUMNS, [row(name) for name in names], room)
    assert all(cell_len(line) <= room for line in (*titles, *lines))
    assert sum("✅" in line for line in lines) == len(names)
    assert names_of(lines) == "".join(names)
    assert {"run", "run id", ""}.isdisjoint(left_out)


def test_a_long_name_wraps_between_words():
    name = "vit-large-patch16-224-in21k-finetuned-imagenet-1k-cosine-warmup-5-epochs-seed-0"
    _, lines, _ = lay_out(COLUMNS, [row(name)], 80)
    assert names_of(lines) == name
    assert [line.strip() for line in lines[1:]] == ["imagenet-1k-cosine-warmup-5-epochs-", "seed-0"]


def test_the_id_is_shortened_first_then_titles_then_columns_from_the_right():
    assert ID in lay_out(COLUMNS, [row("short")], 120)[1][0]
    titles, lines, left_out = lay_out(COLUMNS, [row("short")], 80)
    assert f"  {ID[:8]}  2 days ago" in lines[0]
    assert left_out == []
    titles, _, left_out = lay_out(COLUMNS, [row("short")], 72)
    assert (len(titles), left_out) == (2, [])
    assert lay_out(COLUMNS, [row("short")], 60)[2] == ["started"]
    assert lay_out(COLUMNS, [row("short")], 36)[2] == ["started", "validation/accuracy", "loss"]


def test_numbers_are_right_aligned():
    columns = [Column("name"), Column("loss", right=True)]
    assert lay_out(columns, [["a", "0.5"], ["b", "10.25"]], None)[1] == ["a       0.5", "b     10.25"]


@pytest.mark.parametrize(("text", "lines"), [
    ("one two three", ["one two", "  three"]), ("    a bbbbbbbbbbbb", ["    a", "  bbbbbbbbbbbb"]), ("", [""]),
])  # fmt: skip
def test_a_sentence_wraps_at_spaces(text, lines):
    assert wrap(text, 8, "  ") == lines
