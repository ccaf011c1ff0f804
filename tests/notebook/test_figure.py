"""Charts on the page: nothing foreign gets through, every mark does, and no text overlaps at any width."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.charts.axes import category_axis
from qualia_lab.charts.by_experiment import by_experiment
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.evidence import levels_evidence
from qualia_lab.charts.marks import Axis, Line, Panel
from qualia_lab.notebook.page.drawing import read_drawing
from qualia_lab.notebook.page.figure import chart_html
from tests.charts.every_chart import every_chart

GOOD = every_chart()["bands"].svg()
WITH_LEGEND = next(svg for svg in (chart.svg() for chart in every_chart().values()) if 'class="entry"' in svg)
WITH_REFERENCES = every_chart()["panels_7"].svg()  # to lines that several panels have
CSS = files("qualia_lab.notebook.page").joinpath("figure.css").read_text(encoding="utf-8")
TAGS = {
    *("figure", "figcaption", "span", "div", "button"),
    *("svg", "g", "title", "text", "path", "line", "rect", "circle", "use"),
}
ALERT = "<script>alert(1)</script>"


class Elements(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def with_root(content="", attributes=""):
    """A drawing with content and attributes of its own at the end of the root."""
    return GOOD.replace("<svg ", f"<svg {attributes} ", 1).removesuffix("</svg>") + content + "</svg>"


HOSTILE = {
    "script": with_root(ALERT),
    "script in a group": GOOD.replace('<g class="grid"', f'<g class="grid">{ALERT}</g><g class="grid"', 1),
    "foreignObject": with_root("<foreignObject><p>x</p></foreignObject>"),
    "image": with_root('<image href="http://evil.example/x.png"/>'),
    "use": with_root('<use href="#a"/>'),
    "link": with_root('<a href="javascript:alert(1)"><text>x</text></a>'),
    "style element": with_root("<style>* { fill: url(http://evil.example) }</style>"),
    "animation": with_root('<animate attributeName="href" values="javascript:alert(1)"/>'),
    "set": with_root('<set attributeName="onclick" to="alert(1)"/>'),
    "iframe": with_root('<iframe src="data:text/html,x"/>'),
    "handler on the root": with_root(attributes='onload="alert(1)"'),
    "handler on a mark": GOOD.replace('<path class="line"', '<path onclick="alert(1)" class="line"', 1),
    "handler in capitals": with_root(attributes='ONLOAD="alert(1)"'),
    "style attribute": with_root(attributes='style="background:url(http://evil.example)"'),
    "id": with_root(attributes='id="run-data"'),
    "href": GOOD.replace('<path class="line"', '<path href="javascript:alert(1)" class="line"', 1),
    "fill by url": re.sub('fill="#[0-9A-F]{6}"', 'fill="url(http://evil.example)"', GOOD, count=1),
    "stroke by url": re.sub('stroke="#[0-9A-F]{6}"', 'stroke="url(#x)"', GOOD, count=1),
    "class that the page uses": GOOD.replace('class="grid"', 'class="chosen"', 1),
    "path with letters": GOOD.replace(' d="M', ' d="javascript:M', 1),
    "number with an expression": GOOD.replace(' x="16"', ' x="calc(1px)"', 1),
    "number with a line break": GOOD.replace(' x="16"', ' x="16&#10;"', 1),
    "huge number": GOOD.replace(' x="16"', ' x="99999999999"', 1),
    "transform": GOOD.replace("rotate(-90 ", "scale(9999 ", 1),
    "run ids with quotes": re.sub('data-runs="[^"]*"', "data-runs='a\"b'", GOOD, count=1),
    "use of another file": with_root('<use href="http://evil.example/x.svg#line-1"/>'),
    "use of a group of uses": with_root('<g id="line-1"><use href="#line-2"/><use href="#line-2"/></g>'),
    "use of nothing": with_root("<use/>"),
    "doctype": f"<!DOCTYPE svg>{GOOD}",
    "entities": f'<!DOCTYPE svg [<!ENTITY a "{"x" * 99}"><!ENTITY b "&a;&a;&a;">]>{GOOD.replace("val_loss", "&b;")}',
    "external entity": f'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>{GOOD.replace("val_loss", "&a;")}',
    "stylesheet instruction": f'<?xml-stylesheet href="http://evil.example/x.css"?>{GOOD}',
    "declaration": f'<?xml version="1.0" encoding="utf-7"?>{GOOD}',
    "comment": with_root("<!-- --><!-- -->"),
    "cdata": with_root("<text><![CDATA[<script>]]></text>"),
    "deep": with_root("<g>" * 5000 + "</g>" * 5000),
    "many": with_root("<g/>" * 200_000),
    "not closed": GOOD[:-10],
    "empty": "",
    "html": f"<html><body>{ALERT}</body></html>",
    "another svg": '<svg xmlns="http://www.w3.org/2000/svg"><text>x</text></svg>',
    "another namespace": GOOD.replace("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", 1),
    "prefix": GOOD.replace("<svg ", '<svg xmlns:h="http://www.w3.org/1999/xhtml" ', 1),
    "panel without an area": re.sub('data-box="[^"]*"', 'data-box="0 0 0 0"', GOOD),
    "panel without a box": re.sub(' data-box="[^"]*"', "", GOOD),
    "panel without axes": re.sub(' data-x="[^"]*"', "", GOOD),
    "legend entry without text": re.sub('(<g class="entry"[^>]*>).*?</g>', r"\1</g>", WITH_LEGEND),
    "end label without text": re.sub('(<g class="end-label"[^>]*>).*?</g>', r"\1</g>", GOOD),
    "surrogate": GOOD.replace("val_loss", "\ud800"),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_what_charts_do_not_write_is_refused(what):
    assert HOSTILE[what] != GOOD
    with pytest.raises(ValueError, match=r"."):
        chart_html(HOSTILE[what], 1)


def test_texts_are_shown_as_text():
    hostile = "&lt;img src=x onerror=alert(1)&gt;&quot;&apos;$`"
    page = chart_html(GOOD.replace("val_loss", hostile).replace("optimizer", hostile), 1)
    elements = Elements(page)
    assert set(elements.tags) <= TAGS
    assert not [name for name, _ in elements.attributes if name.startswith("on") or name == "src"]
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@given(st.data())
def test_a_drawing_changed_anywhere_is_refused_or_stays_harmless(data):
    good = data.draw(st.sampled_from([GOOD, WITH_REFERENCES]))
    place = data.draw(st.integers(0, len(good)))
    inserted = data.draw(
        st.sampled_from(
            ["<", ">", '"', "'", "&", "/", ALERT, "<g>", "</g>", ' onload="x"', "\x00", "]]>", "é", " ", "-"]
        )
        | st.text(max_size=8)
    )
    changed = good[:place] + inserted + good[place + data.draw(st.integers(0, 30)) :]
    try:
        page = chart_html(changed, 1)
    except ValueError:
        return
    elements = Elements(page)
    assert set(elements.tags) <= TAGS
    for name, value in elements.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "xlink:href")
        assert name != "href" or re.fullmatch(r"#chart-1-line-\d+", value)
        assert name != "style" or re.fullmatch(r"(--[a-z]+:[\d.-]+(px)?;?)+", value)


@pytest.mark.parametrize("name", list(every_chart()))
def test_every_mark_and_text_of_every_chart_is_on_the_page(name):
    svg = every_chart()[name].svg()
    page = chart_html(svg, 3)
    assert page == chart_html(svg, 3)
    drawing = read_drawing(svg)
    ends = [node for node in drawing.every() if "end-label" in node.classes]
    assert page.startswith(f'<figure class="chart{" ends" if ends else ""}" id="chart-3" data-title="')
    for tag in ("path", "circle", "use"):
        assert page.count(f"<{tag} ") == sum(node.tag == tag for node in drawing.every())
    runs = [node.attributes["data-runs"] for node in drawing.every() if "data-runs" in node.attributes]
    runs += [node.attributes["data-runs"] for node in ends if "data-runs" in node.attributes]  # in the legend, too
    assert sorted(re.findall(r'data-runs="([^"]*)"', page)) == sorted(runs)
    assert set(Elements(page).tags) <= TAGS
    ids = re.findall(r' id="(chart-3-line-\d+)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r' href="#([^"]*)"', page)) <= set(ids)
    assert page.count('role="img"') == sum("panel" in node.classes for node in drawing.children)
    assert "nan" not in re.sub(r">[^<]*<", "", page).split()


def test_a_line_of_several_panels_has_its_colour_where_it_is_referred_to():
    """So that the colours of a dark page reach it there."""
    page = chart_html(WITH_REFERENCES, 1)
    repeated = re.findall(r'<g stroke="(#[0-9A-F]{6})"><path id="(chart-1-line-\d+)" ([^>]*)', page)
    colours = {anchor: colour for colour, anchor, attributes in repeated if " stroke=" not in f" {attributes}"}
    uses = re.findall(r'<use class="line" href="#([^"]*)" stroke="([^"]*)"', page)
    assert uses
    assert all(colours[anchor] == colour for anchor, colour in uses)


OVERLAPS = """() => {
  const texts = [...document.querySelectorAll('text, figcaption span, .entry, .panel-title, .x-label')];
  // A legend that names at the ends of lines stand for is there, but not to be seen.
  const hidden = text => text.closest('.legend') && getComputedStyle(text.closest('.legend')).clipPath !== 'none';
  const shown = texts.filter(text => !hidden(text)).map(text => [text, text.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height);
  const described = text => text.textContent.slice(0, 40);
  const faults = [];
  for (const [text, box] of shown) {
    // In a panel that scrolls, texts may be outside of what is seen, but not outside of what can be scrolled to.
    const around = text.closest('.panel') || text.closest('figure') || text.closest('svg');
    const frame = around.getBoundingClientRect();
    const right = frame.left + Math.max(frame.width, around.scrollWidth || 0);
    const below = frame.top + Math.max(frame.height, around.scrollHeight || 0);
    if (box.left < frame.left - 1 || box.right > right + 1 || box.top < frame.top - 1 || box.bottom > below + 1)
      faults.push(`outside: ${described(text)} ${[box.left, box.right, frame.left, right].map(Math.round)}`);
  }
  const byTop = shown.sort((one, other) => one[1].top - other[1].top);
  byTop.forEach(([text, box], place) => {
    for (let next = place + 1; next < byTop.length && byTop[next][1].top < box.bottom - 2; next++) {
      const [other, otherBox] = byTop[next];
      if (text.closest('.panel') !== other.closest('.panel') && text.closest('.panel')) continue;
      if (Math.min(box.right, otherBox.right) - Math.max(box.left, otherBox.left) > 1
          && Math.min(box.bottom, otherBox.bottom) - Math.max(box.top, otherBox.top) > 3
          && !text.contains(other) && !other.contains(text))
        faults.push(`over each other: ${described(text)} | ${described(other)}`);
    }
  });
  return faults;
}"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_no_text_of_any_chart_overlaps_another_or_is_cut(width, tmp_path, open_offline):
    style = f"{CSS} body {{ margin: 12px; font-family: DejaVu Sans, sans-serif; }}"
    figures = "".join(chart_html(chart.svg(), number) for number, chart in enumerate(every_chart().values()))
    page = tmp_path / "charts.html"
    page.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style><body>{figures}</body>", encoding="utf-8"
    )
    opened = open_offline(page, width=width)
    assert opened.page.evaluate("document.querySelectorAll('text').length") > 600
    assert opened.page.evaluate(OVERLAPS) == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.complaints == []
    narrowest = opened.page.evaluate(
        "Math.min(...[...document.querySelectorAll('.plot')].map(plot => plot.getBoundingClientRect().width))"
    )
    assert narrowest > 60


@pytest.mark.browser
@pytest.mark.parametrize("width", [260, 700])
def test_lines_of_means_do_not_cross_the_names_of_rows(width, tmp_path, open_offline):
    levels = [(f"lr=0.00{row}, depth=3", {f"r{row}{n}": 0.8 + n / 50 for n in range(5)}) for row in range(5)]
    chart = levels_evidence(levels, "val_auc", {run_id: run_id for _, values in levels for run_id in values})
    page = tmp_path / "chart.html"
    style = f"{CSS} body {{ margin: 4px; font-family: DejaVu Sans, sans-serif; }}"
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style>{chart_html(chart.svg(), 1)}")
    boxes = "all => all.map((one) => { const box = one.getBoundingClientRect(); return [box.top, box.bottom] })"
    shown = open_offline(page, width=width).page
    names = [box for box in shown.locator(".y-ticks text").evaluate_all(boxes) if box[0] != box[1]]
    lines = [box for box in shown.locator(".lines path.line").evaluate_all(boxes) if box[1] - box[0] > 2]
    assert len(names) == len(lines) == 5
    if width < 400:  # where names stand above their rows
        crossed = [bottom - top for (_, bottom), (top, _) in zip(sorted(names), sorted(lines), strict=True)]
        assert max(crossed) < 3, crossed  # the height of a text includes a descent


@pytest.mark.slow
@pytest.mark.browser
def test_no_text_of_any_drawing_overlaps_another_or_is_cut(tmp_path, open_offline):
    faults = {}
    page = tmp_path / "drawing.html"
    page.touch()
    shown = open_offline(page).page
    for name, chart in every_chart().items():
        page.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{chart.svg()}</body>", encoding="utf-8")
        shown.reload()
        assert shown.locator("text").count()
        faults[name] = shown.evaluate(OVERLAPS)
    assert {name: found for name, found in faults.items() if found} == {}


def test_a_panel_with_names_on_its_x_axis_is_not_stretched_beyond_their_places():
    def widest(count):
        axis = category_axis("model", [f"m{place}" for place in range(count)], min_slots=4)
        line = Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "#0072B2")
        page = chart_html(Chart("title", (Panel(axis, Axis("y", (0, 1)), (line,)),), "words").svg(), 1)
        return float(re.search(r'class="panel" style="--widest:(\d+)px"', page)[1])

    assert widest(2) == widest(4) < 1000 < widest(6) < widest(12)
    assert "max-width: var(--widest, none)" in CSS
    assert "--widest" not in chart_html(GOOD, 1)


def test_panels_of_the_next_experiment_begin_a_row():
    def chart(title, panels):
        axis = Axis("x", (0.0, 1.0))
        line = Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "#0072B2")
        return Chart(title, tuple(Panel(axis, axis, (line,), f"{title}{index}") for index in range(panels)), "words")

    page = chart_html(by_experiment([("a", chart("a", 1)), ("b", chart("b", 2))]).svg(), 1)
    order = re.findall(r'<div class="panel">|<div></div>', page)
    assert order == ['<div class="panel">', "<div></div>", '<div class="panel">', '<div class="panel">']
