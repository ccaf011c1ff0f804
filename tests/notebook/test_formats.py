"""Exports as PDF, Markdown and Python: complete, together, and with nothing of a hostile store alive in them."""

from __future__ import annotations

import ast
import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import mistune
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from qualia_lab.charts.metric_comparison import metric_comparison
from qualia_lab.cli.options import FORMATS as NAMED
from qualia_lab.errors import ExportFailed, OutputNotWritable
from qualia_lab.generator import NotebookGenerator
from qualia_lab.notebook.clean import clean_html
from qualia_lab.notebook.export import check_formats, export_notebook, exported_files
from qualia_lab.notebook.formats import FORMATS, browser, pdf
from qualia_lab.notebook.formats.format import Options
from qualia_lab.notebook.formats.html_to_markdown import markdown_of
from qualia_lab.notebook.formats.pictures import Pictures, is_drawing
from qualia_lab.notebook.formats.py import compiling, script_of
from qualia_lab.notebook.template_cells import parse_percent
from tests.browser import find_chromium
from tests.charts.sample import labels, metrics
from tests.cli.command import CREATE, QUALIA, run, run_here
from tests.servers import missing
from tests.test_export import PIXEL, everywhere, hostile_values, notebook, output, written

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>a</title><path d="M0 0L9 9"/></svg>'
COLUMNS = [f"column_{index}" for index in range(24)]
render = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "task_lists"])


def key(cell, name):
    cell.metadata["qualia_lab"] = {"key": name}
    return cell


def chart(svg=SVG, alt="val_auc of 2 runs"):
    packed = base64.b64encode(svg.encode()).decode()
    return output({
        "application/vnd.plotly.v1+json": {"data": []},
        "text/html": f'<img alt="{alt}" width="960" height="540" src="data:image/svg+xml;base64,{packed}">',
        "text/plain": alt,
    })  # fmt: skip


def report():
    """A notebook with everything that a generated one has."""
    head = "".join(f"<th>{name}</th>" for name in ["", *COLUMNS])
    rows = "".join(f"<tr><th>run_{row}</th>{f'<td>{row}.5</td>' * len(COLUMNS)}</tr>" for row in range(3))
    table = f"<style>td{{}}</style><table class='dataframe'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return v4.new_notebook(
        metadata={"title": "Churn <report>", "language_info": {"name": "python"}},
        cells=[
            key(v4.new_markdown_cell("# Churn\n\nWritten today."), "title"),
            key(v4.new_markdown_cell("## Setup"), "setup:heading"),
            key(v4.new_code_cell("import warnings"), "setup"),
            key(v4.new_markdown_cell("## Findings"), "findings:heading"),
            key(v4.new_code_cell("runs.show_findings()", outputs=[output({"text/html": "<p><b>✗ diverged</b>: one.</p>"})]), "findings"),
            key(v4.new_markdown_cell("## Overview\n\n- a_b\n- *c*"), "overview:heading"),
            key(v4.new_code_cell("runs.overview()", outputs=[output({"text/html": table})]), "overview"),
            key(v4.new_code_cell("for one in (1, 2):\n    display(one)", outputs=[chart(), output({"image/png": PIXEL})]), "curves"),
            v4.new_code_cell("%matplotlib inline\nprint(1)", outputs=[v4.new_output("stream", text="a\x1b[31mb```c")]),
        ],
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return written(report(), tmp_path / "a b.ipynb")


def read_table(text):
    """The rows of the first table of a Markdown text, as a reader shows them."""
    rows = BeautifulSoup(render(text), "html.parser").table.find_all("tr")
    return [[cell.text.strip() for cell in row.find_all(["th", "td"])] for row in rows]


# --- all ---------------------------------------------------------------------------------------------------------


def test_the_command_line_knows_every_format():
    assert tuple(FORMATS) == NAMED
    assert all(fmt.name == name and fmt.description for name, fmt in FORMATS.items())


def test_exports_are_written_together_or_not_at_all(path, monkeypatch):
    (path.parent / "a b_files").write_text("a file where the pictures belong")
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(OutputNotWritable):
        export_notebook(path, ["html", "md", "py"])
    assert sorted(path.parent.rglob("*")) == before
    (path.parent / "a b_files").unlink()
    monkeypatch.setitem(FORMATS, "py", FORMATS["pdf"].__class__("py", "fails", lambda *_: 1 / 0))
    with pytest.raises(ExportFailed, match="could not be exported as py"):
        export_notebook(path, ["html", "md", "py"])
    assert [one.name for one in path.parent.iterdir()] == ["a b.ipynb"]


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ExportFailed, match="Only Markdown"):
        check_formats(["md", "html"], Options(brief=True))
    with pytest.raises(ExportFailed, match="without code"):
        check_formats(["py"], Options(code=False))


def test_without_code_readers_see_the_outputs_alone(path):
    page, text = export_notebook(path, ["html", "md"], options=Options(code=False))
    for shown in (BeautifulSoup(page.read_text("utf-8"), "html.parser").main.text, text.read_text("utf-8")):
        assert "diverged" in shown and "column" in shown
        assert "show_findings" not in shown and "Setup" not in shown and "import warnings" not in shown


def test_the_generator_exports_a_notebook(path):
    exported = NotebookGenerator.export(None, path, "md", brief=True)
    assert exported == path.with_suffix(".md")
    assert "diverged" in exported.read_text("utf-8")


def test_the_command_exports_several_formats_at_once(path):
    done = run_here(QUALIA, "export", path, "--to", "md,py", "--to", "html", cwd=path.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(path.with_suffix(suffix)) for suffix in (".md", ".py", ".html")]
    for words, code, said in (
        (["--to", "docx"], 2, "not one of html, pdf, md, py"),
        ([], 2, "--to"),
        (["--to", "md,py", "--output", "x"], 2, "one format"),
        (["--to", "py", "--no-code"], 34, "without code"),
        (["--to", "html", "--brief"], 34, "Only Markdown"),
    ):
        done = run_here(QUALIA, "export", path, *words, cwd=path.parent)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.slow
def test_a_new_notebook_is_written_with_its_exports(demo_store, tmp_path):
    words = (
        "--tracking-uri",
        f"sqlite:///{demo_store}",
        "--experiment",
        "churn",
        "--top",
        "3",
        "--by",
        "val_auc",
        "--yes",
    )
    done = run(CREATE, *words, "--to", "html,md,py", "--output", "n.ipynb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["n.ipynb", "n.html", "n.md", "n.py"]
    text = (tmp_path / "n.md").read_text("utf-8")
    page = BeautifulSoup(render(text), "html.parser")
    titles = {heading.text for heading in page.find_all("h2")}
    assert {"Findings", "Overview", "Metrics side by side"} <= titles
    columns = [
        cell.text for cell in BeautifulSoup((tmp_path / "n.html").read_text("utf-8"), "html.parser").find_all("th")
    ]
    assert {" ".join(name.split()) for name in columns} - {
        " ".join(th.text.split()) for th in page.find_all(["th", "td"])
    } == set()
    pictures = [image["src"] for image in page.find_all("img")]
    assert [one for one in pictures if one.endswith(".svg")]
    assert {one.name for one in (tmp_path / "n_files").iterdir()} == {Path(one).name for one in pictures}


# --- Markdown ----------------------------------------------------------------------------------------------------


def test_markdown_has_every_column_and_its_pictures_as_files(path):
    (exported,) = export_notebook(path, ["md"])
    text = exported.read_text("utf-8")
    header, *rows = read_table(text)
    assert header == ["", *COLUMNS]
    assert rows == [[f"run_{row}", *[f"{row}.5"] * len(COLUMNS)] for row in range(3)]
    assert re.search(r"^\| --- \| --: ", text, re.MULTILINE), "numbers are aligned at their right"
    page = BeautifulSoup(render(text), "html.parser")
    assert [image["src"] for image in page.find_all("img")] == [
        "a%20b_files/figure-001.svg",
        "a%20b_files/figure-002.png",
    ]
    assert page.img["alt"] == "val_auc of 2 runs"
    assert (path.parent / "a b_files/figure-001.svg").read_text("utf-8") == SVG
    assert (path.parent / "a b_files/figure-002.png").read_bytes() == base64.b64decode(PIXEL)
    assert page.h1.text == "Churn"
    assert [item.text for item in page.find_all("li")] == ["a_b", "c"]
    assert page.find_all("code")[-1].text == "ab```c\n"


def test_brief_markdown_is_the_findings_and_one_chart(path):
    (exported,) = export_notebook(path, ["md"], options=Options(brief=True))
    text = exported.read_text("utf-8")
    assert text.startswith("# Churn\n")
    assert [heading.text for heading in BeautifulSoup(render(text), "html.parser").find_all("h2")] == ["Findings"]
    assert text.count("![") == 1
    assert "column" not in text and "Written" not in text and "show_findings" not in text


def test_old_pictures_are_removed_and_other_files_stay(path):
    folder = path.parent / "a b_files"
    folder.mkdir()
    for name in ("figure-009.svg", "figure-001.txt", "mine.png"):
        (folder / name).write_text("x")
    export_notebook(path, ["md"])
    names = ["figure-001.svg", "figure-001.txt", "figure-002.png", "mine.png"]
    assert sorted(one.name for one in folder.iterdir()) == names


def markdown(html):
    return markdown_of(clean_html(html), Pictures(Path("a.md")))


def test_html_becomes_markdown_of_the_same_meaning():
    for html, text in {
        "<h2>a_b</h2><p>x <b>y</b> <em> z </em>w</p>": "## a&#95;b\n\nx **y**  *z* w",
        "<p>- x</p><p>1. y</p><p>=</p>": "&#45; x\n\n&#49;. y\n\n&#61;",
        "<p>a<br>b<br>- c<br>==</p>": "a\\\nb\\\n&#45; c\\\n&#61;=",
        "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>": "- a\n  - b\n- c",
        "<ol><li>a</li><li>b</li></ol>": "1. a\n2. b",
        "<details open><summary>a <b>b</b></summary><p>c</p></details>": "<details open>\n<summary>a b</summary>\n\nc\n\n</details>",
        "<pre>a\n```\nb</pre>": "````\na\n```\nb\n````",
        '<a href="https://x.example/a(b)">y</a> <a href="#z">z</a>': "[y](https://x.example/a%28b%29) z",
        "<code>a|b</code> <code>c`d</code>": "a&#124;b <code>c&#96;d</code>",
        "<blockquote><p>a</p><p>b</p></blockquote>": "> a\n>\n> b",
        "<table><tr><td>a|b</td><td>c<br>d</td></tr></table>": "|  |  |\n| --- | --- |\n| a&#124;b | c<br>d |",
    }.items():
        assert markdown(html).replace("  *", " *") == text.replace("  *", " *")


def test_cells_that_span_and_headers_of_two_lines_keep_their_columns():
    html = "<table><thead><tr><th rowspan=2>a</th><th colspan=2>b</th></tr><tr><th>c</th><th>d</th></tr></thead>"
    html += "<tbody><tr><td>1</td><td>2</td><td>x</td></tr></tbody></table>"
    assert markdown(html) == "| a | b c | d |\n| --: | --: | --- |\n| 1 | 2 | x |"


KNOWN = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "code", "em", "strong", "del", "a", "img", "br",
         "table", "thead", "tbody", "tr", "th", "td", "blockquote", "details", "summary", "hr"}  # fmt: skip


def assert_is_still(markdown, pictures):
    """Return Markdown as a page, in which there is nothing but text, tables, folds, links and its own pictures."""
    page = BeautifulSoup(render(markdown), "html.parser")
    for element in page.find_all(True):
        assert element.name in KNOWN, element
        assert set(element.attrs) <= {"href", "src", "alt", "class", "open", "style", "start"}, element
        assert re.fullmatch(r"text-align:(left|right|center)", element.attrs.get("style", "text-align:left"))
        assert re.match(r"https?:|mailto:|[^:]*$", element.attrs.get("href", "")), element
        assert element.attrs.get("src", pictures).startswith(pictures), element
    return page


def test_no_string_is_alive_in_markdown(shared_data, tmp_path):
    for value in hostile_values(shared_data):
        node = json.loads(json.dumps(everywhere(value)))
        files = exported_files(node, "md", tmp_path / "x.md")
        page = assert_is_still(files[tmp_path / "x.md"].decode(), "x_files/")
        assert "the end" in page.text, value
        assert all(one.parent.name == "x_files" or one.name == "x.md" for one in files)


def test_only_drawings_are_written_as_svg():
    assert is_drawing(SVG.encode())
    assert is_drawing(SVG.replace("<path", "<style>.a{fill:url(#b)}</style><path").encode())
    for live in (
        "<script>1</script>",
        '<path onclick="x"/>',
        '<a href="https://x.example"/>',
        "<style>@import 'x'</style>",
        '<path fill="url(http://127.0.0.1:9/x)"/>',
        "<foreignObject/>",
        '<image href="data:image/png;base64,AAAA"/>',
    ):
        assert not is_drawing(SVG.replace("<path", f"{live}<path").encode()), live
    assert not is_drawing(b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.encode())
    assert not is_drawing(b"<svg")
    # Bytes that are searched as UTF-8 are not read as something else.
    styled = '<?xml version="1.0"?><?xml-stylesheet href="http://127.0.0.1:9/x.css"?>' + SVG
    assert not is_drawing(styled.encode("utf-16"))


def test_a_cell_of_a_table_may_claim_any_size():
    table = f'<table><tr><td colspan="{"9" * 5000}" rowspan="200">a</td></tr><tr><td>b</td></tr></table>'
    node = notebook(v4.new_code_cell("x", outputs=[v4.new_output("display_data", {"text/html": table})]))
    target = Path("x.md")
    assert "| a" in exported_files(node, "md", target)[target].decode()


# --- Python ------------------------------------------------------------------------------------------------------


def test_a_script_has_the_cells_of_the_notebook_and_compiles():
    node = report()
    script = script_of(node)
    compile(script, "script", "exec")
    first, *cells = parse_percent(script)
    assert first.source == "from IPython.display import display"
    assert [cell.kind for cell in cells] == [cell.cell_type for cell in node.cells]
    assert [cell.source for cell in cells] == [cell.source for cell in node.cells]


def test_tags_are_kept():
    node = notebook(v4.new_code_cell("A = 1", metadata={"tags": ["parameters", 'x"\n# %%']}))
    (cell,) = parse_percent(script_of(node))
    assert cell.tags == ("parameters", 'x"\n# %%')


def test_what_python_does_not_read_becomes_a_comment():
    assert compiling("!ls\nx = 1\n  %time f()") == "# !ls\nx = 1\n  # %time f()"
    assert compiling("%%bash\nrm x") == "# &#37;%bash\n# rm x"
    assert compiling("await f()") == "await f()"
    assert compiling("x = (") == "# x = ("
    assert compiling("a\0b") == "# a\\u0000b"


def test_no_text_becomes_code(shared_data):
    endings = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
    values = [f"x{end}{mark}{end}import os" for end in endings for mark in ("%%", "# %%", '"""', "\\")]
    for value in [*hostile_values(shared_data), *values]:
        node = notebook(v4.new_markdown_cell(value), v4.new_raw_cell(value), v4.new_code_cell("A = 1"))
        script = script_of(node)
        assert ast.dump(ast.parse(script)) == ast.dump(ast.parse("A = 1")), value
        assert [cell.kind for cell in parse_percent(script)] == ["markdown", "raw", "code"], value


@pytest.mark.slow
def test_the_script_of_a_generated_notebook_runs_and_is_a_template(demo_store, tmp_path):
    with NotebookGenerator(f"sqlite:///{demo_store}") as generator:
        plan = generator.plan(generator.select(experiments=["churn"], top=3, by="val_auc"), template="report")
        made = generator.write(plan, tmp_path / "n.ipynb")
        script = generator.export(made, "py")
        assert len(generator.plan(generator.select(), template=str(script)).cells) > 10
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


# --- PDF ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_chromium(monkeypatch):
    found = find_chromium()
    if found is None:
        missing("there is no Chromium")
    monkeypatch.setenv("CHROMIUM", found)


@pytest.mark.browser
@pytest.mark.usefixtures("with_chromium")
def test_a_pdf_has_every_column_page_numbers_and_an_outline(path, tmp_path, monkeypatch):
    from pypdf import PdfReader

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert pdf.made_by() == "Chromium"
    (exported,) = export_notebook(path, ["pdf"])
    reader = PdfReader(exported)
    text = "\n".join(page.extract_text() for page in reader.pages)
    missing_columns = [name for name in COLUMNS if name not in "".join(text.split())]
    assert not missing_columns
    assert f"{len(reader.pages)} / {len(reader.pages)}" in text
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]  # A4
    assert "Churn" in str(reader.outline) and "Overview" in str(reader.outline)
    assert list(temporary.iterdir()) == []


def browser_that(does, folder):
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return str(path)


def test_a_browser_that_fails_or_hangs_is_ended(tmp_path, monkeypatch):
    with pytest.raises(ExportFailed, match="did not make the PDF: no display"):
        browser.print_page(browser_that("echo no display >&2; exit 1", tmp_path), "<p>")
    monkeypatch.setattr(browser, "_SECONDS", 1)
    hanging = browser_that(f"sleep 61 & echo $! > {tmp_path}/pid; wait", tmp_path)
    started = time.monotonic()
    with pytest.raises(ExportFailed, match="within 1 seconds"):
        browser.print_page(hanging, "<p>")
    assert time.monotonic() - started < 30
    ended = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline")
    assert not ended.exists() or b"sleep" not in ended.read_bytes(), "its children ended with it"


def test_without_a_program_that_makes_pdf_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ExportFailed, match=r"Install Chromium or Chrome, or run: pip install 'qualia-lab\[pdf\]'"):
        export_notebook(path, ["html", "pdf"])
    assert [one.name for one in path.parent.iterdir()] == ["a b.ipynb"], "nothing was written"


def test_only_data_of_the_page_is_fetched_by_weasyprint(path):
    """A page that refers to other places, which the sanitizer would not let through, is printed without them."""
    pytest.importorskip("weasyprint", exc_type=ImportError)
    assert pdf._print_by_weasyprint('<img src="http://127.0.0.1:9/x.png"><p>a</p>').startswith(b"%PDF")


def test_weasyprint_gets_the_drawings_of_the_notebook():
    value = metric_comparison(metrics({"r000": 0.1, "r001": 0.9}), labels(2), ["val_auc"])
    node = notebook(
        v4.new_code_cell("x", outputs=[output(value._repr_mimebundle_()), output({"text/html": "<p>a</p>"})])
    )
    node.cells.append(v4.new_code_cell("y", outputs=[output(value._repr_mimebundle_())]))
    page = FORMATS["html"].files(node, Path("a.html"), Options())[Path("a.html")].decode()
    assert page.count('<figure class="chart" id=') == 2
    shown = pdf.with_drawings(page, node)
    assert '<figure class="chart"' not in shown
    assert shown.count(value._repr_mimebundle_()["text/html"]) == 2


def test_an_environment_can_name_the_browser(tmp_path, monkeypatch):
    named = browser_that("exit 0", tmp_path)
    monkeypatch.setenv("CHROMIUM", named)
    assert browser.find_browser() == named
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "not there"))
    assert browser.find_browser() is None
