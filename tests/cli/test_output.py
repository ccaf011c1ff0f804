"""JSON and CSV output can be read back unchanged."""

import csv
import io
import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qualia_lab.cli.output import show_csv, show_json

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = TEXT | st.none() | st.integers() | st.floats()


def printed(monkeypatch, show, *args):
    out = io.StringIO(newline="")
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", out)
        show(*args)
    return out.getvalue()


@given(rows=st.lists(st.fixed_dictionaries({"a": VALUES, 'b, "c"': VALUES}), max_size=5))
@example(rows=[{"a": "\r", 'b, "c"': "\n=1"}])
def test_csv_has_one_value_per_cell_and_no_formula(rows):
    with pytest.MonkeyPatch.context() as monkeypatch:
        text = printed(monkeypatch, show_csv, ["a", 'b, "c"'], rows)
    header, *read = csv.reader(io.StringIO(text, newline=""))
    assert header == ["a", 'b, "c"']
    for row, cells in zip(rows, read, strict=True):
        for value, cell in zip((row[column] for column in header), cells, strict=True):
            if isinstance(value, float):
                assert float(cell) == value or math.isnan(value)
            else:
                assert cell.replace("'", "") == ("" if value is None else str(value)).replace("'", "")
            start = cell.lstrip(" \t\r\n")  # which a spreadsheet passes over
            assert not start.startswith(("=", "@"))
            assert not start.startswith(("+", "-")) or math.isfinite(float(cell)) or "inf" in cell.lower()


@given(rows=st.lists(st.dictionaries(st.text(), VALUES | st.dictionaries(st.text(), st.floats())), max_size=5))
def test_json_is_valid_ascii_for_any_value(rows):
    def refuse(word):
        raise AssertionError(word)

    with pytest.MonkeyPatch.context() as monkeypatch:
        text = printed(monkeypatch, show_json, rows)
    assert text.isascii()
    assert len(json.loads(text, parse_constant=refuse)) == len(rows)
