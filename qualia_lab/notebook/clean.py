"""Sanitize HTML for an exported page: no scripts, no requests, no unsafe links."""

from __future__ import annotations

import base64
import html
import re
import secrets
from functools import cache
from typing import TYPE_CHECKING

from qualia_lab.framing import FRAME, reframed_page
from qualia_lab.notebook.page.drawing import read_drawing

if TYPE_CHECKING:
    from nh3 import Cleaner

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
TAGS = frozenset((
    *HEADINGS, "p", "div", "span", "br", "hr", "blockquote", "pre", "details", "summary", "figure", "figcaption", "img",
    "ul", "ol", "li", "dl", "dt", "dd",
    "table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td",
    "a", "abbr", "b", "strong", "i", "em", "u", "s", "del", "ins", "mark", "small", "sub", "sup", "code", "kbd", "samp",
))  # fmt: skip
STYLES = frozenset((
    "color", "background-color", "opacity", "font-family", "font-size", "font-style", "font-weight",
    "text-align", "text-decoration", "vertical-align", "white-space", "overflow-wrap",
    "display", "flex-wrap", "gap", "width", "min-width", "max-width", "margin-left", "padding-left", "border-bottom",
    "display", "flex-wrap", "gap", "align-items",
))  # fmt: skip
# Elements that are removed with their text.
_UNSHOWN = frozenset(("script", "style", "template", "title"))
_ATTRIBUTES = frozenset((
    *("class", "title", "style", "id", "href", "src", "alt", "width", "height"),
    *("colspan", "rowspan", "span", "scope", "start", "open"),
))  # fmt: skip
_DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_SVG = "data:image/svg+xml;base64,"
_LINK = re.compile(r"(?i)(https?://|mailto:|#)[^\x00-\x20]*|[^\x00-\x20:\\/][^\x00-\x20:\\]*")
_TAG = re.compile(r"""(<(?:[^<>"']|"[^"]*"|'[^']*')*>)""")
_COUNT = re.compile(r"\d{1,5}")


def clean_html(text: object) -> str:
    """Return the text with harmless HTML only: the tags of other elements are removed, scripts and styles completely.

    Links may point to http, https, mailto or relative URLs; images are data URIs. Iframes of artifacts in the exact
    form that `framed_page` writes are kept, and their content is sandboxed again.
    """
    source = text.decode() if isinstance(text, bytes) else str(text)
    source, frames = _without_frames(visible_markup(source))
    return with_tokens(_cleaner().clean(source), frames)


def visible_markup(text: str) -> str:
    """Return the text without characters that no HTML may contain: unpaired surrogates, and NUL."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


@cache
def _cleaner() -> Cleaner:
    from nh3 import Cleaner

    return Cleaner(
        tags=set(TAGS),
        clean_content_tags=set(_UNSHOWN),
        attributes={"*": set(_ATTRIBUTES)},
        attribute_filter=_harmless,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=set(STYLES),
        link_rel=None,  # the page sends no referrer at all
    )


def _without_frames(source: str) -> tuple[str, dict[str, str]]:
    """Replace each iframe of `framed_page` by a random token; return the text and {token: iframe}."""
    frames: dict[str, str] = {}

    def token_for(frame: re.Match[str]) -> str:
        token = f"frame{secrets.token_hex(16)}"  # unpredictable, so the text cannot contain it already
        frames[token] = reframed_page(frame[1], int(frame[2]))
        return token

    return FRAME.sub(token_for, source), frames


def with_tokens(cleaned: str, replacements: dict[str, str]) -> str:
    """Replace tokens in the text of sanitized HTML by other HTML; tokens inside tags are left as they are.

    In the output of `clean_html`, every `<` in text is escaped and every attribute is quoted, so tags are found
    exactly.

    Args:
        cleaned: the output of `clean_html`.
        replacements: HTML by token; a token consists of letters and digits, and occurs in no other text.
    """
    if not replacements:
        return cleaned
    tokens = re.compile("|".join(replacements))
    return "".join(
        part if part.startswith("<") else tokens.sub(lambda token: replacements[token[0]], part)
        for part in _TAG.split(cleaned)
    )


def _harmless(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute that an element may keep, else None."""
    return value if _is_harmless(tag, name, value) else None


def _is_drawing(source: str) -> bool:
    """Return whether the source of an image is the SVG of a chart, and nothing else."""
    encoded = source.removeprefix(_SVG)
    try:
        return encoded != source and bool(read_drawing(base64.b64decode(encoded, validate=True).decode()))
    except ValueError:
        return False


def _is_harmless(tag: str, name: str, value: str) -> bool:
    """Return whether an element may keep this attribute."""
    if name in ("class", "title", "style"):
        return True
    if name == "id":
        return tag in HEADINGS
    if tag == "a":
        return name == "href" and bool(_LINK.fullmatch(html.unescape(value).strip()))
    if tag == "img":
        if name == "src":
            return bool(_DATA_IMAGE.fullmatch(value)) or _is_drawing(value)
        return name == "alt" or (name in ("width", "height") and bool(_COUNT.fullmatch(value)))
    if tag in ("td", "th", "col", "colgroup"):
        return name == "scope" or (name in ("colspan", "rowspan", "span") and bool(_COUNT.fullmatch(value)))
    return (tag, name) in (("ol", "start"), ("details", "open"))
