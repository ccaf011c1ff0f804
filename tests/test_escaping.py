"""Each output format shows any string literally."""

from __future__ import annotations

import html
import re
import sys
import unicodedata

import mistune
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qualia_lab.escaping import (
    code_span,
    for_csv,
    for_filename,
    for_html,
    for_latex,
    for_markdown,
    for_terminal,
    one_line,
    visible,
)

MARKS = st.text(st.sampled_from("ab \t\n.:/-+=!()'\"`*_{}[]<>#|~$&@^\\wWhtp0;,é\u202e\x1b\x00🐙"), max_size=30)
TEXTS = st.text(max_size=60) | MARKS
renderer = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "footnotes", "math"])


def as_read(markup: str) -> str:
    return html.unescape(markup)


@given(TEXTS)
@example("http://evil.example/x www.evil.example a@b.example")
@example("[x](javascript:alert(1)) ![](http://evil/i.png) <img src=x onerror=alert(1)>")
def test_escaped_markdown_shows_the_text_literally(text):
    rendered = renderer(f"a {for_markdown(text)} b").strip()
    assert re.fullmatch(r"<p>[^<>]*</p>", rendered), rendered
    assert as_read(rendered[3:-4]).split() == f"a {one_line(text)} b".split()


@given(TEXTS)
def test_a_code_span_shows_the_text_literally(text):
    rendered = renderer(f"a {code_span(text)} b").strip()
    match = re.fullmatch(r"<p>a <code>([^<>]*)</code> b</p>", rendered)
    assert match, rendered
    assert as_read(match[1]).split() == one_line(text).split()


@given(TEXTS)
def test_escaped_html_shows_the_text_in_elements_and_attributes(text):
    escaped = for_html(text)
    assert not set(escaped) & set("<>\"'`$")
    assert as_read(escaped) == visible(text)


@given(TEXTS)
def test_terminal_text_is_one_line_of_visible_characters(text):
    shown = for_terminal(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(TEXTS)
def test_file_names_are_valid_on_every_system(text):
    name = for_filename(text)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name)
    assert name.lower() not in {"con", "prn", "aux", "nul", "com1", "lpt1"}


@pytest.mark.parametrize("text", ["val_auc 0.5, epoch-3 / best", "naïve Ωμέγα 🐙"])
def test_ordinary_text_stays_readable(text):
    assert as_read(for_markdown(text)) == text
    assert visible(text) == text


@given(TEXTS)
def test_latex_text_has_only_our_own_commands(text):
    shown = for_latex(text)
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|char\d\d)\{\}", "", shown
    )
    bare = re.sub(r"\\[{}$&#_%]", "", bare)
    assert not set(bare) & set('\\$&#_%~^<>|"`\n')
    assert re.sub(r"\{[\[\]*?!]?\}", "", bare).count("{") == 0
    assert not re.search(r"--|''|,,", shown)
    assert not shown.startswith(("[", "*"))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("\n=1+1", '"\n\'=1+1"'),
        ("\r\n @x", '"\r\n \'@x"'),
        ("＝1+1", "'＝1+1"),
        ("＋1", "'＋1"),
        ("－cmd", "'－cmd"),
        ("＠SUM(A1)", "'＠SUM(A1)"),
        ("a;=cmd()", "a;'=cmd()"),
        ("a; @x;+1;-y", "a; '@x;+1;'-y"),
        ("a\t=1", "a\t'=1"),
        ("a\n=1", '"a\n\'=1"'),
        ("-0.5", "-0.5"),
        ("+1e3", "+1e3"),
        ("a-b=c", "a-b=c"),
        ("{'a': -1, 'b': 2}", "\"{'a': -1, 'b': 2}\""),
        ("x;y", "x;y"),
    ],
)
def test_csv_cells_that_a_spreadsheet_would_evaluate_are_escaped(text, cell):
    assert for_csv(text) == cell


def test_the_only_printable_white_space_is_a_space():
    """`one_line` leaves printable texts without two spaces in a row as they are."""
    printable = (chr(code) for code in range(sys.maxunicode + 1) if chr(code).isprintable())
    assert [char for char in printable if re.match(r"\s", char)] == [" "]
    assert one_line(" a  b ") == "a b"
