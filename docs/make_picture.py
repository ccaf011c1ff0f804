"""Makes the picture of the README from an executed notebook's HTML page: the page as it is, from its findings on.

create-demo-runs
create-observation-notebook --experiment churn --top 12 --by val_auc --execute --to html
.venv/bin/python -m docs.make_picture notebooks/churn_*.html docs/images/notebook.png
"""  # noqa: INP001  a script beside the documents, not a package

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

from tests.browser import find_chromium

# Pixels of the page from the heading of the findings on: what a reader sees, with nothing hidden or moved.
WIDTH, HEIGHT = 1180, 1600


def make_picture(page: Path, picture: Path) -> None:
    """Open the page without a network, go to its findings, and take what is seen from there on."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        opened = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True).new_page()
        opened.goto(page.absolute().as_uri())
        heading = opened.get_by_role("heading", name="Findings", exact=True)
        heading.evaluate("heading => window.scrollTo(0, heading.getBoundingClientRect().top + window.scrollY - 24)")
        opened.evaluate("document.fonts.ready")
        picture.parent.mkdir(parents=True, exist_ok=True)
        opened.screenshot(path=picture)
        headings = opened.locator("h2").all_inner_texts()
        browser.close()
    # A test compares them with those of a new page, so that a picture of an old one is noticed whatever the fonts are.
    about = PngInfo()
    about.add_itxt("Headings", "\n".join(headings))
    with Image.open(picture) as drawn:
        drawn.save(picture, pnginfo=about, optimize=True)


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]), Path(sys.argv[2]))
