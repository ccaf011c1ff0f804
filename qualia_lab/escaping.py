"""One escape function per sink: how a string of a store is shown without becoming anything else."""

from __future__ import annotations

import html
import re
import unicodedata

_SPACES = re.compile(r"\s+")
# What means something in the middle of a Markdown line, the starts of bare addresses among it.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~$&@^]|:(?=/)|(?<=www)\.", re.IGNORECASE)


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


def for_filename(text: str, fallback: str = "notebook") -> str:
    """A file name of ASCII letters, digits, `-` and `_`, of 60 characters at most, that no system reserves."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_")[:60].rstrip("-_")
    if not slug or re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", slug):
        return f"{fallback}-{slug}".rstrip("-")
    return slug


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _spelled(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
