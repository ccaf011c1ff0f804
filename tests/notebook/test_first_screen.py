"""The page of the demo in a real Chromium: what its first screen shows, and what all of its charts have."""

from __future__ import annotations

from collections import Counter

import pytest

from qualia_lab.generator import NotebookGenerator
from tests.looks.stores import demo_store

NAMES_COVER = """() => [...document.querySelectorAll('.box')].flatMap((box) => {
  const name = box.querySelector('tbody th');
  return name && name.getBoundingClientRect().width > 0.5 * box.clientWidth && name.textContent.length > 8
    ? [`${box.closest('section').id}: ${name.textContent}`] : [];
})"""
CUT = """() => [...document.querySelectorAll('tbody th, thead th')]
  .filter((cell) => cell.clientWidth && cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)"""


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
