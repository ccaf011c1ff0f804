"""A notebook as one HTML file that shows tables and charts offline and runs nobody's script."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.chart import PLOTLY_MIME
from qualia_lab.errors import ExportFailed
from qualia_lab.escaping import one_line
from qualia_lab.files import write_atomically
from qualia_lab.notebook.clean import clean_html

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("html",)

# Of an output's faces the first of these that it has is shown.
_FACES = [PLOTLY_MIME, "text/html", "text/markdown", "image/png", "image/jpeg", "image/svg+xml", "text/plain"]


def export_notebook(notebook: Path, fmt: str, output: Path) -> Path:
    """Write a notebook file as another format. Raises ExportFailed, OutputNotWritable."""
    check_format(fmt)
    import nbformat

    try:
        node = nbformat.read(notebook, as_version=4)
    except Exception as error:
        message = f"{notebook} cannot be read as a notebook: {one_line(str(error), 200)}"
        raise ExportFailed(message, "Generate it again, or open and save it in Jupyter.") from error
    return export_html(node, output, title=node.metadata.get("title") or notebook.stem)


def check_format(fmt: str) -> None:
    """Raise ExportFailed for a format that there is not."""
    if fmt not in FORMATS:
        raise ExportFailed(f"There is no export to {one_line(fmt, 40)!r}.", f"Formats: {', '.join(FORMATS)}.")


def export_html(notebook: Mapping[str, Any], output: Path, *, title: str) -> Path:
    """Write a notebook node (nbformat 4) as one HTML file that makes no request.

    The same notebook gives the same bytes. Charts are drawn by plotly where scripts run, and are images elsewhere.
    Raises ExportFailed, OutputNotWritable.
    """
    return write_atomically(output, page_of(notebook, title=title))


def page_of(notebook: Mapping[str, Any], *, title: str) -> bytes:
    """The HTML file of a notebook node. Raises ExportFailed."""
    try:
        return render_page(notebook, title=title).encode("utf-8", "replace")
    except Exception as error:
        message = f"The notebook could not be turned into HTML: {one_line(str(error), 200)}"
        raise ExportFailed(message, "The notebook itself is unharmed.") from error


def render_page(notebook: Mapping[str, Any], *, title: str) -> str:
    """The page as text."""
    import nbformat
    from nbconvert.exporters.html import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.NbConvertBase.display_data_priority = _FACES
    exporter = HTMLExporter(
        config=config, raw_template=_part("page.html.j2"), exclude_anchor_links=True, embed_images=False
    )
    for name, function in (
        ("clean_html", clean_html),
        ("image_pixels", image_pixels),
        ("image_base64", image_base64),
        ("script_json", script_json),
    ):
        exporter.register_filter(name, function)
    node = nbformat.from_dict(notebook)
    with_charts = any(
        PLOTLY_MIME in output.get("data", {}) for cell in node.cells for output in cell.get("outputs", ())
    )
    resources = {
        "page_title": one_line(title),
        "page_style": _part("page.css"),
        "policy": _policy(with_charts=with_charts),
        "page_scripts": _SCRIPTS_HERE,
    }
    page, _ = exporter.from_notebook_node(node, resources)
    before, _, after = str(page).rpartition(_SCRIPTS_HERE)
    return before + (_scripts() if with_charts else "") + after


# What an output says about itself is data too: nothing of it stands in an attribute that was not checked.


def image_pixels(output: Mapping[str, Any], mime: str, side: str) -> int | None:
    """The width or height that an image output asks for, when that is a number of pixels."""
    said = output.get("metadata", {}).get(mime, {})
    value = said.get(side) if isinstance(said, dict) else None
    return int(value) if isinstance(value, int | float) and 0 < value < 20_000 else None


def image_base64(data: str, mime: str) -> str:
    """An image's bytes in base64 and nothing else; an SVG becomes an image too, and so runs no script."""
    if mime == "image/svg+xml":
        return base64.b64encode(data.encode("utf-8", "replace")).decode()
    return re.sub(r"[^A-Za-z0-9+/=]", "", data)


def script_json(figure: object) -> str:
    """JSON that stays inside its script element whatever it holds."""
    text = json.dumps(figure)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_SCRIPTS_HERE = "<!-- scripts -->"


def _policy(*, with_charts: bool) -> str:
    """The page's own scripts may run, known by their digests; nothing is loaded, framed or sent."""
    scripts = f"'{_digest(_part('page.js'))}' '{_digest(_plotly())}'" if with_charts else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _scripts() -> str:
    """Plotly, packed, and the script that unpacks it and draws."""
    packed = base64.b64encode(gzip.compress(_plotly().encode(), 9, mtime=0)).decode()
    return f'<script type="text/plain" id="plotly-packed">{packed}</script>\n<script>{_part("page.js")}</script>'


@cache
def _plotly() -> str:
    """plotly.js of the installed plotly package, which is not imported for it."""
    from importlib.metadata import distribution

    source = distribution("plotly").locate_file("plotly/package_data/plotly.min.js")
    return Path(str(source)).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _part(name: str) -> str:
    return files("qualia_lab.notebook").joinpath(name).read_text(encoding="utf-8")
