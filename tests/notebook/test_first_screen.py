"""The page and the notebook of the demo: what the first screen shows, what charts have, what needs no script."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from qualia_lab.generator import NotebookGenerator
from tests.looks.stores import demo_store

pytestmark = pytest.mark.usefixtures("quick_kernels")

NAMES_COVER = """() => [...document.querySelectorAll('.box')].flatMap((box) => {
  const name = box.querySelector('tbody th');
  return name && name.getBoundingClientRect().width > 0.5 * box.clientWidth && name.textContent.length > 8
    ? [`${box.closest('section').id}: ${name.textContent}`] : [];
})"""
CUT = """() => [...document.querySelectorAll('tbody th, thead th')]
  .filter((cell) => cell.clientWidth && cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)"""


IMAGE = re.compile(r"data:image/(svg\+xml|webp|png|gif|jpeg);base64,([A-Za-z0-9+/=]+)")


@pytest.fixture(scope="module")
def page_of_demo(made_once):
    def fill(folder):
        with NotebookGenerator(demo_store(folder, 24)) as generator:
            plan = generator.plan(generator.select(experiments=["churn"]))
            generator.make(plan, folder / "demo.ipynb", execute=True, formats=("html",))

    return made_once("page-of-demo", fill) / "demo.html"


@pytest.mark.slow
@pytest.mark.browser
def test_the_first_screen_has_the_headline_a_chart_and_three_findings(page_of_demo, open_offline):
    page = open_offline(page_of_demo).page
    page.set_viewport_size({"width": 1280, "height": 900})

    def top(selector, place=0):
        return page.locator(selector).nth(place).bounding_box()["y"]

    assert 0 < top("#headline .lead") < 300
    assert 0 < top("#headline figure.chart .plot") < 400
    cards = [top(".finding", place) for place in range(3)]
    assert max(cards) < 900, cards
    assert max(cards) - min(cards) < 2  # side by side


@pytest.mark.slow
@pytest.mark.browser
def test_charts_have_marks_and_their_own_titles_and_axes_a_scale(page_of_demo, open_offline):
    page = open_offline(page_of_demo).page
    figures = page.locator("main figure.chart:not(.finding figure)").evaluate_all(
        "all => all.map((one) => [one.dataset.title, one.querySelectorAll('.panel').length])"
    )
    titles = [title for title, _ in figures]
    assert len(titles) > 15
    assert [title for title, count in Counter(titles).items() if count > 1] == []
    empty = page.locator("figure.chart .panel").evaluate_all(
        """all => all.filter((one) => !one.querySelector('path, use, circle, rect, .cross, [data-runs]'))
        .map((one) => one.closest('figure').dataset.title)"""
    )
    assert empty == []
    without_scale = page.locator("figure.chart .plot").evaluate_all(
        """all => all.filter((plot) => plot.querySelectorAll('.x-ticks:not(.names) text').length === 1)
        .map((plot) => plot.closest('figure').dataset.title)"""
    )
    assert without_scale == []


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_tables_are_whole_and_leave_place_for_values(page_of_demo, open_offline, width):
    page = open_offline(page_of_demo, width=width).page
    assert page.locator("tbody th", has_text="customer-churn/2026/hyperparameters/").count() > 5
    assert page.evaluate(CUT) == []
    assert page.evaluate(NAMES_COVER) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


class Tags(HTMLParser):
    """The tags of an output, with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.slow
def test_the_notebook_shows_all_where_neither_scripts_nor_styles_are(page_of_demo):
    """As on GitHub, which removes both, and in VS Code, which shows `text/html` if it cannot draw what comes first."""
    notebook = json.loads(page_of_demo.with_suffix(".ipynb").read_text())
    shown = [output["data"] for cell in notebook["cells"] for output in cell.get("outputs", ()) if "data" in output]
    charts = 0
    for data in shown:
        assert "text/plain" in data
        assert not {"application/javascript", "image/svg+xml", "text/latex"} & data.keys()
        if data.keys() - {"text/plain"}:
            assert "text/html" in data
        tags = Tags("".join(data.get("text/html", ""))).tags
        assert not {tag for tag, _ in tags} & {"script", "style", "svg", "link", "object", "iframe", "form", "button"}
        for _, attributes in tags:
            assert not [name for name in attributes if name.startswith("on")]
        images = [attributes for tag, attributes in tags if tag == "img"]
        matched = [IMAGE.fullmatch(image["src"]) for image in images]
        assert all(matched)
        assert all(image["alt"] for image in images)
        drawn = [(image, one[2]) for image, one in zip(images, matched, strict=True) if one[1] == "svg+xml"]
        for image, packed in drawn:  # its size is in attributes, and nothing in it is fetched or run
            assert int(image["width"]) > 0
            assert int(image["height"]) > 0
            parts = {node.tag.rpartition("}")[2] for node in ET.fromstring(base64.b64decode(packed)).iter()}
            assert not parts & {"script", "style", "foreignObject", "image", "a"}
        charts += len(drawn)
        if "application/vnd.plotly.v1+json" in data:
            assert len(drawn) == 1
    assert charts > 15
