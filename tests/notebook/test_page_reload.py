"""The page of a watch in a real Chromium: it opens itself again, and what the reader did stays."""

from __future__ import annotations

import copy

import pytest
from nbformat import v4

from qualia_lab.files import write_atomically
from qualia_lab.notebook.page.render import render_page, seconds_to_reload
from qualia_lab.notebook.page.run_data import RUNS_MIME
from qualia_lab.runs.frame_html import frame_html
from tests.notebook.test_page import DATA, IDS, NAMES, cell, chart, curves, markdown, overview, row  # noqa: F401

LINES = "\n\n".join(f"Line {index}." for index in range(40))


def page(overview, data=DATA, before="", reload=1):  # noqa: F811  the fixture of that name
    cells = [
        markdown("title", f"# churn\n\n{before}"),
        cell("loading", "runs", {"text/html": "<p>6 runs</p>", RUNS_MIME: data}),
        markdown("findings:heading", "## Findings"),
        cell("findings", "f", {"text/html": "<details><summary>more</summary>hidden</details>"
                                            "<details><summary>others</summary>hidden</details>"}),
        markdown("overview:heading", "## Overview"),
        cell("overview", "runs.overview()", {"text/html": frame_html(overview)}),
        markdown("curves:heading", f"## Curves\n\n{LINES}"),
        cell("curves", "draw", chart(curves("loss over steps", "loss"))),
    ]  # fmt: skip
    return render_page(v4.new_notebook(cells=cells), title="churn", reload=reload).encode()


@pytest.fixture
def opened(tmp_path, overview, open_offline):  # noqa: F811
    path = tmp_path / "page.html"
    write_atomically(path, page(overview))
    result = open_offline(path)
    yield result, path
    assert set(result.requests) == {path.as_uri()}  # the page alone, again and again
    assert result.complaints == []


def until_reloaded(page):
    page.evaluate("window.isOld = true")
    page.wait_for_function("() => !window.isOld", timeout=20_000)


def test_what_the_reader_did_stays_when_the_page_opens_itself_again(opened, overview):  # noqa: F811
    result, path = opened
    tab = result.page
    tab.get_by_role("searchbox").fill("lr=0.1")
    tab.wait_for_function("() => document.querySelectorAll('.chips button').length === 2")
    tab.get_by_role("button", name="Hide the others").click()
    tab.get_by_text("more", exact=True).click()
    header = tab.locator("#overview th", has_text="val_auc").get_by_role("button")
    header.click()
    header.click()
    tab.locator("#curves .zoom").first.focus()
    tab.keyboard.press("+")
    shown = tab.evaluate("document.querySelector('#curves .plot').dataset.x")
    tab.evaluate("document.querySelector('#overview .box').scrollLeft = 90")
    tab.evaluate("document.querySelector('#curves').scrollIntoView(); scrollBy(0, 300)")
    place = tab.evaluate("document.querySelector('#curves').getBoundingClientRect().top")

    another = copy.deepcopy(DATA)
    another["runs"][0]["params"]["lr"] = "0.1"  # a third run that the filter finds
    write_atomically(path, page(overview, another, before=LINES))  # and lines above what is read
    until_reloaded(tab)

    assert tab.get_by_role("searchbox").input_value() == "lr=0.1"
    assert tab.locator(".chips button").all_inner_texts() == [NAMES[0], NAMES[1], NAMES[4]]
    assert tab.get_by_role("button", name="Show the others").is_visible()
    assert tab.locator("details[open] > summary").all_inner_texts() == ["more"]
    assert tab.locator("#overview th[aria-sort]").evaluate_all("all => all.map(one => one.ariaSort)") == ["descending"]
    assert tab.evaluate("document.querySelector('#overview .box').scrollLeft") == 90
    assert shown != "0 10 linear step"
    assert tab.evaluate("document.querySelector('#curves .plot').dataset.x") == shown
    assert abs(tab.evaluate("document.querySelector('#curves').getBoundingClientRect().top") - place) < 2
    write_atomically(path, page(overview, another, before=LINES, reload=0))  # the watch ends
    until_reloaded(tab)
    assert tab.locator(".chips button").count() == 3
    tab.evaluate("window.isOld = true")
    tab.wait_for_timeout(2000)
    assert tab.evaluate("window.isOld")


def test_runs_chosen_one_by_one_stay_chosen_and_an_opened_chart_is_not_closed(opened, overview):  # noqa: F811
    result, path = opened
    tab = result.page
    row(tab, NAMES[2]).click()
    row(tab, NAMES[5]).click()
    fewer = {**DATA, "runs": DATA["runs"][:5]}
    write_atomically(path, page(overview, fewer))  # one of them is no longer there
    until_reloaded(tab)
    assert tab.locator(".chips button").all_inner_texts() == [NAMES[2]]
    tab.locator(".enlarge").first.click()
    tab.evaluate("window.isOld = true")
    tab.wait_for_timeout(3000)
    assert tab.evaluate("window.isOld")
    tab.keyboard.press("Escape")
    tab.wait_for_function("() => !window.isOld", timeout=20_000)


def test_only_a_page_of_a_watch_has_the_timer():
    node = v4.new_notebook(cells=[markdown("title", '# churn\n\n<meta name="reload" content="1">')])
    found = [seconds_to_reload(render_page(node, title="churn", reload=one).encode()) for one in (None, 0, 1, 2.5)]
    assert found == [None, 0, 1, 2.5]
