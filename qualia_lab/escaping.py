"""One escape function per sink: how a string of a store is shown without becoming anything else."""

from __future__ import annotations

import html
import re
import shlex
import unicodedata

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
# Where a spreadsheet takes up a formula: at the start of a cell, and where the cell ends for one that separates by `;`
# or tab, or by the line. Full-width signs are formulas to some as well.
_FORMULA = re.compile(r"((?:\A|[;\t\r\n])[ \t\r\n]*)(?=([=+\-@\uff1d\uff0b\uff0d\uff20][^;\t\r\n]*))")


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


def for_terminal(text: str) -> str:
    """One line of text that moves no cursor, sets no colour and reverses no reading direction."""
    return one_line(text)


def for_html(text: str) -> str:
    """Text for an HTML element or a quoted attribute; `$` is a reference too, so no page typesets it as mathematics."""
    return html.escape(visible(text)).replace("$", "&#36;").replace("`", "&#96;")


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
    """One cell of RFC 4180; a formula in it, also one behind a `;` or a line break, gets a `'` before it.

    Python's own writer leaves a bare carriage return unquoted, which then ends the row.
    """
    text = _FORMULA.sub(lambda start: start[1] if _is_number(start[2]) else f"{start[1]}'", text)
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
