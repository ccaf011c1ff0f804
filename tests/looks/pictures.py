"""Pictures of an exported page: the whole page in parts, at one width, light or dark; and the pages of a PDF."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

# A part is as high as a person still reads on one screen; a narrow page gets several of them side by side.
_PART_HEIGHT = 1600
_COLUMNS = {390: 4}
_MOST_PARTS = 12


def picture_page(browser: Browser, page_path: Path, folder: Path, *, width: int, scheme: str) -> list[Path]:
    """Write pictures of the whole page, from its top, each the next part of it.

    Args:
        browser: an open Chromium.
        page_path: the HTML file; it is opened without a network.
        folder: where the pictures go.
        width: the width of the window in pixels.
        scheme: `light` or `dark`.

    Returns:
        The pictures, named by width, scheme and number. At most twelve, with a note in the console of how much is left.
    """
    context = browser.new_context(
        viewport={"width": width, "height": _PART_HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        offline=True,
    )
    try:
        page = context.new_page()
        page.goto(page_path.as_uri())
        height = page.evaluate("document.documentElement.scrollHeight")
        written = list(_parts(page, folder, f"{page_path.stem}-{width}-{scheme}", width, height))
    finally:
        context.close()
    shown = min(height, _PART_HEIGHT * _COLUMNS.get(width, 1) * _MOST_PARTS)
    print(f"{page_path.stem} at {width}, {scheme}: {height:,} px high, {len(written)} pictures of {shown:,} px")
    return written


def _parts(page: Page, folder: Path, name: str, width: int, height: int) -> Iterator[Path]:
    """Pictures of one window after the other; on a narrow page, four windows are one picture."""
    from io import BytesIO

    from PIL import Image

    columns = _COLUMNS.get(width, 1)
    # What stays in its place while the reader scrolls would be on every picture.
    page.add_style_tag(content=".choice, nav { position: static !important; }")
    for number, top in enumerate(range(0, height, _PART_HEIGHT * columns)[:_MOST_PARTS]):
        picture = Image.new("RGB", (columns * width + (columns - 1) * 10, _PART_HEIGHT), "#ff00ff")
        for column, start in enumerate(range(top, min(height, top + _PART_HEIGHT * columns), _PART_HEIGHT)):
            page.evaluate("top => scrollTo(0, top)", start)
            # The last window is only partly new: it is placed so that nothing is shown twice.
            seen = start - int(page.evaluate("scrollY"))
            shot = Image.open(BytesIO(page.screenshot()))
            picture.paste(shot.crop((0, seen, width, _PART_HEIGHT)), (column * (width + 10), 0))
        path = folder / f"{name}-{number:02}.png"
        picture.save(path)
        yield path


def picture_pdf(pdf: Path, folder: Path) -> None:
    """Write a picture of each of the first twelve pages of a PDF with `pdftoppm`; without it, only the PDF is there."""
    program = shutil.which("pdftoppm")
    if program is None:
        print(f"{pdf.name}: no pictures of its pages, as pdftoppm (Poppler) is not installed")
        return
    last = ["-l", str(_MOST_PARTS)]
    subprocess.run([program, "-png", "-r", "80", *last, str(pdf), str(folder / f"{pdf.stem}-pdf")], check=True)
