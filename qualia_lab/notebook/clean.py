"""Sanitize HTML for an exported page: no scripts, no requests, no unsafe links."""

from __future__ import annotations

import html
import re
import secrets

from qualia_lab.framing import FRAME, reframed_page

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
_UNSHOWN = re.compile(r"(?is)<(script|style|template|title)\b.*?(</\1\s*>|\Z)")
_DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_LINK = re.compile(r"(?i)(https?://|mailto:|#)[^\x00-\x20]*|[^\x00-\x20:\\/][^\x00-\x20:\\]*")
_TAG = re.compile(r"""(<(?:[^<>"']|"[^"]*"|'[^']*')*>)""")
_COUNT = re.compile(r"\d{1,5}")


def clean_html(text: object) -> str:
    """Return the text with harmless HTML only: the tags of other elements are removed, scripts and styles completely.

    Links may point to http, https, mailto or relative URLs; images are data URIs. Iframes of artifacts in the exact
    form that `framed_page` writes are kept, and their content is sandboxed again.
    """
    from bleach import Cleaner
    from bleach.css_sanitizer import CSSSanitizer

    cleaner = Cleaner(
        tags=TAGS,
        attributes=_is_harmless,
        protocols=("http", "https", "mailto", "data"),
        strip=True,
        css_sanitizer=CSSSanitizer(allowed_css_properties=STYLES, allowed_svg_properties=()),
    )
    source = text.decode() if isinstance(text, bytes) else str(text)
    source, frames = _without_frames(source)
    # Only bleach decides what is safe; removing these elements just keeps their text out of the page.
    return _with_frames(str(cleaner.clean(_UNSHOWN.sub("", source))), frames)


def _without_frames(source: str) -> tuple[str, dict[str, str]]:
    """Replace each iframe of `framed_page` by a random token; return the text and {token: iframe}."""
    frames: dict[str, str] = {}

    def token_for(frame: re.Match[str]) -> str:
        token = f"frame{secrets.token_hex(16)}"  # unpredictable, so the text cannot contain it already
        frames[token] = reframed_page(frame[1], int(frame[2]))
        return token

    return FRAME.sub(token_for, source), frames


def _with_frames(cleaned: str, frames: dict[str, str]) -> str:
    """Replace tokens in text by their iframes; tokens inside tags are left as they are.

    In the output of bleach, every `<` in text is escaped and every attribute is quoted, so tags are found exactly.
    """
    if not frames:
        return cleaned
    tokens = re.compile("|".join(frames))
    return "".join(
        part if part.startswith("<") else tokens.sub(lambda token: frames[token[0]], part)
        for part in _TAG.split(cleaned)
    )


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
            return bool(_DATA_IMAGE.fullmatch(value))
        return name == "alt" or (name in ("width", "height") and bool(_COUNT.fullmatch(value)))
    if tag in ("td", "th", "col", "colgroup"):
        return name in ("colspan", "rowspan", "span", "scope")
    return (tag, name) in (("ol", "start"), ("details", "open"))
