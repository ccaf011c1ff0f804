"""Escape untrusted strings of a store, with one function for each kind of output."""

from __future__ import annotations

import html
import re
import shlex
import unicodedata

DASH = "\N{EN DASH}"  # stands for a missing value in tables and names

_SPACES = re.compile(r"\s+")
# Characters with a meaning inside a Markdown line, including the starts of bare URLs.
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
    '"': r"\char34{}",  # named commands are missing in some font encodings
    "`": r"\char96{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "?": "{?}",  # `?` + backquote is a ligature
    "!": "{!}",
}
# Where spreadsheets recognize a formula: at the start of a cell, and after `;`, a tab or a line break, which some treat
# as separators. Some also accept full-width characters.
_FORMULA = re.compile(r"((?:\A|[;\t\r\n])[ \t\r\n]*)(?=([=+\-@\uff1d\uff0b\uff0d\uff20][^;\t\r\n]*))")


def visible(text: str) -> str:
    """Replace control, bidirectional, format and unpaired surrogate characters by their escape codes.

    Line breaks, tabs and all visible characters are unchanged.
    """
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" or not _is_invisible(char) else _escape_code(char) for char in text)


def one_line(text: str, width: int | None = None) -> str:
    """Visible text with all white space collapsed to single spaces, truncated to `width` characters with `…`."""
    # The only printable white space is a space.
    plain = text.isprintable() and "  " not in text
    folded = (text if plain else visible(_SPACES.sub(" ", text))).strip()
    return folded if width is None or len(folded) <= width else folded[: width - 1] + "…"


def for_terminal(text: str) -> str:
    """One line of text for a terminal, without control sequences or changes of the reading direction."""
    return one_line(text)


def for_html(text: str) -> str:
    """Text for an HTML element or a quoted attribute; `$` is escaped too, so that MathJax ignores it."""
    return html.escape(visible(text)).replace("$", "&#36;").replace("`", "&#96;")


def for_markdown(text: str) -> str:
    """Text for the middle of a Markdown line; special characters become numeric character references."""
    return _MARKDOWN.sub(lambda mark: f"&#{ord(mark.group())};", one_line(text))


def code_span(text: str) -> str:
    """Text as inline code within a Markdown line."""
    text = one_line(text)
    return f"<code>{for_markdown(text)}</code>" if not text or set(text) & {"`", "$"} else f"`` {text} ``"


def for_latex(text: str) -> str:
    r"""Text for LaTeX, safe also at the beginning of a table cell.

    There, `[` and `*` after `\\\\` would be its argument; doubled `-`, `'` or `,` would become ligatures.
    """
    text = one_line(text)
    return "".join(
        _LATEX.get(char, char) + ("{}" if char in "-'," and text[index + 1 : index + 2] == char else "")
        for index, char in enumerate(text)
    )


def for_shell(word: str) -> str:
    """Quote a word for a POSIX shell, visible and on one line.

    Words with control characters, or with leading, trailing or repeated spaces, use the `$'…'` syntax of bash and zsh.
    """
    if one_line(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_ansi_c(char) for char in word) + "'"


def _ansi_c(char: str) -> str:
    """Escape a character for use within `$'…'`."""
    if char in "\\'":
        return f"\\{char}"
    if not char.isspace() and visible(char) == char:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x80 else _escape_code(char)


def for_csv(text: str) -> str:
    """Quote a cell as in RFC 4180; a formula, also after `;` or a line break, is disabled by a preceding `'`.

    Python's csv module is not used because it does not quote a bare carriage return, which then ends the row.
    """
    text = _FORMULA.sub(lambda start: start[1] if _is_number(start[2]) else f"{start[1]}'", text)
    return '"' + text.replace('"', '""') + '"' if set(',"\r\n') & set(text) else text


def for_filename(text: str, fallback: str = "notebook") -> str:
    """A file name of at most 60 ASCII letters, digits, `-` and `_` that no operating system reserves."""
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


def _escape_code(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
