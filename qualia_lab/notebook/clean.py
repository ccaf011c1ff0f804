"""HTML that stays HTML in an exported page, and nothing in it that acts, loads or leads astray."""

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
    """The text with only harmless HTML left: other elements lose their tags, scripts and styles their content too.

    Links lead to http, https, mailto or a relative place; images are in the page itself. Frames of artifacts, as
    `framed_page` writes them, stay, and what is in them is made still once more.
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
    # bleach alone decides what is safe; this only spares the reader the text of what cannot be shown.
    return _with_frames(str(cleaner.clean(_UNSHOWN.sub("", source))), frames)


def _without_frames(source: str) -> tuple[str, dict[str, str]]:
    """The text with a word of its own for each frame that is written as ours are, and what the words stand for."""
    frames: dict[str, str] = {}

    def word_for(frame: re.Match[str]) -> str:
        word = f"frame{secrets.token_hex(16)}"  # nobody can have written it in the text before
        frames[word] = reframed_page(frame[1], int(frame[2]))
        return word

    return FRAME.sub(word_for, source), frames


def _with_frames(cleaned: str, frames: dict[str, str]) -> str:
    """The frames put back where their words stand as text; in a tag, a word stays a word.

    What bleach returns has every `<` of a text escaped and every attribute quoted, so its tags are found exactly.
    """
    if not frames:
        return cleaned
    words = re.compile("|".join(frames))
    return "".join(
        part if part.startswith("<") else words.sub(lambda word: frames[word[0]], part) for part in _TAG.split(cleaned)
    )


def _is_harmless(tag: str, name: str, value: str) -> bool:
    """Whether an element may keep this attribute."""
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
