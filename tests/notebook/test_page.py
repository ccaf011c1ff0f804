"""The exported page in a real Chromium without a network: one choice of runs, tables, contents, dark, print."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from nbformat import v4
from PIL import Image

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.gallery import Gallery, GalleryPicture, PictureComparison
from qualia_lab.charts.marks import Axis, Line, Panel, Points
from qualia_lab.notebook.export import export_html
from qualia_lab.notebook.page.run_data import RUNS_MIME
from qualia_lab.notebook.page.sections import page_sections
from qualia_lab.runs.frame_html import frame_html

COUNT = 6
IDS = [f"{index:032x}" for index in range(1, COUNT + 1)]
NAMES = [f"run-{index}" for index in range(COUNT)]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C9CED6", "#C9CED6", "#C9CED6")
FORMULA = "=cmd|'/c calc'!A1"


def run(index):
    return {
        "id": IDS[index], "label": NAMES[index], "name": NAMES[index], "experiment": "churn", "experiment_id": "1",
        "status": "FAILED" if index == 5 else "FINISHED", "start": 1_760_000_000_000 + index, "seconds": 60.5,
        "params": {"lr": str(index % 3 / 10), "note": FORMULA}, "tags": {"team": "growth"},
        "metrics": {"val_auc": "NaN" if index == 4 else 0.5 + index / 20},
    }  # fmt: skip


DATA = {
    "runs": [run(index) for index in range(COUNT)],
    "configurations": [
        {"name": f"lr={place / 10}", "runs": [IDS[place], IDS[place + 3]], "params": {"lr": str(place / 10)}}
        for place in range(3)
    ],
    "objectives": ["val_auc"],
    "of": COUNT,
}


def curves(title, metric):
    """A chart of two panels, each with a line per run, and points."""
    x = np.arange(11.0)
    lines = tuple(
        Line(x, index + x / 10, COLOURS[index], NAMES[index] if index < 3 else "", runs=IDS[index])
        for index in range(COUNT)
    )
    points = Points(
        np.full(COUNT, 5.0), np.arange(COUNT) + 0.5, COLOURS, texts=tuple(f"{name}: exactly 0.12345" for name in NAMES),
        runs=tuple(IDS),
    )  # fmt: skip
    panels = (
        Panel(Axis("step", (0.0, 10.0)), Axis(metric, (0.0, 6.0)), lines, "all"),
        Panel(Axis("step", (0.0, 10.0)), Axis(metric, (0.0, 6.0)), (points,), "points"),
    )
    return Chart(title, panels, f"{metric} of {COUNT} runs.", shared_y=False)


def shown(data):
    return v4.new_output("display_data", data=data)


def cell(key, source, *data):
    outputs = [shown(one) for one in data]
    return v4.new_code_cell(source, outputs=outputs, metadata={"qualia_lab": {"key": key}})


def markdown(key, source):
    return v4.new_markdown_cell(source, metadata={"qualia_lab": {"key": key}})


def chart(of):
    return of._repr_mimebundle_()


@pytest.fixture(scope="module")
def overview():
    return pd.DataFrame(
        {
            "status": ["finished"] * 5 + ["failed"],
            "val_auc": pd.arrays.FloatingArray(
                np.array([0.5, 0.55, 0.6, 0.65, np.nan, 0.0]), np.array([False] * 5 + [True])
            ),
            **{f"metric {index}": np.arange(6) * index for index in range(26)},
        },
        index=NAMES,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory, overview):
    groups = pd.DataFrame({"lr": ["0.0", "0.1", "0.2"], "n": [2, 2, 2]})
    node = v4.new_notebook(
        cells=[
            markdown("title", "# churn: 6 runs\n\nFrom a test."),
            markdown("setup:heading", "## Setup"),
            cell("setup", "import pandas"),
            markdown("loading:heading", "## Data loading"),
            cell("loading", "runs", {"text/html": "<p>6 runs</p>", RUNS_MIME: DATA}),
            markdown(
                "changes:1", "## What changed\n\n<details><summary>Findings: 1 new.</summary>\n\n- one\n\n</details>"
            ),
            markdown("findings:heading", "## Findings"),
            cell("findings", "runs.show_findings()", {"text/html": "<details><summary>more</summary>hidden</details>"}),
            markdown("overview:heading", "## Overview"),
            cell("overview", "runs.overview()", {"text/html": frame_html(overview)}),
            markdown("groups:heading", "## Configurations"),
            cell("groups", "runs.groups()", {"text/html": frame_html(groups)}),
            markdown("curves:heading", "## Curves"),
            cell("curves", "draw", chart(curves("loss over steps", "loss")), chart(curves("acc over steps", "acc"))),
            v4.new_markdown_cell("A remark of a user."),
            markdown("each_run:heading", "## Each run"),
            *(
                cell(f"run:{IDS[i]}", "show", {"text/html": f"<details><summary>{NAMES[i]}</summary>x</details>"})
                for i in range(COUNT)
            ),
        ]
    )
    return export_html(node, tmp_path_factory.mktemp("page") / "page.html", title="churn")


@pytest.fixture
def opened(path, open_offline):
    """The opened page; at the end, it has made no request and written nothing to the console."""
    result = open_offline(path)
    yield result
    assert [address for address in result.requests if not address.startswith("blob:")] == [path.as_uri()]
    assert result.complaints == []


def row(page, name):
    return page.locator(f"#overview tr:has(th:text-is('{name}'))")


def visible_runs(page, chart):
    """The runs of the visible marks of a chart."""
    return set(
        page.locator("figure.chart")
        .nth(chart)
        .locator(".panel [data-runs]:visible")
        .evaluate_all("marks => marks.map((mark) => mark.dataset.runs)")
    )


def on(page):
    """The runs that are marked, by the places where they are."""
    return {
        name: set(page.locator(f"{name}.on").evaluate_all("all => all.flatMap((one) => one.dataset.runs.split(' '))"))
        for name in ("#overview tr", ".panel path", ".panel circle", ".cell.run")
    }


@pytest.mark.browser
def test_a_run_that_is_chosen_in_a_table_is_alone_in_every_chart(opened):
    page = opened.page
    assert visible_runs(page, 0) == visible_runs(page, 1) == set(IDS)
    row(page, "run-1").click()
    assert all(runs == {IDS[1]} for runs in on(page).values()), on(page)
    dimmed = page.locator(f".panel path[data-runs='{IDS[0]}']").first
    assert float(dimmed.evaluate("(mark) => getComputedStyle(mark).opacity")) < 0.3
    assert page.locator(".choice output").inner_text() == "1 of 6 runs chosen"
    page.get_by_role("button", name="Hide the others").click()
    assert visible_runs(page, 0) == visible_runs(page, 1) == {IDS[1]}
    assert page.locator("#overview tbody tr:visible").count() == 1
    page.keyboard.press("Escape")
    assert visible_runs(page, 0) == set(IDS)
    assert page.locator(".on").count() == 0


@pytest.mark.browser
def test_more_clicks_add_and_a_grey_run_gets_a_colour(opened):
    page = opened.page
    row(page, "run-3").click()
    row(page, "run-4").click()
    assert on(page)[".panel path"] == {IDS[3], IDS[4]}
    strokes = page.locator(".panel path.on").evaluate_all("all => all.map((one) => getComputedStyle(one).stroke)")
    assert len(set(strokes)) == 2
    assert "rgb(201, 206, 214)" not in strokes
    page.locator(".chips button", has_text="run-3").click()
    assert on(page)["#overview tr"] == {IDS[4]}
    row(page, "run-3").click()
    strokes = page.locator(".panel path.on").evaluate_all("all => all.map((one) => getComputedStyle(one).stroke)")
    assert len(set(strokes)) == 2, "the one that stayed has the first colour now"


@pytest.mark.browser
def test_legends_marks_configurations_and_keys_choose(opened):
    page = opened.page
    page.locator("figure.chart").nth(1).locator("button.entry", has_text="run-2").click()
    assert on(page)["#overview tr"] == {IDS[2]}
    assert page.locator("button.entry.on[aria-pressed='true']").count() == 2  # in both charts
    page.keyboard.press("Escape")
    page.locator(f".panel circle[data-runs='{IDS[5]}']").first.click()
    assert on(page)["#overview tr"] == {IDS[5]}
    page.keyboard.press("Escape")
    # A line is hit within some pixels: at step 8, run 4 is at 4.8 of 6.
    box = page.locator("figure.chart").first.locator(".plot").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * (1 - 4.8 / 6) + 6)
    assert on(page)["#overview tr"] == {IDS[4]}
    page.keyboard.press("Escape")
    page.locator("#groups tbody tr").nth(1).click()
    assert on(page)["#overview tr"] == {IDS[1], IDS[4]}
    page.keyboard.press("Escape")
    row(page, "run-0").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert on(page)["#overview tr"] == {IDS[1]}


@pytest.mark.browser
def test_the_filter_chooses_and_says_what_is_wrong(opened):
    page = opened.page
    field = page.get_by_role("searchbox", name="Choose runs")
    field.fill("metrics.val_auc > 0.55")
    page.wait_for_function("document.querySelectorAll('#overview tr.on').length === 3")
    assert on(page)["#overview tr"] == {IDS[2], IDS[3], IDS[5]}
    field.fill("lr=0.1")
    page.wait_for_function("document.querySelectorAll('#overview tr.on').length === 2")
    assert on(page)[".panel path"] == {IDS[1], IDS[4]}
    field.fill("run-5")
    page.wait_for_function("document.querySelectorAll('#overview tr.on').length === 1")
    field.fill("nothing > 1")
    page.locator(".choice output.wrong", has_text="No run has").wait_for()
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".on").count() == 0
    assert field.input_value() == ""


@pytest.mark.browser
def test_tables_are_sorted_by_a_click_or_a_key_with_missing_values_last(opened):
    page = opened.page
    header = page.locator("#overview th", has_text="val_auc")
    names = page.locator("#overview tbody th")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert names.all_inner_texts() == ["run-0", "run-1", "run-2", "run-3", "run-4", "run-5"]
    header.get_by_role("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    ends = page.locator("#overview tr > .n").evaluate_all(
        """all => all.map((one) => { const range = document.createRange(); range.selectNodeContents(one.firstElementChild ?? one);
        return [one.cellIndex, Math.round(range.getBoundingClientRect().right)] })"""
    )
    assert len(set(map(tuple, ends))) == len({column for column, _ in ends}) > 1, "headers end where their numbers end"
    assert names.all_inner_texts() == ["run-3", "run-2", "run-1", "run-0", "run-4", "run-5"]
    cells = page.locator("#overview tbody tr").first.locator("td")
    assert cells.nth(1).evaluate("(cell) => getComputedStyle(cell).textAlign") == "right"
    assert cells.nth(1).evaluate("(cell) => cell.style.getPropertyValue('--part')") == "100.0%"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the wide table scrolls in its box"


@pytest.mark.browser
def test_the_pointer_is_told_the_run_and_its_values(opened):
    page = opened.page
    page.locator("figure.chart").first.scroll_into_view_if_needed()
    box = page.locator("figure.chart").first.locator(".plot").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * (1 - 2.4 / 6))
    page.locator(".tooltip").wait_for()
    assert page.locator(".tooltip .nearest").inner_text().split() == ["run-2", "2.40"]
    assert page.locator(".tooltip div").first.inner_text().split() == ["step", "4", "loss"]
    assert page.locator(".tooltip div").all_inner_texts()[1].startswith("run-5")
    page.locator(f".panel circle[data-runs='{IDS[3]}']").first.hover()
    page.locator(".tooltip", has_text="run-3: exactly 0.12345").wait_for()


@pytest.mark.browser
def test_a_chart_is_enlarged_and_closed(opened):
    page = opened.page
    before = page.locator("figure.chart .plot").first.bounding_box()
    page.get_by_role("button", name="Enlarge the chart loss over steps").click()
    large = page.locator("dialog .plot").first.bounding_box()
    assert large["width"] * large["height"] > before["width"] * before["height"]
    page.locator("dialog button.entry", has_text="run-0").click()
    assert on(page)["#overview tr"] == {IDS[0]}
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.locator("#curves figure.chart").nth(1).wait_for()  # the dialog's own event comes later
    assert on(page)["#overview tr"] == {IDS[0]}  # the first Escape closes the dialog only


def visible_numbers(panel):
    shown = panel.locator(".x-ticks text").evaluate_all(
        "all => all.filter(one => getComputedStyle(one).display !== 'none').map(one => one.textContent)"
    )
    return [float(text) for text in shown]


@pytest.mark.browser
def test_a_range_of_x_is_dragged_and_all_panels_of_the_chart_follow(opened):
    page = opened.page
    first = page.locator("figure.chart").first
    panel = first.locator(".panel").first
    before = visible_numbers(panel)
    panel.scroll_into_view_if_needed()
    box = panel.locator(".plot").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.move(box["x"] + 0.6 * box["width"], middle)
    assert page.locator(".shade").count() == 1
    page.mouse.up()
    assert page.locator(".shade, tr.on").count() == 0  # the end of a drag chooses nothing
    low, high, *_ = panel.locator(".plot").get_attribute("data-x").split()
    assert (float(low), float(high)) == pytest.approx((2, 6), abs=0.1)
    assert visible_numbers(panel)[0] >= 2 > before[0]
    assert visible_numbers(panel)[-1] <= 6.1 < before[-1]
    points = first.locator(".panel").nth(1)
    assert visible_numbers(points) == visible_numbers(panel)  # of the same x axis
    assert points.locator(".point").evaluate_all("all => all.map(one => parseFloat(one.getAttribute('cx')))")[0] > 70
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.wait_for_selector(".tooltip:not([hidden])")
    assert page.locator(".tooltip div").first.inner_text().startswith("step 4")
    page.keyboard.press("Escape")
    assert visible_numbers(panel) == before


def test_a_range_of_x_is_chosen_by_keys_and_print_shows_all(opened):
    page = opened.page
    first = page.locator("figure.chart").first
    panel = first.locator(".panel").first
    whole = panel.locator(".plot").get_attribute("data-x")
    first.locator(".zoom").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    low, high, *_ = panel.locator(".plot").get_attribute("data-x").split()
    assert (float(low), float(high)) == pytest.approx((3.75, 8.75))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert panel.locator(".plot").get_attribute("data-x") == whole
    page.keyboard.press("Enter")
    assert panel.locator(".plot").get_attribute("data-x") != whole
    panel.dblclick()
    assert panel.locator(".plot").get_attribute("data-x") == whole


def test_pictures_in_an_order_have_a_slider(tmp_path, open_offline):
    written = io.BytesIO()
    Image.new("RGB", (9, 9)).save(written, "PNG")
    row = [GalleryPicture(number, written.getvalue()) for number in (1, 2, 10)]
    gallery = Gallery([PictureComparison("samples/*.png", [("a", row), ("b", row)], "", "picture")])
    node = v4.new_notebook(cells=[cell("artifacts:images", "draw", {"text/html": gallery._repr_html_()})])
    page = open_offline(export_html(node, tmp_path / "page.html", title="t")).page
    slider = page.locator(".steps input")
    assert page.locator("td img:visible").count() == 6
    slider.focus()
    for shown in ("picture 10", "picture 2", "picture 1"):
        page.keyboard.press("ArrowLeft")
        assert page.locator(".steps").inner_text().split() == shown.split()
        assert [text.lower() for text in page.locator("thead th:visible").all_inner_texts() if text] == [shown]
        assert page.locator("td img:visible").count() == 2


def test_contents_follow_the_reader_and_links_go_back_and_forward(opened):
    page = opened.page
    contents = page.get_by_role("navigation", name="Contents")
    titles = contents.get_by_role("link").all_inner_texts()
    assert titles == [
        "What changed",
        "Findings",
        "Overview",
        "Configurations",
        "Curves",
        "Each run",
        "How this was made",
    ]
    contents.get_by_role("link", name="Curves").click()
    page.wait_for_function("document.querySelector('nav a[aria-current]')?.textContent === 'Curves'")
    assert page.evaluate("location.hash") == "#curves"
    contents.get_by_role("link", name="Overview").click()
    page.go_back()
    assert page.evaluate("location.hash") == "#curves"
    page.go_forward()
    assert page.evaluate("location.hash") == "#overview"
    assert page.locator("#headline").get_by_role("heading").inner_text().startswith("Findings")
    assert page.locator("#findings").count() == 1
    assert page.locator("main > section").last.get_attribute("id") == "how-this-was-made"
    assert "import pandas" in page.locator("#how-this-was-made").inner_text()
    assert "A remark of a user." in page.locator("#curves").inner_text()


@pytest.mark.browser
def test_contents_are_a_menu_on_a_phone_and_nothing_is_wider_than_it(path, open_offline):
    opened = open_offline(path, width=390)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    menu = page.get_by_role("button", name="Contents")
    assert not page.get_by_role("link", name="Curves", exact=True).is_visible()
    menu.click()
    page.get_by_role("link", name="Curves", exact=True).click()
    assert page.evaluate("location.hash") == "#curves"
    assert menu.get_attribute("aria-expanded") == "false"
    assert opened.complaints == []


@pytest.mark.browser
def test_charts_of_a_cell_are_beside_each_other_on_a_wide_screen(path, open_offline):
    place = (
        "all => all.map((one) => { const box = one.getBoundingClientRect(); return [box.left, box.top, box.width] })"
    )
    for width, in_row in ((2560, 2), (1280, 1)):
        page = open_offline(path, width=width).page
        charts = page.locator("#curves figure.chart").evaluate_all(place)
        assert len({top for _, top, _ in charts}) == 3 - in_row == len(charts) // in_row
        assert all(left + wide <= width for left, _, wide in charts)


@pytest.mark.browser
def test_the_page_is_dark_for_readers_who_prefer_it(opened):
    page = opened.page
    colours = "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color]"
    light = page.evaluate(colours)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colours) != light
    grid = page.locator(".panel .grid").first
    assert grid.evaluate("(one) => getComputedStyle(one).stroke") == "rgb(42, 48, 56)"
    line = page.locator(f".panel path[data-runs='{IDS[1]}']").first
    assert line.evaluate("(one) => getComputedStyle(one).stroke") == "rgb(213, 94, 0)"


@pytest.mark.browser
def test_print_keeps_every_column_and_opens_the_findings(path, open_offline, overview):
    opened = open_offline(path, width=700)  # an A4 page without its margins, in CSS pixels
    page = opened.page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    right = page.locator("#overview thead th").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().right)"
    )
    assert len(right) == len(overview.columns) + 1
    assert max(right) <= 701
    widths = page.locator("#overview tbody td").evaluate_all("all => all.map((one) => one.clientWidth)")
    assert min(widths) > 0
    arrows = """all => all.flatMap((one) => ['::before', '::after'].map((part) => getComputedStyle(one, part))
      .filter((part) => part.content !== 'none' && part.display !== 'none'))"""
    assert page.locator("thead button").evaluate_all(arrows) == []
    assert not page.locator(".choice").is_visible()
    assert not page.get_by_role("navigation").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for section in ("#headline", "#changes"):
        assert page.locator(f"{section} details:not(.code)").get_attribute("open") is not None
    assert page.locator(".cell.run details[open]").count() == 0


@pytest.mark.browser
def test_long_parts_of_a_page_are_printed_without_losing_headers_or_leaving_pages_empty(path, open_offline):
    from pypdf import PdfReader

    page = open_offline(path).page
    page.emulate_media(media="print")
    style = "(one, name) => getComputedStyle(one)[name]"
    figure = page.locator("figure.chart").first
    assert figure.evaluate(style, "breakInside") == "avoid"
    figure.evaluate("(one) => one.querySelector('.panels').append(...Array.from({length: 22}, "
                    "() => one.querySelector('.panel').cloneNode(true)))")  # fmt: skip
    assert figure.evaluate(style, "breakInside") == "auto", "more panels than a page has may be divided"
    figure.evaluate("(one) => one.remove()")
    page.set_viewport_size({"width": 703, "height": 1000})  # an A4 page without its margins, in CSS pixels
    written = io.BytesIO()
    Image.new("RGB", (400, 300)).save(written, "PNG")
    for count, in_row in ((8, 3), (2, 2)):
        one = (f"run {'long ' * 20}", (GalleryPicture(None, written.getvalue()),))
        gallery = Gallery([PictureComparison("plots/a.png", [one] * count, "")])
        ends = page.locator("main").evaluate(
            """(one, html) => { one.insertAdjacentHTML('beforeend', html); const row = one.lastElementChild;
            const ends = [...row.children].map((two) => two.getBoundingClientRect().bottom); row.remove(); return ends }""",
            gallery._repr_html_(),
        )
        assert sum(abs(end - ends[0]) < 2 for end in ends) == in_row
    page.locator("#groups tbody").evaluate(
        """(one) => { for (let copy = 0; copy < 50; copy++)
        Object.assign(one.insertRow().insertCell(), { textContent: 'copied', style: 'height: 60px' }) }"""
    )
    page.locator("#groups thead button").first.evaluate("(one) => one.textContent = 'repeated'")
    page.locator("main").evaluate(
        """(one) => { for (let part = 0; part < 30; part++) one.insertAdjacentHTML('beforeend', `<section>
        <div class="cell rendered"><h2>Heading</h2><p>said-${part}.</p></div>
        <div class="cell"><div class="box"><figure class="chart" style="height: 300px">chart-${part}.</figure></div></div>
        <p style="margin-bottom: ${part * 37 % 500}px">after</p></section>`) }"""
    )
    texts = [printed.extract_text() for printed in PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True))).pages]
    with_rows = [text for text in texts if "copied" in text]
    assert len(with_rows) > 2
    assert not [text for text in with_rows if "repeated" not in text], "each page of a table has its header"
    for part in range(30):
        [shown] = [text for text in texts if f"chart-{part}." in text]
        assert f"said-{part}." in shown, "a heading and its text are on the page of their chart"


@pytest.mark.browser
def test_long_tables_are_shortened_on_paper_and_say_so(tmp_path, open_offline):
    many, of_runs = 1_000, [f"run-{index}" for index in range(1_000)]
    ids = [f"{index:032x}" for index in range(many)]
    runs = [
        run(0) | {"id": ids[index], "label": of_runs[index], "status": "FAILED" if index % 10 == 5 else "FINISHED"}
        for index in range(many)
    ]
    data = DATA | {"runs": runs, "configurations": [], "leading": ids[900:930], "of": many}
    overview = frame_html(pd.DataFrame({"value": range(many)}, index=of_runs))
    node = v4.new_notebook(
        cells=[
            cell("loading", "\n".join(ids), {"text/html": "runs", RUNS_MIME: data}),
            markdown("overview:heading", "## Overview"),
            cell("overview", "runs.overview()", {"text/html": overview}),
            cell(
                "params", "runs.params", {"text/html": frame_html(pd.DataFrame({"key": [f"k{n}" for n in range(70)]}))}
            ),
            *(
                cell(f"run:{ids[i]}", "show", {"text/html": f"<details><summary>{of_runs[i]}</summary>x</details>"})
                for i in range(61)
            ),
        ]
    )
    opened = open_offline(export_html(node, tmp_path / "page.html", title="many"))
    page = opened.page
    visible = "all => all.filter((one) => one.checkVisibility()).map((one) => one.querySelector('th').textContent)"
    rows = page.locator("#overview tbody tr")
    assert len(rows.evaluate_all(visible)) == many
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    failed = [name for index, name in enumerate(of_runs) if index % 10 == 5]
    assert set(page.locator("table").first.locator("tbody tr").evaluate_all(visible)) == {
        *of_runs[900:920],
        *failed[:20],
    }
    assert page.locator("p.on-paper").all_inner_texts() == [
        "On paper: 40 of 1,000 rows: 20 of leading runs, 20 of the 100 of failed or killed runs. The page (HTML) has all.",
        "On paper: 40 of 70 rows: the first 40. The page (HTML) has all.",
        "On paper: 40 of 61 runs: 6 of failed or killed runs, the first 34 others. The page (HTML) has all.",
    ]
    code = page.locator("pre.on-paper").inner_text()
    assert "# On paper without 920 of 1,000 lines, which the page (HTML) has" in code
    assert ids[0] in code
    assert ids[-1] in code
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator(".on-paper").count() == 0
    assert len(rows.evaluate_all(visible)) == many
    assert opened.complaints == []


@pytest.mark.browser
def test_wide_tables_are_printed_in_parts_that_begin_with_the_first_column(tmp_path, open_offline):
    names = [f"some-long-name-of-a-run-{index}" for index in range(8)]
    columns = {f"metric_{index}": [f"{index}.{row}" for row in range(8)] for index in range(30)}
    frame = pd.DataFrame({"when": pd.to_datetime(["2026-11-29 10:00:07"] * 8), **columns}, index=names)
    narrow = pd.DataFrame({"value": range(8)}, index=names)
    node = v4.new_notebook(
        cells=[
            markdown("overview:heading", "## Overview"),
            cell("overview", "runs.overview()", {"text/html": frame_html(frame)}, {"text/html": frame_html(narrow)}),
        ]
    )
    page = open_offline(export_html(node, tmp_path / "page.html", title="wide"), width=703).page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    parts = page.locator("table.on-paper")
    assert parts.count() > 2
    shown = []
    for part in parts.all():
        assert part.locator("tbody th").all_inner_texts() == names
        assert float(part.evaluate("(one) => getComputedStyle(one).fontSize").removesuffix("px")) > 8.5  # 6.4 points
        assert part.bounding_box()["x"] + part.bounding_box()["width"] <= 704
        shown += part.locator("thead th").all_inner_texts()[1:]
    assert [name.strip() for name in shown] == list(frame.columns)
    assert page.locator("#overview table:visible").count() == parts.count() + 1
    assert parts.first.locator("caption").inner_text().startswith("columns 1 to ")
    days = parts.first.locator(".day")
    assert days.count() == 8
    assert len(set(days.evaluate_all("all => all.map((one) => one.getClientRects().length)"))) == 1
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#overview table").count() == 2
    page.locator("#overview table").first.evaluate("(one) => (one.tBodies[0].rows[1].cells[0].textContent = 'again')")
    page.locator("#overview table").first.evaluate("(one) => (one.tBodies[0].rows[2].cells[0].textContent = 'again')")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert parts.last.locator("tbody th").all_inner_texts()[1:3] == ["2. again", "3. again"]


@pytest.mark.browser
def test_runs_are_downloaded_as_csv_and_json(opened):
    page = opened.page
    page.get_by_text("Download").click()
    with page.expect_download() as found:
        page.get_by_role("button", name="JSON").click()
    saved = json.loads(found.value.path().read_text(encoding="utf-8"))
    assert [one["label"] for one in saved["runs"]] == NAMES
    row(page, "run-1").click()
    with page.expect_download() as found:
        page.get_by_role("button", name="CSV").click()
    [saved_row] = csv.DictReader(io.StringIO(found.value.path().read_text(encoding="utf-8")))
    assert saved_row["id"] == IDS[1]
    assert saved_row["metrics.val_auc"] == "0.55"
    assert saved_row["params.note"] == f"'{FORMULA}"  # no spreadsheet evaluates it
    assert found.value.suggested_filename == "runs.csv"


@pytest.mark.browser
def test_every_run_of_a_thousand_is_in_the_table_and_more_are_counted(tmp_path, open_offline):
    for count, caption in ((1000, None), (1200, "showing the first 1,000 of 1,200 rows")):
        frame = pd.DataFrame({"a": np.arange(count)}, index=[f"run-{place}" for place in range(count)])
        node = v4.new_notebook(cells=[cell("overview", "x", {"text/html": frame_html(frame)})])
        page = open_offline(export_html(node, tmp_path / f"{count}.html", title="x")).page
        assert page.locator("tbody tr").count() == 1000
        assert page.locator("caption").all_inner_texts() == ([caption] if caption else [])


@pytest.mark.browser
def test_a_choice_among_100_runs_in_24_panels_takes_less_than_100_ms(tmp_path, open_offline):
    runs = [run(0) | {"id": f"{index:032x}", "label": f"run-{index}"} for index in range(100)]
    x = np.arange(200.0)
    panels = tuple(
        Panel(
            Axis("step", (0.0, 200.0)), Axis("loss", (0.0, 101.0)),
            tuple(Line(x, np.sin(x / 9 + place) + one, "#C9CED6", runs=runs[one]["id"]) for one in range(100)), f"{place}",
        )
        for place in range(24)
    )  # fmt: skip
    frame = pd.DataFrame({"a": np.arange(100)}, index=[one["label"] for one in runs])
    node = v4.new_notebook(
        cells=[
            cell("loading", "x", {"text/html": "x", RUNS_MIME: DATA | {"runs": runs, "configurations": []}}),
            cell("overview", "x", {"text/html": frame_html(frame)}),
            cell("curves", "x", chart(Chart("many", panels, "100 runs.", columns=3, height=3000))),
        ]
    )
    page = open_offline(export_html(node, tmp_path / "page.html", title="x")).page
    assert page.locator(".panel path[data-runs]").count() == 2400
    times = page.evaluate(
        """async () => {
          const times = [];
          for (const place of [3, 40, 77, 90, 12]) {
            const start = performance.now();
            document.querySelectorAll("tbody tr")[place].click();
            document.querySelector(".panel path").getBoundingClientRect(); // style and layout are done
            times.push(performance.now() - start);
          }
          return times;
        }"""
    )
    assert page.locator("path.on").count() == 24 * 5
    assert sorted(times)[2] < 100, times


def test_links_to_sections_that_were_left_out_are_text(tmp_path):
    said = '<p>see <a href="#overview">Overview</a>, <a href="#gone">Gone</a>; &lt;a href="#gone"</p>'
    cells = [markdown("overview:heading", "## Overview"), cell("overview", "x", {"text/html": said})]
    text = export_html(v4.new_notebook(cells=cells), tmp_path / "page.html", title="x").read_text(encoding="utf-8")
    assert '<a href="#overview">Overview</a>' in text.replace(' rel="noopener noreferrer"', "")
    assert '<a href="#gone"' not in text
    assert 'Gone</a>; &lt;a href="#gone"' in text.replace("&quot;", '"')


def test_cells_of_one_section_are_together_and_those_of_users_stay_where_they_are():
    def at(key):
        return {"metadata": {"qualia_lab": {"key": key}} if key else {}}

    keys = [
        "title",
        "overview:heading",
        "overview",
        None,
        "each_run:heading",
        "run:ab",
        "parameters",
        "client",
        "x:y:z",
    ]
    sections = page_sections([at(key) for key in keys])
    assert [(one.anchor, len(one.cells)) for one in sections] == [
        ("title", 1), ("overview", 3), ("each_run", 2), ("configuration", 2), ("x", 1),
    ]  # fmt: skip
    assert [one.anchor for one in page_sections([at("a"), at("b"), at("a")])] == ["a", "b", "a-2"]
    hostile = [{"metadata": None}, at('"><script>'), at(7), {"metadata": {"qualia_lab": []}}, {}]
    assert [(one.anchor, len(one.cells)) for one in page_sections(hostile)] == [("", 5)]
