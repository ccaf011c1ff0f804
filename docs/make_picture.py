"""Makes the picture of the README from an executed notebook's HTML page: what stands out, and a chart.

make demo
.venv/bin/python -m docs.make_picture notebooks/churn_*.html docs/images/notebook.png
"""  # noqa: INP001  a script beside the documents, not a package

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import find_chromium

# Everything else is hidden: the title's paragraphs name a folder of this machine, and a picture is not a page.
_HIDE_THE_REST = """() => {
    const shown = ["Findings", "Metric histories"];
    let chapter = "";
    for (const section of document.querySelectorAll("main > section")) {
        chapter = section.querySelector("h2")?.innerText ?? chapter;
        section.hidden = !section.querySelector("h1") && !shown.includes(chapter);
    }
    const visible = (selector) => [...document.querySelectorAll(`main > section:not([hidden]) ${selector}`)];
    visible("h1 ~ *").forEach((paragraph) => { paragraph.hidden = true; });
    visible("figure").slice(1).forEach((chart) => { chart.hidden = true; });
    document.querySelector("main").style.marginBottom = "24px";
}"""


def make_picture(page: Path, picture: Path) -> None:
    """Open the page without a network, wait for its first chart, and take what is left of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        opened = browser.new_context(viewport={"width": 1180, "height": 400}, offline=True).new_page()
        opened.goto(page.absolute().as_uri())
        opened.evaluate(_HIDE_THE_REST)
        opened.locator("figure:not([hidden]):visible").first.scroll_into_view_if_needed()  # a chart is drawn when seen
        opened.locator("figure:not([hidden]) .plot .main-svg:visible").first.wait_for()
        opened.wait_for_timeout(500)  # fonts and the last layout of the chart
        picture.parent.mkdir(parents=True, exist_ok=True)
        opened.screenshot(path=picture, full_page=True)
        browser.close()


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]), Path(sys.argv[2]))
