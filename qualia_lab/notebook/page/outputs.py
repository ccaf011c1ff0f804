"""The outputs of a cell as HTML: charts inline, everything else sanitized. Notebook files are not trusted."""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.chart import PLOTLY_MIME
from qualia_lab.notebook.clean import clean_html, with_tokens
from qualia_lab.notebook.page.figure import chart_html
from qualia_lab.notebook.rich_text import markdown_html, terminal_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The first of these MIME types that an output has is shown. Scripts, widgets and LaTeX are not.
_MIMES = ("text/html", "text/markdown", "image/png", "image/jpeg", "image/svg+xml", "text/plain")
# Exactly the image that stands for a chart in a notebook, on its own or inside other HTML.
CHART_IMAGE = re.compile(
    r'<img alt="([^"<>]*)" width="(\d{1,4})" height="(\d{1,5})" src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)">'
)


def output_html(output: Mapping[str, Any], numbers: Iterator[int]) -> str:
    """Return one output of a code cell as HTML.

    Args:
        output: an output of nbformat 4.
        numbers: yields the number of the next chart of the page.
    """
    kind = output.get("output_type")
    if kind == "stream":
        error = " stderr" if output.get("name") == "stderr" else ""
        return f'<pre class="box{error}" tabindex="0">{terminal_html(_text(output.get("text")))}</pre>'
    if kind == "error":
        lines = output.get("traceback")
        text = "\n".join(map(_text, lines)) if isinstance(lines, list) else _text(lines)
        return f'<pre class="box error" tabindex="0">{terminal_html(text)}</pre>'
    data = output.get("data")
    return _data_html(data, output, numbers) if isinstance(data, dict) else ""


def _data_html(data: Mapping[str, Any], output: Mapping[str, Any], numbers: Iterator[int]) -> str:
    mime = next((one for one in _MIMES if one in data), None)
    if mime is None:
        return ""
    text = _text(data[mime])
    if mime == "text/html":
        return _boxed(rendered_html(text, numbers))
    if mime == "text/markdown":
        return _boxed(rendered_html(markdown_html(text), numbers))
    if mime != "text/plain":
        return f"<figure>{_image(data, output, mime)}</figure>"
    note = (
        '<p class="note">An interactive figure of plotly: open the notebook to see it.</p>'
        if PLOTLY_MIME in data
        else ""
    )
    return f'<pre class="box" tabindex="0">{terminal_html(text)}</pre>{note}' if text.strip() else note


def rendered_html(text: str, numbers: Iterator[int]) -> str:
    """Return sanitized HTML in which each image of a chart is replaced by the chart itself.

    A picture that is not a chart of ours stays an image, in which no script runs.

    Args:
        text: untrusted HTML.
        numbers: yields the number of the next chart of the page.
    """
    charts: dict[str, str] = {}

    def token_for(image: re.Match[str]) -> str:
        token = f"chart{secrets.token_hex(16)}"  # unpredictable, so the text cannot contain it already
        charts[token] = _chart(image, numbers)
        return token

    return with_tokens(clean_html(CHART_IMAGE.sub(token_for, text)), charts)


def _chart(image: re.Match[str], numbers: Iterator[int]) -> str:
    alt, width, height, packed = image.groups()
    number = next(numbers)  # each image has one, also if it is no chart
    try:
        return chart_html(base64.b64decode(packed, validate=True).decode("utf-8"), number)
    except ValueError:
        label = html.escape(html.unescape(alt))
        return f'<img alt="{label}" width="{width}" height="{height}" src="data:image/svg+xml;base64,{packed}">'


def _boxed(rendered: str) -> str:
    """Put HTML in a box that scrolls on its own if it is too wide; a chart fills the page's width by itself."""
    if rendered.startswith("<figure class="):
        return rendered
    # A box that can scroll has to be reachable by the keyboard.
    reachable = ' tabindex="0"' if "<table" in rendered else ""
    return f'<div class="box rendered"{reachable}>{rendered}</div>'


def _image(data: Mapping[str, Any], output: Mapping[str, Any], mime: str) -> str:
    pixels = {side: image_pixels(output, mime, side) for side in ("width", "height")}
    sides = "".join(f' {side}="{value}"' for side, value in pixels.items() if value)
    alt = html.escape(_text(data.get("text/plain")) or "image")
    return f'<img alt="{alt}"{sides} src="data:{mime};base64,{image_base64(_text(data[mime]), mime)}">'


# The metadata of an output are untrusted, too: they are validated before they are used in an attribute.


def image_pixels(output: Mapping[str, Any], mime: str, side: str) -> int | None:
    """Return the width or height in the metadata of an image output if it is a valid number of pixels, else None."""
    metadata = output.get("metadata")
    image_metadata = metadata.get(mime, {}) if isinstance(metadata, dict) else {}
    value = image_metadata.get(side) if isinstance(image_metadata, dict) else None
    return int(value) if isinstance(value, int | float) and 0 < value < 20_000 else None


def image_base64(data: str, mime: str) -> str:
    """Return an image as base64 without other characters; SVG is an image, too, so its scripts do not run."""
    if mime == "image/svg+xml":
        return base64.b64encode(data.encode("utf-8", "replace")).decode()
    return re.sub(r"[^A-Za-z0-9+/=]", "", data)


def script_json(value: object) -> str:
    """Serialize to JSON with HTML characters escaped, so that it cannot close its script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(value: object) -> str:
    """Return the text of a field of a notebook file: a string, or a list of its lines."""
    if isinstance(value, list):
        return "".join(map(str, value))
    return "" if value is None else value if isinstance(value, str) else str(value)
