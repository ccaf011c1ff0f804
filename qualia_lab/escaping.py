"""One escape function per sink: how a string of a store is shown without becoming anything else."""

from __future__ import annotations

import html
import re
import shlex
import unicodedata
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SPACES = re.compile(r"\s+")
# What means something in the middle of a Markdown line, the starts of bare addresses among it.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~$&@^]|:(?=/)|(?<=www)\.", re.IGNORECASE)
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # its name and that of the next are not in every encoding of fonts
    "`": r"\char96{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "?": "{?}",  # with a backquote behind it, it is another sign
    "!": "{!}",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    """The text with control, bidirectional, format and unpaired surrogate characters spelled out by their code.

    Line breaks and tabs stay. Everything a person could read stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" or not _is_invisible(char) else _spelled(char) for char in text)


def one_line(text: str, width: int | None = None) -> str:
    """Visible text with all white space folded to single spaces, cut to `width` characters with `…`."""
    folded = visible(_SPACES.sub(" ", text)).strip()
    return folded if width is None or len(folded) <= width else folded[: width - 1] + "…"


def shortened(texts: Sequence[str], width: int = 60) -> list[str]:
    """Each text on one line and at most so wide; different texts stay different.

    Long ones lose their middle. Where that makes two alike, what they share at their start is cut instead, and where
    that is not enough they are numbered.

    Example:
        >>> shortened(["run_with_a_long_name_1", "run_with_a_long_name_2"], 12)
        ['run_wi…ame_1', 'run_wi…ame_2']
    """
    whole = [one_line(text) for text in texts]
    cut = {text: _without_middle(text, width) for text in whole}
    for alike in _alike(cut):
        shared = sum(1 for _ in takewhile(lambda chars: len(set(chars)) == 1, zip(*alike, strict=False)))
        for text in alike:
            cut[text] = _without_middle("…" + text[max(0, shared - width // 3) :], width)
        for number, text in enumerate(one for same in _alike({one: cut[one] for one in alike}) for one in same):
            cut[text] = f"{cut[text][: width - 8]} ({number + 1})"
    return [cut[text] for text in whole]


def _without_middle(text: str, width: int) -> str:
    end = (width - 1) // 2
    return text if len(text) <= width else f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _alike(cut: Mapping[str, str]) -> list[list[str]]:
    """The texts that were cut to the same one, in their order."""
    by_cut: dict[str, list[str]] = {}
    for text, short in cut.items():
        by_cut.setdefault(short, []).append(text)
    return [texts for texts in by_cut.values() if len(texts) > 1]


def for_terminal(text: str) -> str:
    """One line of text that moves no cursor, sets no colour and reverses no reading direction."""
    return one_line(text)


def for_html(text: str) -> str:
    """Text for an HTML element or a quoted attribute; `$` is a reference too, so no page typesets it as mathematics."""
    return html.escape(visible(text)).replace("$", "&#36;").replace("`", "&#96;")


# What stands before a stranger's page in a frame: it loads nothing, and its links lead nowhere.
_IN_FRAME = (
    '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    'style-src \'unsafe-inline\'; font-src data:"><base target="_blank">'
)
# A frame as it is written here, and in no other way.
FRAME = re.compile(r'<iframe sandbox="" srcdoc="([^"<>]*)" width="100%" height="(\d{1,4})"></iframe>')


def framed_page(page: str, height: int) -> str:
    """An HTML page in a frame of so many pixels in which no script runs, nothing is loaded and no link opens.

    Where frames are not shown at all (JupyterLab before the notebook is trusted, GitHub), nothing is left of it.
    """
    return framed(html.escape(_IN_FRAME + page.replace("\0", "")).replace("$", "&#36;"), height)


def framed(escaped: str, height: int) -> str:
    """The frame around a page that is escaped for an attribute already."""
    return f'<iframe sandbox="" srcdoc="{escaped}" width="100%" height="{height}"></iframe>'


def for_markdown(text: str) -> str:
    """Text for the middle of a Markdown line: every mark that means something becomes a numeric reference."""
    return _MARKDOWN.sub(lambda mark: f"&#{ord(mark.group())};", one_line(text))


def code_span(text: str) -> str:
    """Text as code within a Markdown line."""
    text = one_line(text)
    return f"<code>{for_markdown(text)}</code>" if not text or set(text) & {"`", "$"} else f"`` {text} ``"


def for_latex(text: str) -> str:
    r"""Text for the running text of LaTeX, also at the beginning of a table's cell: it starts no command there.

    `[` and `*` after `\\\\` would be its argument, and doubled `-`, `'` or `,` would become one sign.
    """
    text = one_line(text)
    return "".join(
        _LATEX.get(char, char) + ("{}" if char in "-'," and text[place + 1 : place + 2] == char else "")
        for place, char in enumerate(text)
    )


def for_shell(word: str) -> str:
    """A word of a POSIX command line, visible and on one line.

    What cannot be seen as it is (control characters, spaces at an end or beside another) is spelled in the `$'…'` of
    bash and zsh.
    """
    if one_line(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_ansi_c(char) for char in word) + "'"


def _ansi_c(char: str) -> str:
    """A character within `$'…'`."""
    if char in "\\'":
        return f"\\{char}"
    if not char.isspace() and visible(char) == char:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x80 else _spelled(char)


def for_csv(text: str) -> str:
    """One cell of RFC 4180; text that a spreadsheet would run as a formula gets a leading `'`.

    Python's own writer leaves a bare carriage return unquoted, which then ends the row.
    """
    if text.startswith(_FORMULA) and not _is_number(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if set(',"\r\n') & set(text) else text


def for_filename(text: str, fallback: str = "notebook") -> str:
    """A file name of ASCII letters, digits, `-` and `_`, of 60 characters at most, that no system reserves."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_")[:60].rstrip("-_")
    if not slug or re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", slug):
        return f"{fallback}-{slug}".rstrip("-")
    return slug


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _spelled(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
