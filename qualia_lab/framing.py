"""Show untrusted HTML pages in a sandboxed iframe, sanitized so that they cause no network requests.

A sandbox without permissions and a content security policy block scripts and images. They do not block what a browser
does before it checks the policy: it connects for `<link rel=preconnect>`, resolves the hosts of links, and starts to
load inner frames. The page is therefore rewritten with an allow-list of elements and attributes that load nothing.
"""

from __future__ import annotations

import base64
import html
import re
from html.parser import HTMLParser

from qualia_lab.picture_size import MOST_PIXELS, picture_size

# The head of every framed page: a policy that blocks all loading.
_FRAME_HEAD = (
    '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    'style-src \'unsafe-inline\'; font-src data:"><meta http-equiv="x-dns-prefetch-control" content="off">'
)
# Matches exactly the frames that `framed_page` writes.
FRAME = re.compile(r'<iframe sandbox="" srcdoc="([^"<>]*)" width="100%" height="(\d{1,4})"></iframe>')

_ELEMENTS = frozenset((
    *("a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "body", "br", "caption"),
    *("center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "fieldset"),
    *("figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html"),
    *("i", "img", "ins", "kbd", "label", "legend", "li", "main", "mark", "meter", "nav", "ol", "p", "pre", "progress"),
    *("q", "s", "samp", "section", "small", "span", "strike", "strong", "style", "sub", "summary", "sup"),
    *("table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr"),
    *("svg", "g", "defs", "symbol", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
    *("text", "tspan", "clippath", "lineargradient", "radialgradient", "stop", "pattern"),
    *("marker", "mask", "desc", "use"),
))  # fmt: skip
_ATTRIBUTES = frozenset((
    *("class", "id", "style", "title", "alt", "lang", "dir", "role", "open", "value", "min", "max", "low", "high"),
    *("colspan", "rowspan", "span", "scope", "headers", "width", "height", "align", "valign", "border", "cellpadding"),
    *("cellspacing", "bgcolor", "color", "face", "size", "start", "type", "reversed", "nowrap"),
    *("d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "dx", "dy", "points"),
    *("transform", "viewbox", "preserveaspectratio", "offset", "opacity", "fill", "stroke"),
    *("visibility", "display", "overflow"),
    *("gradientunits", "gradienttransform", "spreadmethod", "patternunits", "patterntransform", "clippathunits"),
    *("markerwidth", "markerheight", "markerunits", "refx", "refy", "orient", "rotate", "textlength", "lengthadjust"),
))  # fmt: skip
_ATTRIBUTE_PREFIXES = (
    "fill-",
    "stroke-",
    "font-",
    "text-",
    "stop-",
    "clip-",
    "marker-",
    "dominant-",
    "alignment-",
    "letter-",
)
_VOID_ELEMENTS = frozenset(("br", "col", "hr", "img", "wbr"))
# Elements that are dropped with their content. The text of `title`, `textarea` and the like is not part of the page.
_DROPPED = frozenset((
    *("script", "noscript", "template", "title", "textarea", "select", "iframe", "frame", "frameset", "noframes"),
    *("object", "applet", "audio", "video", "canvas", "foreignobject", "math", "noembed", "xmp", "plaintext"),
))  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml)[;,][^\s<>\"]*", re.IGNORECASE)
_FRAGMENT = re.compile(r"#[\w.-]{1,200}")
_COMMENT = re.compile(r"/\*.*?(\*/|\Z)", re.DOTALL)
# At-rules and functions of CSS that load something; `url(#a)` refers to the page itself and is allowed.
_AT_RULE = re.compile(r"@\s*(import|namespace|document|font-face|charset)\b[^;{}]*;?", re.IGNORECASE)
_LOADING_FUNCTION = re.compile(
    r"(?:url(?!\(\s*[\"']?#)|src|image|[\w-]*image-set|[\w-]*cross-fade|element|expression|paint|[\w-]*-document)\s*\("
    r"[^()]*\)?",
    re.IGNORECASE,
)


def framed_page(page: str, height: int) -> str:
    """An HTML page in an iframe in which nothing runs, is loaded or resolved, and no link works.

    Where iframes are not shown (JupyterLab before the notebook is trusted, GitHub), nothing is visible.

    Args:
        page: the HTML of the page.
        height: the height of the frame in pixels.

    Returns:
        The HTML of the iframe.
    """
    return (
        f'<iframe sandbox="" srcdoc="{_escaped(_FRAME_HEAD + sanitized_page(page))}"'
        f' width="100%" height="{height}"></iframe>'
    )


def reframed_page(escaped: str, height: int) -> str:
    """A frame found in other HTML, with its page sanitized again, because its origin is unknown."""
    return framed_page(html.unescape(escaped).removeprefix(_FRAME_HEAD), height)


def sanitized_page(page: str) -> str:
    """The visible part of an HTML page, as HTML that a browser shows without network requests."""
    writer = _Sanitizer()
    writer.feed(page.replace("\0", ""))
    writer.close()
    return writer.written


def sanitized_style(css: str) -> str:
    """CSS without anything that loads a resource. Backslashes are removed, so that no keyword hides behind escapes."""
    plain = _COMMENT.sub(" ", css).replace("\\", "").replace("<", " ")
    return _LOADING_FUNCTION.sub("none", _AT_RULE.sub(" ", plain))


class _Sanitizer(HTMLParser):
    """Rewrite HTML with allowed elements and attributes only; everything else becomes text or is dropped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._dropped: list[str] = []
        self._style = False

    @property
    def written(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._dropped.append(tag)
        elif not self._dropped and tag in _ELEMENTS:
            attributes = "".join(f' {name}="{_escaped(value)}"' for name, value in _sanitized_attributes(tag, attrs))
            self._parts.append(f"<{tag}{attributes}>")
            self._style = tag == "style"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID_ELEMENTS:  # in SVG and in dropped elements, `/>` closes the element
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            if tag in self._dropped:
                del self._dropped[self._dropped.index(tag) :]
        elif not self._dropped and tag in _ELEMENTS and tag not in _VOID_ELEMENTS:
            self._parts.append(f"</{tag}>")
            self._style = False

    def handle_data(self, data: str) -> None:
        if not self._dropped:
            self._parts.append(sanitized_style(data) if self._style else html.escape(data, quote=False))


def _sanitized_attributes(tag: str, attrs: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """The allowed attributes of an element, with sanitized values."""
    allowed: dict[str, str] = {}
    for name, value in attrs:
        text = value or ""
        if tag == "img" and name == "src":
            if _is_small_data_image(text.strip()):
                allowed[name] = text.strip()
        elif tag in ("use", "lineargradient", "radialgradient", "pattern") and name in ("href", "xlink:href"):
            if _FRAGMENT.fullmatch(text.strip()):
                allowed["href"] = text.strip()
        elif _NAME.fullmatch(name) and (name in _ATTRIBUTES or name.startswith(_ATTRIBUTE_PREFIXES)):
            allowed[name] = text if name in ("title", "alt", "class", "id") else sanitized_style(text)
    return list(allowed.items())


def _is_small_data_image(address: str) -> bool:
    """Whether a URL is a data URL of an image that is no larger than the limit for images in notebooks."""
    match = _DATA_IMAGE.fullmatch(address)
    if match is None or match[1].lower() == "svg+xml":
        return match is not None
    try:
        data = base64.b64decode(address.partition(",")[2])
    except ValueError:
        return False
    width, height = picture_size(data, f"image/{match[1].lower()}")
    return 0 < width * height <= MOST_PIXELS


def _escaped(text: str) -> str:
    return html.escape(text).replace("$", "&#36;")
