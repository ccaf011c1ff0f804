"""Markdown, code and terminal output as HTML, and what importing costs."""

from __future__ import annotations

import html
import json
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given
from hypothesis import strategies as st

from qualia_lab.notebook.clean import clean_html
from qualia_lab.notebook.rich_text import code_html, markdown_html, plain_terminal_text, terminal_html

SEQUENCES = st.sampled_from(
    ["\x1b[31m", "\x1b[0m", "\x1b[1;38;5;200m", "\x1b[48;2;1;2;3m", "\x1b[m", "\x1b[2K", "\x1b["]
)


def test_markdown_has_tables_code_lists_and_headings():
    shown = markdown_html(
        "# A\n\n| a | b |\n|---|---|\n| 1 | `c` |\n\n- x\n- ~~y~~\n\n```python\nx = 1\n```\n\n```zork\nx<y\n```"
    )
    page = BeautifulSoup(shown, "html.parser")
    assert page.h1.text == "A"
    assert [cell.text for cell in page.find_all("td")] == ["1", "c"]
    assert page.find("del").text == "y"
    assert page.find("span", class_="mi").text == "1"
    assert page.find_all("pre")[1].text == "x<y\n"


def test_what_could_be_a_formula_stays_as_it_is():
    assert markdown_html("Cost: $5 and $6").strip() == "<p>Cost: $5 and $6</p>"
    assert markdown_html("With $a*b*c$ and *d*").strip() == "<p>With $a*b*c$ and <em>d</em></p>"
    assert markdown_html("$$\na_1*b*<c\n$$").strip() == "<p>$$a_1*b*&lt;c$$</p>"


@given(st.text(max_size=60))
@example("<script>alert(1)</script>")
def test_code_is_shown_literally(text):
    shown = BeautifulSoup(clean_html(code_html(text)), "html.parser").text
    assert shown.split() == text.replace("\0", "").replace("\ufeff", "").split() or "\r" in text


@given(st.lists(st.text("ab<&\"'\n", max_size=5) | SEQUENCES, max_size=8).map("".join))
@example(text="\n\n")
def test_terminal_output_is_escaped_text_in_spans(text):
    shown = terminal_html(text)
    # In <pre>, as on a page: elsewhere the parser of this test joins line breaks.
    parsed = BeautifulSoup(f"<pre>{shown}</pre>", "html.parser")
    assert parsed.text == plain_terminal_text(text)
    assert {tag.name for tag in parsed.find_all(True)} <= {"pre", "span"}


def test_terminal_colours_are_classes_or_colours_of_the_palette():
    assert terminal_html("\x1b[31mE\x1b[0m <") == '<span class="ansi-red-fg">E</span> &lt;'
    assert terminal_html("\x1b[1;97;104mE\x1b[22;39;49m.") == (
        '<span class="ansi-bold ansi-white-intense-fg ansi-blue-intense-bg">E</span>.'
    )
    assert terminal_html("\x1b[38;5;28mE") == '<span style="color:rgb(0,135,0)">E</span>'
    assert terminal_html("\x1b[48;2;1;2;3mE") == '<span style="background-color:rgb(1,2,3)">E</span>'
    assert terminal_html("\x1b[38;5;256mE\x1b[38;2;1;2;300mF\x1b[99999mG") == html.escape("EFG")


CHECKED = """
import json, sys, time
from qualia_lab.notebook.deferred_grammars import deferred_grammars
with deferred_grammars():
    import nbformat
compiled = "rfc3987_syntax.syntax_helpers" in sys.modules
from jsonschema import FormatChecker
checker = FormatChecker()
said = [checker.conforms(text, "iri") for text in ("http://\\u00fc.example/a", "no iri")]
print(json.dumps([compiled, said, "iri" in checker.checkers]))
"""


def test_grammars_of_a_format_checker_are_compiled_on_its_first_use():
    pytest.importorskip("rfc3987_syntax", exc_type=ImportError)
    done = subprocess.run([sys.executable, "-c", CHECKED], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == [False, [True, False], True]
