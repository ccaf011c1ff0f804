"""PDF: the page as a browser prints it, without TeX and without a network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExportFailed
from qualia_lab.notebook.formats import browser
from qualia_lab.notebook.formats.format import Format
from qualia_lab.notebook.formats.html import page_of
from qualia_lab.notebook.formats.without_code import shown_part
from qualia_lab.notebook.page.outputs import CHART_IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qualia_lab.notebook.formats.format import Options

# Page numbers; the page's own style for print does the rest.
_PAGES = """<style>
@page { size: A4; margin: 14mm 12mm 16mm; @bottom-right { content: counter(page) " / " counter(pages);
  font: 8pt sans-serif; color: #5f6368; } }
</style>
</head>"""

_FIGURE = re.compile(r'<figure class="chart" id="chart-(\d+)".*?</figure>', re.DOTALL)
# WeasyPrint does not know that what is folded is not shown; only the answer is unfolded for print.
_FOLDS = """<style>
details:not([open]) > :not(summary) { display: none; }
img { max-width: 100%; height: auto; }
#headline details:not(.code) > :not(summary) { display: block; }
</style>
</head>"""


def _files(notebook: Mapping[str, Any], target: Path, options: Options) -> dict[Path, bytes]:
    page = page_of(notebook, target, options).replace("</head>", _PAGES, 1)
    found = browser.find_browser()
    if found:
        return {target: browser.print_page(found, page)}
    return {target: _print_by_weasyprint(with_drawings(page, shown_part(notebook, options)))}


def with_drawings(page: str, notebook: Mapping[str, Any]) -> str:
    """Return the page with the drawings of the notebook instead of charts that fill any width.

    WeasyPrint shows these wrongly: it does not resolve percentages of a drawing in another one.
    """
    sources = [
        str(output.get("data", {}).get("text/html", ""))
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
    ]
    drawings = [image[0] for source in sources for image in CHART_IMAGE.finditer(source)]

    def drawing(figure: re.Match[str]) -> str:
        number = int(figure[1])  # charts are numbered in the order of the notebook, from 1
        return f"<p>{drawings[number - 1]}</p>" if number <= len(drawings) else ""

    return _FIGURE.sub(drawing, page)


def _print_by_weasyprint(page: str) -> bytes:
    """Return the page as PDF; nothing but its own `data:` URIs is loaded."""
    from weasyprint import HTML, URLFetcher

    page = page.replace("</head>", _FOLDS, 1)
    try:
        return bytes(HTML(string=page, url_fetcher=URLFetcher(allowed_protocols={"data"})).write_pdf())
    except Exception as error:
        raise ExportFailed(
            f"WeasyPrint could not make the PDF: {error}", "Install Chromium, or use --to html."
        ) from error


def _check() -> None:
    """Raise ExportFailed if nothing on this machine makes a PDF."""
    if not made_by():
        raise ExportFailed(
            "Nothing on this machine makes a PDF.", "Install Chromium or Chrome, or run: pip install 'qualia-lab[pdf]'"
        )


def made_by() -> str:
    """Return the name of the program that makes the PDF, "" if there is none."""
    if browser.find_browser() is not None:
        return "Chromium"
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):  # OSError: it is installed, and its library pango is not
        return ""
    return "WeasyPrint"


FORMAT = Format("pdf", "for print", _files, _check, made_by)
