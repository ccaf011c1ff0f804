"""The exported page in a real Chromium: complete, with charts, without requests or code execution."""

import base64
import hashlib
import json
import re
import stat
import time

import nbformat
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import v4

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.marks import Axis, Panel
from qualia_lab.charts.metric_comparison import metric_comparison
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.errors import ExportFailed, OutputNotWritable
from qualia_lab.notebook.clean import HEADINGS, TAGS, clean_html
from qualia_lab.notebook.export import export_html, export_notebook
from qualia_lab.notebook.page.outputs import image_base64, image_pixels, script_json

from .charts.sample import curves, labels, metrics

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>document.documentElement.setAttribute('data-pwned','svg')</script></svg>"


def output(data, metadata=None):
    return v4.new_output("display_data", data=data, metadata=metadata or {})


def figure(chart):
    return output(chart._repr_mimebundle_())


def notebook(*cells):
    return v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a notebook with tables and charts."""
    wide = "<table border='1' class='dataframe'><thead><tr>" + "".join(f"<th>m{i}</th>" for i in range(60))
    wide += "</tr></thead><tbody>" + ("<tr>" + "<td>0.123456</td>" * 60 + "</tr>") * 50 + "</tbody></table>"
    values = metrics({"r000": 0.1, "r001": 0.9})
    node = notebook(
        v4.new_markdown_cell("# Churn\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nCost: $5 and $6"),
        v4.new_code_cell("runs.table()", outputs=[output({"text/html": f"<style>td{{}}</style>{wide}"})]),
        v4.new_code_cell(
            "\n".join(["runs.plot.history('val_loss')"] * 12),
            outputs=[figure(metric_history(curves(3, 20), labels(3), "val_loss"))],
        ),
        v4.new_code_cell("runs.plot()", outputs=[figure(metric_comparison(values, labels(2), ["val_auc"]))]),
        v4.new_code_cell(
            "boom", outputs=[v4.new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m: <v>"])]
        ),
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    export_html(node, path, title="Churn <report>")
    return path


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 2560])
def test_the_page_shows_tables_and_charts_without_a_network(report, open_offline, width):
    opened = open_offline(report, width=width)
    page = opened.page
    assert page.locator("figure.chart .panel svg.plot:visible").count() == 2
    assert page.locator("figure.chart img").count() == 0  # charts are part of the page
    assert page.locator("figure.chart .panel").nth(0).locator("path.line").count() == 3
    assert page.title() == "Churn <report>"
    assert page.locator("table:visible").count() == 2
    assert page.locator("h1").inner_text() == "Churn"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "only the wide table scrolls"
    assert page.locator(".error").inner_text() == "E: <v>"
    assert page.locator("details.code[open]").count() == 0  # sources are folded
    assert opened.requests == [report.as_uri()]
    assert opened.complaints == []


@pytest.mark.browser
def test_charts_are_shown_without_scripts(report, open_offline):
    page = open_offline(report, scripts=False).page
    assert page.locator("figure.chart .panel svg.plot:visible").count() == 2
    assert page.locator("table:visible").count() == 2


@pytest.mark.browser
def test_names_in_a_chart_are_shown_literally(tmp_path, open_offline):
    names = ["_a", "<b>x</b> &lt; &amp;", "$x^2$ $y$", "<a href='https://x.example'>go</a>", "%{y}", "<br>"]
    named = {f"r{index:03}": name for index, name in enumerate(names)}
    node = notebook(v4.new_code_cell("x", outputs=[figure(metric_history(curves(6, 5), named, "<i>loss</i>"))]))
    node.cells.append(v4.new_code_cell("x", outputs=[figure(metric_history(curves(6, 5), named, "val_loss"))]))
    path = export_html(node, tmp_path / "names.html", title="names")
    opened = open_offline(path)
    assert opened.page.locator(".legend .entry").all_text_contents() == names
    assert opened.page.locator(".chart-title").first.text_content() == "<i>loss</i> over steps"
    assert opened.page.locator("figure a").count() == 0
    assert opened.complaints == []


def everywhere(value):
    """A notebook with the value in every place where a string can occur."""
    image = {"image/png": {"width": value, "height": f'1" {value}'}}
    node = notebook(
        v4.new_markdown_cell(value),
        v4.new_markdown_cell(f"# {value}\n\n| a |\n|---|\n| {value} |\n\n`{value}`\n\n[x]({value}) ![x]({value})"),
        v4.new_code_cell(
            f"# {value}",
            outputs=[
                output({"text/html": value, "text/plain": value}),
                output({"text/html": f'<div title="{value}"><table><tr><td>{value}</td></tr></table></div>'}),
                output({"text/markdown": value}),
                output({"text/plain": value}),
                output({"text/latex": value, "application/javascript": value, "text/plain": value}),
                output({"image/png": PIXEL, "text/plain": value}, image),
                output({"image/png": value, "text/plain": value}),
                output({"image/svg+xml": value}),
                v4.new_output("stream", name="stdout", text=value),
                v4.new_output("error", ename=value, evalue=value, traceback=[value]),
            ],
        ),
        v4.new_raw_cell(value),
        v4.new_markdown_cell("the end"),
    )
    node.metadata["title"] = value
    return node


OTHERS = [
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
    '<form action="http://127.0.0.1:9/"><button autofocus>x</button></form><base href="http://127.0.0.1:9/">',
    '<p style="background:url(http://127.0.0.1:9/x)">x</p><style>@import url(http://127.0.0.1:9/x)</style>',
    "<a href=\"java&#115;cript:document.documentElement.setAttribute('data-pwned','a')\">x</a>",
    '<a href="data:text/html,<script>1</script>">x</a><link rel=stylesheet href=http://127.0.0.1:9/x.css>',
    "<math><mtext><table><mglyph><style><img src=x onerror=\"document.documentElement.setAttribute('data-pwned',1)\">",
    "</script><!-- scripts --><script>document.documentElement.setAttribute('data-pwned','place')</script>",
    SVG,
]


def hostile_values(shared_data):
    corpus = json.loads((shared_data / "hostile.json").read_text(encoding="utf-8"))["cases"]
    kinds = ("html", "markdown", "template", "terminal", "name")
    values = [case["value"] for case in corpus if case["class"] in kinds and isinstance(case["value"], str)]
    assert len(values) > 20
    return values + OTHERS


@pytest.mark.browser
def test_no_string_is_executed_in_any_position(shared_data, tmp_path, open_offline):
    path = tmp_path / "page.html"
    export_html(notebook(), path, title="x")
    opened = open_offline(path)
    for value in hostile_values(shared_data):
        export_notebook(written(everywhere(value), tmp_path / "page.ipynb"), ["html"], output=path)
        opened.requests.clear()
        opened.page.reload()
        found = opened.page.evaluate(WHAT_IS_THERE)
        assert found.pop("end") == "the end", value
        assert set(found.pop("links")) <= {"http:", "https:", "mailto:", "file:", ":"}, value
        assert found == {"pwned": None, "scripts": 0, "actors": 0, "handlers": 0}, value
        assert opened.page.url == path.as_uri(), value
        assert opened.requests == [path.as_uri()], value


WHAT_IS_THERE = """() => {
  document.querySelectorAll("main a[href^='#']").forEach((link) => link.click());
  location.hash = "";
  history.replaceState(null, "", location.pathname);
  const all = [...document.querySelectorAll("main *")];
  return {
    pwned: document.documentElement.getAttribute("data-pwned"),
    scripts: document.querySelectorAll("script").length - 1, // the page's own
    actors: document.querySelectorAll("iframe:not([sandbox='']), form, base, object, embed, svg, math, main meta, main link").length,
    handlers: all.filter((one) => one.getAttributeNames().some((name) => name.startsWith("on"))).length,
    links: [...document.querySelectorAll("main a")].map((link) => link.protocol),
    end: [...document.querySelectorAll("main .cell")].at(-1).innerText,
  };
}"""


@pytest.mark.browser
def test_the_content_security_policy_protects_without_cleaning(report, tmp_path, open_offline):
    acting = """<script>document.documentElement.setAttribute('data-pwned', 1)</script>
        <img src="http://127.0.0.1:9/x.png" onerror="document.documentElement.setAttribute('data-pwned', 2)">
        <form action="http://127.0.0.1:9/"></form><link rel="stylesheet" href="http://127.0.0.1:9/x.css">"""
    path = tmp_path / "page.html"
    path.write_text(
        report.read_text(encoding="utf-8").replace('<main id="main">', f'<main id="main">{acting}'), encoding="utf-8"
    )
    opened = open_offline(path)
    opened.page.evaluate("document.forms[0].submit()")
    assert opened.pwned is None
    assert opened.page.url == path.as_uri()
    assert len([text for text in opened.complaints if "Content Security Policy" in text]) >= 4


@pytest.mark.browser
def test_a_plotly_figure_of_a_user_is_its_text_and_a_note(shared_data, tmp_path, open_offline):
    """plotly is not part of the page, so no string of a figure is drawn."""
    outputs = []
    for value in hostile_values(shared_data):
        figure = {"data": [{"y": [1, 2], "name": value}], "layout": {"title": {"text": value}}}
        outputs.append(output({"application/vnd.plotly.v1+json": figure, "text/plain": value}))
    path = export_html(notebook(v4.new_code_cell("x", outputs=outputs)), tmp_path / "page.html", title="x")
    opened = open_offline(path)
    assert opened.pwned is None
    assert opened.requests == [path.as_uri()]
    assert opened.page.url == path.as_uri()
    assert opened.page.locator("p.note:has-text('plotly')").count() == len(outputs)


def written(node, path):
    nbformat.write(node, path)
    return path


PIECES = st.sampled_from([
    "<script>", "</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<a href='javascript:x'>", "</a>",
    "<p style='background-color:red;position:fixed'>", "</p>", "<table>", "<td onclick=x>", "<!--", "-->", "<style>",
    "</style>", "<math>", "<noscript>", "</noscript>", "<iframe srcdoc='", "'>", '"', "&lt;script&gt;", "<h2 id='x'>",
    "<img src='data:image/png;base64,AAAA'>", "<img src='data:text/html,x'>", "<a href='&#106;avascript:x'>", "text",
    "<template>", "<title>", "<textarea>", "<form action=x>", "<base href=x>", "<td style='color:expression(1)'>", "]]>",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_cleaning_keeps_only_harmless_elements_and_attributes(text):
    cleaned = clean_html(text)
    for element in BeautifulSoup(cleaned, "html.parser").find_all(True):
        assert element.name in TAGS
        for name, value in element.attrs.items():
            assert name in {"class", "title", "style", "href", "src", "alt", "id", "open"}
            assert name != "id" or element.name in HEADINGS
            assert name != "href" or ":" not in value or value.startswith(("http", "mailto"))
            assert name != "src" or value.startswith("data:image/")
            assert "position" not in str(value) or name != "style"


def test_cleaned_html_has_no_element_in_which_text_is_read_differently():
    """Then every `<` of a text stays escaped, however a browser repairs the nesting of the elements."""
    raw = {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"}
    assert not TAGS & (raw | {"svg", "math", "template", "select", "foreignobject", "annotation-xml"})


def test_cleaning_keeps_what_a_report_needs():
    for html in (
        '<h2 id="a-b">A</h2>',
        "<p>x <strong>y</strong> <code>z</code></p>",
        '<table class="dataframe"><thead><tr><th colspan="2">a</th></tr></thead></table>',
        '<table><tbody><tr><td style="background-color:#fff">1</td></tr></tbody></table>',
        f'<img alt="x" width="10" src="data:image/png;base64,{PIXEL}">',
        '<a href="https://example.org/?a=1&amp;b=2#c">x</a>',
        '<a href="#a-b">x</a>',
        '<a href="folder/file.csv">x</a>',
        "<details><summary>a</summary>b</details>",
    ):
        assert BeautifulSoup(clean_html(html), "html.parser") == BeautifulSoup(html, "html.parser")


def test_external_links_lose_their_target():
    for target in (
        "javascript:x",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        " java\nscript:x",
        "//x.example",
    ):
        assert "href" not in clean_html(f'<a href="{target}">x</a>')
        assert "src" not in clean_html(f'<img src="{target}">')
    assert "src" not in clean_html("<img src=data:image/svg+xml;base64,AAAA>")
    foreign = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>').decode()
    assert "src" not in clean_html(f'<img src="data:image/svg+xml;base64,{foreign}">')
    picture = Chart("t", (Panel(Axis("x", (0, 1)), Axis("y", (0, 1)), ()),), "s")._repr_html_()
    assert picture.partition("src=")[2] in clean_html(picture)  # the drawing of a chart is kept


def test_metadata_of_images_reaches_no_attribute_unchecked():
    assert image_pixels({"metadata": {"image/png": {"width": 640.0}}}, "image/png", "width") == 640
    for said in ("640 onerror=x", -1, 10**9, True, None, float("nan"), {"a": 1}):
        assert image_pixels({"metadata": {"image/png": {"width": said}}}, "image/png", "width") in (None, 1)
    assert image_pixels({"metadata": {"image/png": "x"}}, "image/png", "width") is None
    assert image_base64('AA"><script>', "image/png") == "AAscript"
    assert base64.b64decode(image_base64(SVG, "image/svg+xml")).decode() == SVG


@given(st.text())
def test_json_in_a_script_element_reads_back_and_cannot_end_it(text):
    written_json = script_json({"a": text})
    assert json.loads(written_json) == {"a": text}
    assert "<" not in written_json


def test_only_the_script_of_the_page_may_run(tmp_path):
    path = export_html(notebook(v4.new_markdown_cell("# x")), tmp_path / "a.html", title="x")
    text = path.read_text(encoding="utf-8")
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == policy.count("style-src 'unsafe-inline'") == 1
    assert len(text) < 95_000


def test_exports_are_reproducible_and_leave_no_other_files(tmp_path):
    node = notebook(v4.new_code_cell("x", outputs=[figure(metric_history(curves(1, 9), labels(1), "val_loss"))]))
    first = export_html(node, tmp_path / "a.html", title="x")
    assert export_html(node, tmp_path / "b.html", title="x").read_bytes() == first.read_bytes()
    first.chmod(0o640)
    export_html(node, first, title="y")
    assert stat.S_IMODE(first.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_export_errors_name_the_file(tmp_path):
    with pytest.raises(ExportFailed, match=r"'docx'.*Formats: html, pdf, md, py"):
        export_notebook(tmp_path / "a.ipynb", ["html", "docx"])
    with pytest.raises(ExportFailed, match=r"a\.ipynb cannot be read"):
        export_notebook(tmp_path / "a.ipynb", ["html"])
    for text in ("{", "[]", "{}", '{"nbformat": 4, "cells": 3}', '{"nbformat": 4, "cells": [{"cell_type": "code"}]}'):
        (tmp_path / "b.ipynb").write_text(text)
        with pytest.raises(ExportFailed, match=r"b\.ipynb cannot be read"):
            export_notebook(tmp_path / "b.ipynb", ["html"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputNotWritable):
        export_html(notebook(), tmp_path / "folder", title="x")


def test_exporting_is_fast_even_with_long_hostile_texts(tmp_path):
    start = time.perf_counter()
    text = "<script>" * 20_000 + "<" * 20_000 + "[" * 500 + "a href=" * 10_000
    export_html(notebook(v4.new_code_cell("x", outputs=[output({"text/html": text})])), tmp_path / "a.html", title="x")
    assert time.perf_counter() - start < 20
