"""Promise 2: no string of a store is executed, rendered or obeyed, in whatever it ends up.

The values are those of the hostile corpus; each goes into each sink by the way that product strings take, and what
comes out is read with the parser of that sink. Whole notebooks and pages of the corpus are in tests/test_notebooks.py.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import random
import re
import unicodedata

import mistune
import pytest
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager

from qualia_lab.charts.previews.markdown import markdown_html
from qualia_lab.charts.previews.texts import json_preview, text_html, yaml_preview
from qualia_lab.cli.output import plain_json
from qualia_lab.escaping import (
    code_span,
    for_csv,
    for_filename,
    for_html,
    for_markdown,
    for_terminal,
    one_line,
    visible,
)
from qualia_lab.framing import framed_page
from qualia_lab.notebook.clean import TAGS, clean_html
from qualia_lab.notebook.page.outputs import script_json
from qualia_lab.sections.literal import assignment

PROMISE = 2
# How many values are made of pieces of the corpus: `make soak` sets more.
MADE = int(os.environ.get("QUALIA_TEST_VALUES", "10"))
_RENDERER = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "footnotes", "math"])
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_STILL = {"p", "pre", "small", "b", "i", "code", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "br"}


@pytest.fixture(scope="module")
def values(shared_data):
    """Every text of the corpus, by its case; texts with a repeat count are expanded."""
    found = {}
    for case in json.loads((shared_data / "hostile.json").read_text(encoding="utf-8"))["cases"]:
        for name in ("value", "twin"):
            text = case.get(name)
            if isinstance(text, dict) and "repeat" in text:
                text = text["repeat"][0] * min(text["repeat"][1], 8000)
            if isinstance(text, str):
                found[f"{case['id']} {name}"] = text
    assert len(found) >= 55
    return found


# Code


def _is_one_literal(source: str, name: str, value: object) -> bool:
    tree = ast.parse(source)
    line = TransformerManager().transform_cell(source)  # as the kernel transforms it: no magics, no shell commands
    one = tree.body[0]
    return (
        len(tree.body) == 1
        and isinstance(one, ast.Assign)
        and ast.unparse(one.targets[0]) == name
        and ast.literal_eval(one.value) == value
        and ast.dump(ast.parse(line)) == ast.dump(tree)
    )


def code_text(text: str) -> bool:
    """As a value of the parameters cell."""
    return _is_one_literal(assignment("VALUE", text), "VALUE", text)


def code_list(text: str) -> bool:
    """In a list of it."""
    return _is_one_literal(assignment("VALUE", [text, "x"]), "VALUE", [text, "x"])


def code_key(text: str) -> bool:
    """As a key of a dict of it."""
    return _is_one_literal(assignment("VALUE", {text: {"k": text}}), "VALUE", {text: {"k": text}})


# Markdown


def _is_plain_paragraph(rendered: str) -> bool:
    return re.fullmatch(r"<p>[^<>]*</p>", rendered.strip()) is not None


def markdown_line(text: str) -> bool:
    """In the middle of a line."""
    return _is_plain_paragraph(_RENDERER(f"a {for_markdown(text)} b"))


def markdown_heading(text: str) -> bool:
    """In a heading."""
    return re.fullmatch(r"<h2>[^<>]*</h2>", _RENDERER(f"## a {for_markdown(text)}").strip()) is not None


def markdown_item(text: str) -> bool:
    """In an item of a list."""
    soup = BeautifulSoup(_RENDERER(f"- a {for_markdown(text)}\n- b"), "html.parser")
    return sorted(one.name for one in soup.find_all(True)) == ["li", "li", "ul"]


def markdown_cell(text: str) -> bool:
    """In a cell of a table."""
    soup = BeautifulSoup(_RENDERER(f"| a | b |\n|---|---|\n| {for_markdown(text)} | x |"), "html.parser")
    return len(soup.find_all("td")) == 2 and {one.name for one in soup.find_all(True)} <= _STILL


def markdown_code(text: str) -> bool:
    """As code within a line."""
    return re.fullmatch(r"<p>a <code>[^<>]*</code> b</p>", _RENDERER(f"a {code_span(text)} b").strip()) is not None


# HTML


def _as_html(text: str) -> BeautifulSoup:
    return BeautifulSoup(f"<!-- -->{text}", "html.parser")


def html_element(text: str) -> bool:
    """In an element."""
    soup = _as_html(f"<p>{for_html(text)}</p>")
    return [one.name for one in soup.find_all(True)] == ["p"] and soup.p.text == visible(text)


def html_attribute(text: str) -> bool:
    """In a quoted attribute."""
    soup = _as_html(f'<p title="{for_html(text)}">x</p>')
    return [one.attrs for one in soup.find_all(True)] == [{"title": visible(text)}]


def html_script(text: str) -> bool:
    """In the JSON of a script element."""
    soup = _as_html(f'<script type="application/json">{script_json({"a": text})}</script><p>end</p>')
    return json.loads(soup.script.string) == {"a": text} and soup.p.text == "end" and len(soup.find_all(True)) == 2


def _is_still(text: str) -> bool:
    soup = _as_html(text)
    return all(one.name in _STILL | {"details", "summary"} and not one.attrs for one in soup.find_all(True))


def artifact_text(text: str) -> bool:
    """As the text of an artifact."""
    return _is_still(text_html(text))


def artifact_markdown(text: str) -> bool:
    """As the Markdown of an artifact."""
    return _is_still(markdown_html(text))


def artifact_json(text: str) -> bool:
    """In the JSON of an artifact, and as a broken one."""
    return all(_is_still(json_preview(encoded, whole=True).html) for encoded in (json.dumps({text: text}), text))


def artifact_yaml(text: str) -> bool:
    """As the YAML of an artifact."""
    return _is_still(yaml_preview(text, whole=True).html)


def artifact_page(text: str) -> bool:
    """As the HTML of an artifact, in its frame: nothing in it is executed or fetched."""
    frame = _as_html(framed_page(text, 100)).find_all(True)
    inside = _as_html(frame[0]["srcdoc"])
    acting = ("script", "iframe", "object", "embed", "link", "base", "form", "input", "button", "video", "audio")
    return (
        len(frame) == 1
        and frame[0].attrs.keys() == {"sandbox", "srcdoc", "width", "height"}
        and not inside.find_all(acting)
        and len(inside.find_all("meta")) == 2
        and not any(name.startswith("on") or name in ("href", "srcset", "action") for one in inside.find_all(True)[2:] for name in one.attrs)
        and all(one.get("src", "data:image/").startswith("data:image/") for one in inside.find_all("img"))
    )  # fmt: skip


def page_output(text: str) -> bool:
    """As HTML that a cell printed, on the exported page."""
    soup = _as_html(clean_html(text))
    return all(one.name in TAGS and not any(name.startswith("on") for name in one.attrs) for one in soup.find_all(True))


def findings_sentence(text: str) -> bool:
    """In a name that an HTML card shows."""
    soup = _as_html(f"<div><b>{for_html(one_line(text, 60))}</b></div>")
    return [one.name for one in soup.find_all(True)] == ["div", "b"]


# Terminal, data, files


def terminal_line(text: str) -> bool:
    """On a terminal: one line without control characters."""
    return not {unicodedata.category(char) for char in for_terminal(text)} & _INVISIBLE


def terminal_lines(text: str) -> bool:
    """On a terminal, unshortened: only line breaks and tabs."""
    return not {unicodedata.category(char) for char in visible(text) if char not in "\n\t"} & _INVISIBLE


def terminal_cut(text: str) -> bool:
    """In a column of a table of ten characters."""
    shown = one_line(text, 10)
    return len(shown) <= 10 and shown.isprintable()


def csv_cell(text: str) -> bool:
    """In a cell of CSV: it is one cell of the same text, but for `'` before a formula, and no spreadsheet runs it."""
    [[before, cell, after]] = csv.reader(io.StringIO(f"a,{for_csv(text)},b\r\n", newline=""))
    return (before, after) == ("a", "b") and cell.replace("'", "") == text.replace("'", "") and not _runs(cell)


def _runs(cell: str) -> bool:
    """Whether a spreadsheet that splits at commas, semicolons or tabs would execute a formula."""
    starts = re.split(r"[;\t\r\n]", cell)
    return any(re.match(r"\s*[=+\-@＝＋－＠]", one) and not _is_number(one) for one in starts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def json_value(text: str) -> bool:
    """As JSON: ASCII, and the same text again."""
    encoded = json.dumps(plain_json({text: [text]}), allow_nan=False)
    return encoded.isascii() and encoded.isprintable() and json.loads(encoded) == {text: [text]}


def file_name(text: str) -> bool:
    """As the name of a file: valid on every system, and in the same folder."""
    name = for_filename(text)
    return (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name) is not None
        and re.fullmatch(r"(?i)con|prn|aux|nul|(com|lpt)\d", name) is None
    )


def file_name_again(text: str) -> bool:
    """The same file name each time."""
    return for_filename(for_filename(text)) == for_filename(text)


SINKS = {
    "notebook source": (code_text, code_list, code_key),
    "Markdown": (markdown_line, markdown_heading, markdown_item, markdown_cell, markdown_code),
    "HTML": (
        *(html_element, html_attribute, html_script, findings_sentence, page_output),
        *(artifact_text, artifact_markdown, artifact_json, artifact_yaml, artifact_page),
    ),
    "terminal": (terminal_line, terminal_lines, terminal_cut),
    "CSV": (csv_cell,),
    "JSON": (json_value,),
    "file names": (file_name, file_name_again),
}


ODD = (
    "",
    "\n",
    "\r\n",
    "`",
    "'",
    '"',
    "\\",
    "<",
    ">",
    "&",
    "|",
    "=",
    "\t",
    "\0",
    "\x1b[",
    "\u202e",
    "\u2028",
    "$",
    "]]>",
    "%",
    "#",
)


def around(text: str) -> tuple[str, ...]:
    """The text alone, after a word, and on its own line."""
    return text, f"x{text}", f"x\n{text}"


@pytest.mark.parametrize("kind", SINKS)
def test_hostile_values_stay_text_in_every_sink(kind, values, record_counts):
    tried = [(name, sink, encoded) for name, text in values.items() for sink in SINKS[kind] for encoded in around(text)]
    failed = [(name, sink.__name__) for name, sink, encoded in tried if not sink(encoded)]
    record_counts(PROMISE, kind, len(tried), len(failed))
    assert failed == []


@pytest.mark.parametrize("kind", SINKS)
def test_no_value_made_of_hostile_pieces_is_more_than_text_in_its_sink(kind, values, record_counts):
    chance = random.Random(f"{kind} {MADE}")
    made = [made_of_pieces(chance, list(values.values())) for _ in range(MADE)]
    tried = [(text, sink) for text in made for sink in SINKS[kind]]
    failed = [(text, sink.__name__) for text, sink in tried if not sink(text)]
    record_counts(PROMISE, f"{kind}, values made of hostile pieces", len(tried), len(failed))
    assert failed == []


def made_of_pieces(chance: random.Random, texts: list[str]) -> str:
    """Pieces of some of these texts, one after the other, with odd characters between."""
    pieces = []
    for _ in range(chance.randint(1, 5)):
        text = chance.choice(texts)
        start = chance.randrange(len(text) + 1)
        pieces += [text[start : start + chance.choice((1, 8, 60))], chance.choice(ODD)]
    return "".join(pieces)


def test_the_sinks_and_values_are_many(values):
    assert len(values) * sum(map(len, SINKS.values())) * 3 >= 2000
