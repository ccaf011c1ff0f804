"""Markdown, source code and terminal output as HTML; the result of Markdown has to be sanitized.

The libraries that nbconvert uses are called directly: importing nbconvert alone takes as long as making a whole page.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ESCAPE = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STEPS = (0, 95, 135, 175, 215, 255)  # of each channel in the palette of 256 colours


def markdown_html(source: str) -> str:
    """Return Markdown as HTML; HTML in the source is kept, so that the result has to be sanitized.

    Text between dollar signs stays as it is, as far as it could be a formula.
    """
    return _markdown()(source)


@cache
def _markdown() -> Callable[[str], str]:
    import mistune

    class Renderer(mistune.HTMLRenderer):
        """Highlights the code of a fenced block by its language."""

        def block_code(self, code: str, info: str | None = None) -> str:
            language = (info or "").split()
            return code_html(code, language[0]) if language else str(super().block_code(code, info))

    renderer = Renderer(escape=False, allow_harmful_protocols=True)
    plugins = ["strikethrough", "table", "url", "task_lists", "def_list", "math"]
    markdown = mistune.create_markdown(renderer=renderer, plugins=plugins)
    renderer.register("inline_math", lambda _, text: f"${html.escape(text, quote=False)}$")
    renderer.register("block_math", lambda _, text: f"<p>$${html.escape(text, quote=False)}$$</p>\n")
    return lambda source: str(markdown(source))


def code_html(source: str, language: str = "python") -> str:
    """Return source code as escaped HTML with a class for each kind of token.

    Args:
        source: the source code.
        language: its name for pygments; code of an unknown language is not highlighted.
    """
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter

    return str(highlight(source, _lexer(language), HtmlFormatter()))


@cache
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name
    from pygments.lexers.python import PythonLexer
    from pygments.lexers.special import TextLexer
    from pygments.util import ClassNotFound

    if language in ("python", "python3", "py", "ipython", "ipython3"):
        return PythonLexer()
    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return TextLexer()


def terminal_html(text: str) -> str:
    """Return the text of a terminal as escaped HTML, with its colours as classes; other sequences are removed."""
    parts: list[str] = []
    state: dict[str, str] = {}
    position = 0
    for sequence in _ESCAPE.finditer(text):
        parts.append(_coloured(text[position : sequence.start()], state))
        position = sequence.end()
        if sequence[2] == "m" and re.fullmatch(r"(\d{0,3};)*\d{0,3}", sequence[1], re.ASCII):
            _apply([int(code or 0) for code in sequence[1].split(";")], state)
    return "".join((*parts, _coloured(text[position:], state)))


def plain_terminal_text(text: str) -> str:
    """Return the text of a terminal without its control sequences."""
    return _ESCAPE.sub("", text)


def _coloured(text: str, state: dict[str, str]) -> str:
    escaped = html.escape(text)
    if not text or not state:
        return escaped
    classes = " ".join(value for value in state.values() if value.startswith("ansi-"))
    style = ";".join(value for value in state.values() if not value.startswith("ansi-"))
    attributes = (f' class="{classes}"' if classes else "") + (f' style="{style}"' if style else "")
    return f"<span{attributes}>{escaped}</span>"


def _apply(codes: list[int], state: dict[str, str]) -> None:
    """Change the state by the codes of one `ESC [ … m`: text attributes and colours by what they change."""
    remaining = iter(codes)
    for code in remaining:
        if code == 0:
            state.clear()
        elif code in (1, 5):
            state["bold"] = "ansi-bold"
        elif code == 4:
            state["underline"] = "ansi-underline"
        elif code == 7:
            state["inverse"] = "ansi-inverse"
        elif code in (21, 22, 24, 27):
            state.pop({24: "underline", 27: "inverse"}.get(code, "bold"), None)
        elif code in (38, 48):
            colour = _extended(remaining)
            if colour is not None:
                side = "color" if code == 38 else "background-color"
                state[side] = _class(colour, side) if isinstance(colour, int) else f"{side}:rgb({colour})"
        elif code in (39, 49):
            state.pop("color" if code == 39 else "background-color", None)
        elif 30 <= code % 60 <= 47 and code < 108:  # 30 to 37 and 90 to 97; the background 10 higher
            side = "color" if code % 60 < 40 else "background-color"
            if code % 10 < 8:
                state[side] = _class(code % 10 + (8 if code >= 90 else 0), side)


def _class(colour: int, side: str) -> str:
    return f"ansi-{_NAMES[colour % 8]}{'-intense' if colour >= 8 else ''}-{'fg' if side == 'color' else 'bg'}"


def _extended(codes: Iterator[int]) -> int | str | None:
    """Return a colour of `5;NUMBER` or `2;RED;GREEN;BLUE`: one of 16 by its number, or its channels; None if bad."""
    kind = next(codes, None)
    if kind == 5:
        number = next(codes, -1)
        if 0 <= number < 16:
            return number
        if 16 <= number < 232:
            red, green, blue = ((number - 16) // divisor % 6 for divisor in (36, 6, 1))
            return f"{_STEPS[red]},{_STEPS[green]},{_STEPS[blue]}"
        return ",".join([str(8 + 10 * (number - 232))] * 3) if 232 <= number < 256 else None
    if kind == 2:
        channels = [next(codes, -1) for _ in range(3)]
        return ",".join(map(str, channels)) if all(0 <= channel < 256 for channel in channels) else None
    return None
