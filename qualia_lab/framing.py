"""A stranger's HTML page in a frame: of it stays what can be seen, and nothing that asks anybody for anything.

A frame without rights and a policy stop scripts and pictures. They do not stop what a browser does before it asks
either: it connects for `<link rel=preconnect>`, looks up the hosts of links, and begins to load an inner frame. So the
page is written anew out of elements and attributes that are known to be still.
"""

from __future__ import annotations

import base64
import html
import re
from html.parser import HTMLParser

from qualia_lab.picture_size import MOST_PIXELS, picture_size

# What stands before a stranger's page in a frame: it loads nothing, and its links lead nowhere.
_IN_FRAME = (
    '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    'style-src \'unsafe-inline\'; font-src data:"><meta http-equiv="x-dns-prefetch-control" content="off">'
)
# A frame as it is written here, and in no other way.
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
_FAMILIES = ("fill-", "stroke-", "font-", "text-", "stop-", "clip-", "marker-", "dominant-", "alignment-", "letter-")
_EMPTY = frozenset(("br", "col", "hr", "img", "wbr"))
# Their content goes with them. `title`, `textarea` and the like hold text that is no part of the page.
_SILENT = frozenset((
    *("script", "noscript", "template", "title", "textarea", "select", "iframe", "frame", "frameset", "noframes"),
    *("object", "applet", "audio", "video", "canvas", "foreignobject", "math", "noembed", "xmp", "plaintext"),
))  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml)[;,][^\s<>\"]*", re.IGNORECASE)
_INNER = re.compile(r"#[\w.-]{1,200}")
_COMMENT = re.compile(r"/\*.*?(\*/|\Z)", re.DOTALL)
# At-rules and functions of CSS that name something to load; `url(#a)` is a place in the page itself.
_AT = re.compile(r"@\s*(import|namespace|document|font-face|charset)\b[^;{}]*;?", re.IGNORECASE)
_LOADING = re.compile(
    r"(?:url(?!\(\s*[\"']?#)|src|image|[\w-]*image-set|[\w-]*cross-fade|element|expression|paint|[\w-]*-document)\s*\("
    r"[^()]*\)?",
    re.IGNORECASE,
)


def framed_page(page: str, height: int) -> str:
    """An HTML page in a frame of so many pixels in which nothing runs, is loaded, is looked up, or leads away.

    Where frames are not shown at all (JupyterLab before the notebook is trusted, GitHub), nothing is left of it.
    """
    return (
        f'<iframe sandbox="" srcdoc="{_escaped(_IN_FRAME + still_page(page))}" width="100%" height="{height}"></iframe>'
    )


def framed_again(escaped: str, height: int) -> str:
    """A frame that was found in HTML, with what is in it made still once more, whoever wrote it."""
    return framed_page(html.unescape(escaped).removeprefix(_IN_FRAME), height)


def still_page(page: str) -> str:
    """What can be seen of an HTML page, as HTML that a browser shows without asking anybody."""
    writer = _Writer()
    writer.feed(page.replace("\0", ""))
    writer.close()
    return writer.written


def still_style(css: str) -> str:
    """CSS that names nothing to load. Escapes lose their backslash: no word is spelled by its codes."""
    plain = _COMMENT.sub(" ", css).replace("\\", "").replace("<", " ")
    return _LOADING.sub("none", _AT.sub(" ", plain))


class _Writer(HTMLParser):
    """Writes an HTML page anew: known elements with known attributes, and everything else as text or not at all."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._silent: list[str] = []
        self._style = False

    @property
    def written(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif not self._silent and tag in _ELEMENTS:
            said = "".join(f' {name}="{_escaped(value)}"' for name, value in _still(tag, attrs))
            self._parts.append(f"<{tag}{said}>")
            self._style = tag == "style"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:  # of SVG and of what is not shown: there it is closed by that
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
        elif not self._silent and tag in _ELEMENTS and tag not in _EMPTY:
            self._parts.append(f"</{tag}>")
            self._style = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(still_style(data) if self._style else html.escape(data, quote=False))


def _still(tag: str, attrs: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """The attributes that an element keeps."""
    kept: dict[str, str] = {}
    for name, value in attrs:
        text = value or ""
        if tag == "img" and name == "src":
            if _is_small_picture(text.strip()):
                kept[name] = text.strip()
        elif tag in ("use", "lineargradient", "radialgradient", "pattern") and name in ("href", "xlink:href"):
            if _INNER.fullmatch(text.strip()):
                kept["href"] = text.strip()
        elif _NAME.fullmatch(name) and (name in _ATTRIBUTES or name.startswith(_FAMILIES)):
            kept[name] = text if name in ("title", "alt", "class", "id") else still_style(text)
    return list(kept.items())


def _is_small_picture(address: str) -> bool:
    """Whether an address holds a picture itself, and one that takes no more room than a picture of its own may."""
    found = _PICTURE.fullmatch(address)
    if found is None or found[1].lower() == "svg+xml":
        return found is not None
    try:
        data = base64.b64decode(address.partition(",")[2])
    except ValueError:
        return False
    wide, tall = picture_size(data, f"image/{found[1].lower()}")
    return 0 < wide * tall <= MOST_PIXELS


def _escaped(text: str) -> str:
    return html.escape(text).replace("$", "&#36;")
