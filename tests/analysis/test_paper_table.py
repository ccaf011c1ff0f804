"""Tables for a paper: rounding, marks, and escaping of strings from the store."""

from __future__ import annotations

import csv
import io
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.paper_table import Measured, measured, paper_numbers
from qualia_lab.charts.paper_table import PaperTable

from .study_samples import groups_of

HOSTILE = ("lr", r"a&b\\ \input{/etc/passwd} %$_^{x} [1]", "x\n\\end{tabular}|<script>`", "=1+1", "[2pt]", "*")


def table(rows, metrics=("auc",), *, better=True, **options):
    columns = {metric: groups_of(rows, metric, better=better) for metric in metrics}
    return PaperTable(paper_numbers(columns, **options))


def several(*shapes, seed=0, key="lr"):
    generator = np.random.default_rng(seed)
    return [
        ({key: str(place), "seed": str(n)}, {"auc": float(generator.normal(mean, 1)), "loss": float(n)})
        for place, (mean, count) in enumerate(shapes)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("mean", "half", "shown"),
    [
        (0.91234, 0.00413, Measured("0.9123", "0.0041")),
        (0.9, 0.0996, Measured("0.90", "0.10")),
        (123456.7, 1234.0, Measured("123500", "1200")),
        (0.5, None, Measured("0.5000", None)),
        (1234.56, None, Measured("1235", None)),
        (0.7, 0.0, Measured("0.7000", "0.0000")),
        (3.21e-7, 4.5e-8, Measured("3.21", "0.45", -7)),
        (-2.5e9, None, Measured("-2.500", None, 9)),
        (0.0, 0.0, Measured("0.000", "0.000")),
        (0.001, 12.3, Measured("0", "12")),
    ],
)
def test_a_mean_is_rounded_to_the_second_digit_of_its_uncertainty(mean, half, shown):
    assert measured(mean, half) == shown


@given(st.floats(-1e300, 1e300), st.one_of(st.none(), st.floats(0, 1e300)))
def test_a_rounded_mean_is_accurate_to_its_last_digit(mean, half):
    shown = measured(mean, half)
    largest = max(abs(mean), half or 0)
    assert abs(float(shown.mean) * 10.0**shown.exponent - mean) <= max(0.06 * (half or 0), 1e-3 * largest)
    assert (shown.half_width is None) == (half is None)


def test_the_best_is_bold_and_level_ones_are_underlined():
    found = table(several((0, 10), (0.1, 10), (-3, 10), (9, 2)), better=True)
    marks = {row.params[0]: (row.entries[0].best, row.entries[0].level) for row in found.numbers.rows}
    # The best mean is that of two lucky runs, which is not comparable to means of ten.
    assert not marks["3"][0] and not marks["3"][1]
    assert sorted(marks.values()) == [(False, False), (False, False), (False, True), (True, False)]
    assert "Bold: the best mean of three runs or more." in found.markdown
    found = table(several((0, 10), (0.1, 10), (-3, 10), (-1, 1)))
    marks = {row.params[0]: (row.entries[0].best, row.entries[0].level) for row in found.numbers.rows}
    assert sorted(marks.values()) == [(False, False), (False, False), (False, True), (True, False)]
    assert marks["2"] == marks["3"] == (False, False)
    assert found.latex.count(r"\mathbf{") == found.latex.count(r"\underline{") == 1
    assert found.markdown.count("**") == 2
    assert "Values of one or two runs were not compared." in found.markdown


def test_a_lucky_single_run_is_not_bold():
    found = table([*several((0, 5)), ({"lr": "7", "seed": "0"}, {"auc": 50.0})])
    assert not any(entry.best or entry.level for row in found.numbers.rows for entry in row.entries)
    all_single = table([({"lr": str(place), "seed": "0"}, {"auc": float(place)}) for place in range(3)])
    assert [row.params[0] for row in all_single.numbers.rows if row.entries[0].best] == ["2"]  # all have one run


def test_nothing_is_best_without_a_direction():
    found = table(several((0, 10), (3, 10)), better=None)
    assert "mathbf" not in found.latex
    assert "Bold" not in found.markdown


def test_the_best_thirty_configurations_are_shown_with_a_note():
    found = table(several(*[(mean, 2) for mean in range(40)]))
    assert len(found.numbers.rows) == 30
    assert "Showing 30 of 40 configurations." in found.markdown


def test_a_param_that_a_configuration_does_not_have_is_a_dash():
    rows = [({"lr": "1", **({"depth": "3"} if place else {}), "seed": str(n)}, {"auc": 1.0 + place + n / 9})
            for place in range(2) for n in range(3)]  # fmt: skip
    found = table(rows)
    assert found.numbers.params == ("depth",)
    assert "<tr><td>–</td><td>3</td>" in found._repr_html_()
    assert "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}" in found._repr_html_()  # a mean is on one line
    assert "| – | 3 |" in found.markdown
    assert "-- & 3 &" in found.latex
    assert "\r\n,3," in found.csv.replace("\n", "\r\n")  # the CSV stays as it is read: empty


def test_each_metric_shows_its_n_where_it_differs():
    rows = several((0, 3), (1, 3))
    rows[0][1]["loss"] = math.nan
    found = table(rows, ("auc", "loss"))
    assert "(n=2)" in found.markdown
    assert "(n=2)" in found.latex


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_values_are_escaped_in_every_format(text):
    rows = [({text: value, "seed": str(n)}, {text: 1.0 + n}) for value in (text, "b") for n in range(3)]
    found = table(rows, (text,))
    body = found.latex.partition(r"\begin{tabular}")[2]
    lines = body.splitlines()
    assert len(lines) == 8  # column spec, three rules, header, two rows, end: no string has broken a line
    # Without the escapes, no character that LaTeX interprets is left.
    header = lines[2]
    assert header.count(" & ") == 2
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|char\d+)\{\}", "", header
    )
    bare = re.sub(r"\\[{}$&#_%]", "", bare).replace(r" $\uparrow$", "").replace("$n$", "").removesuffix(r" \\")
    assert not set(bare.replace(" & ", "")) & set('\\$#_%~^"`')
    assert not re.match(r"\s*[\[*]", lines[4])
    rows_read = list(csv.reader(io.StringIO(found.csv)))
    assert [len(row) for row in rows_read] == [6, 6, 6]
    assert not any(cell.startswith(("=", "+", "@")) for row in rows_read for cell in row)
    assert "<script>" not in found._repr_html_()
    assert all(line.count("|") == 4 for line in found.markdown.splitlines()[:4])
