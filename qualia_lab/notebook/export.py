"""Export a notebook to other formats: each is a module of `formats`."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.chart import PLOTLY_MIME
from qualia_lab.errors import ExportFailed
from qualia_lab.escaping import one_line
from qualia_lab.files import check_writable, write_atomically, write_files_atomically
from qualia_lab.notebook.clean import clean_html
from qualia_lab.notebook.formats import FORMATS
from qualia_lab.notebook.formats.format import EVERYTHING
from qualia_lab.notebook.formats.pictures import remove_old_pictures
from qualia_lab.notebook.read import read_notebook
from qualia_lab.notebook.rich_text import code_html, markdown_html, terminal_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.notebook.formats.format import Options

# The first of these MIME types that an output has is shown.
_MIME_PRIORITY = [PLOTLY_MIME, "text/html", "text/markdown", "image/png", "image/jpeg", "image/svg+xml", "text/plain"]


def export_notebook(
    notebook: Path, formats: Sequence[str], *, output: Path | None = None, options: Options = EVERYTHING
) -> list[Path]:
    """Export the file of a notebook to other formats; all files are written together, when all are complete.

    Args:
        notebook: the file of the notebook.
        formats: the formats, see `formats.FORMATS`.
        output: the file to write for a single format; by default each is beside the notebook.
        options: what the exports contain.

    Returns:
        The paths of the exports, in the order of the formats. Pictures of a Markdown file are in a folder beside it.

    Raises:
        ExportFailed: a format is unknown or cannot be made here, or the notebook cannot be read or exported.
        OutputNotWritable: a file cannot be written.
    """
    check_formats(formats, options)
    targets = page_paths(notebook, formats) if output is None else dict.fromkeys(formats, output)
    for target in targets.values():
        check_writable(target)
    node = read_notebook(notebook)
    files: dict[Path, bytes] = {}
    for fmt, target in targets.items():
        files |= exported_files(node, fmt, target, options)
    write_files_atomically(files)
    remove_old_pictures(files)
    return list(targets.values())


def check_formats(formats: Sequence[str], options: Options = EVERYTHING) -> None:
    """Raise ExportFailed for an unknown format, one that cannot be made on this machine, or unfit options."""
    for fmt in formats:
        if fmt not in FORMATS:
            raise ExportFailed(f"Unknown export format: {one_line(fmt, 40)!r}.", f"Formats: {', '.join(FORMATS)}.")
        FORMATS[fmt].check()
    if options.brief and tuple(formats) != ("md",):
        raise ExportFailed("Only Markdown has a brief form.", "Use --to md --brief.")
    if not options.code and "py" in formats:
        raise ExportFailed("A Python script without code would be empty.", "Leave out --no-code, or the format py.")


def exported_files(
    notebook: Mapping[str, Any], fmt: str, target: Path, options: Options = EVERYTHING
) -> Mapping[Path, bytes]:
    """Return the files of an export by their paths, without writing them.

    Args:
        notebook: a notebook of nbformat 4, with texts as strings.
        fmt: the format.
        target: the path of the export.
        options: what it contains.

    Raises:
        ExportFailed: the notebook cannot be exported.
    """
    try:
        return FORMATS[fmt].files(notebook, target, options)
    except ExportFailed:
        raise
    except Exception as error:
        message = f"The notebook could not be exported as {fmt}: {one_line(str(error) or type(error).__name__, 200)}"
        raise ExportFailed(message, "The notebook itself is not affected.") from error


def page_paths(notebook: Path, formats: Sequence[str]) -> dict[str, Path]:
    """The path of each export of a notebook, by format: next to the notebook, with the same name."""
    return {fmt: notebook.with_suffix(f".{fmt}") for fmt in formats}


def export_html(notebook: Mapping[str, Any], output: Path, *, title: str) -> Path:
    """Write a notebook node (nbformat 4) as a single HTML file that makes no requests. Raises OutputNotWritable."""
    return write_atomically(output, render_page(notebook, title=title).encode("utf-8", "replace"))


def render_page(notebook: Mapping[str, Any], *, title: str) -> str:
    """Return the HTML page of a notebook node as a string."""
    from jinja2 import Environment

    environment = Environment(autoescape=False)  # noqa: S701  every value passes through a filter of its own
    environment.filters |= {
        "escape_html": html.escape,
        "clean_html": clean_html,
        "markdown2html": markdown_html,
        "highlight_code": code_html,
        "ansi2html": terminal_html,
        "filter_data_type": _shown_type,
        "image_pixels": image_pixels,
        "image_base64": image_base64,
        "script_json": script_json,
    }
    with_charts = any(
        PLOTLY_MIME in output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", ())
    )
    resources = {
        "page_title": one_line(title),
        "page_style": _resource("page.css"),
        "policy": _policy(with_charts=with_charts),
        "page_scripts": _SCRIPTS_PLACEHOLDER,
    }
    page = environment.from_string(_resource("page.html.j2")).render(nb=notebook, resources=resources)
    before, _, after = page.rpartition(_SCRIPTS_PLACEHOLDER)
    return before + (_scripts() if with_charts else "") + after


def _shown_type(data: Mapping[str, Any]) -> list[str]:
    """Return the MIME type of an output that is shown, in a list; [] if there is none."""
    return [mime for mime in _MIME_PRIORITY if mime in data][:1]


# The metadata of an output are untrusted, too: they are validated before they are used in an attribute.


def image_pixels(output: Mapping[str, Any], mime: str, side: str) -> int | None:
    """Return the width or height in the metadata of an image output if it is a valid number of pixels, else None."""
    image_metadata = output.get("metadata", {}).get(mime, {})
    value = image_metadata.get(side) if isinstance(image_metadata, dict) else None
    return int(value) if isinstance(value, int | float) and 0 < value < 20_000 else None


def image_base64(data: str, mime: str) -> str:
    """Return an image as base64 without other characters; SVG is an image, too, so its scripts do not run."""
    if mime == "image/svg+xml":
        return base64.b64encode(data.encode("utf-8", "replace")).decode()
    return re.sub(r"[^A-Za-z0-9+/=]", "", data)


def script_json(figure: object) -> str:
    """Serialize to JSON with HTML characters escaped, so that it cannot close its script element."""
    text = json.dumps(figure)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_SCRIPTS_PLACEHOLDER = "<!-- scripts -->"


def _policy(*, with_charts: bool) -> str:
    """Return the content security policy: only our scripts run, identified by digest; no requests, frames or forms."""
    scripts = f"'{_digest(_resource('page.js'))}' '{_digest(_plotly())}'" if with_charts else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _scripts() -> str:
    """Return compressed plotly.js, and the script that decompresses it and draws the charts."""
    packed = base64.b64encode(gzip.compress(_plotly().encode(), 9, mtime=0)).decode()
    return f'<script type="text/plain" id="plotly-packed">{packed}</script>\n<script>{_resource("page.js")}</script>'


@cache
def _plotly() -> str:
    """Return plotly.js from the installed plotly package, without importing the package."""
    from importlib.metadata import distribution

    source = distribution("plotly").locate_file("plotly/package_data/plotly.min.js")
    return Path(str(source)).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _resource(name: str) -> str:
    return files("qualia_lab.notebook").joinpath(name).read_text(encoding="utf-8")
