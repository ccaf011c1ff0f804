"""Tokenizer for filters: text to tokens with their positions.

As in MLflow, keys are bare or in backticks or quotes, and strings are in single or double quotes. This is a regular
expression and not a SQL tokenizer because the languages differ: in SQL `'it''s'` contains one quote, `--` begins a
comment and `val/acc` is a division; in a filter none of this is so.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from qualia_lab.errors import FilterError

_BARE = r"[^\s=<>!()'\"`,&|;\u2018\u2019\u201c\u201d]"
# A string ends as in sqlparse, and so in MLflow: not at a doubled or backslashed quote; both stay in the value.
_QUOTED = r"""'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*"|`(?:``|[^`])*`"""
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!{_BARE}))
  | (?P<path>(?:`\w+`|[^\W\d]\w*)\.(?:(?:{_QUOTED})|{_BARE}*))
  | (?P<word>{_BARE}+)
  | (?P<quoted>{_QUOTED})
  | (?P<sign><=|>=|!=|<>|==|&&|\|\||[=<>!(),])
    """,
    re.VERBOSE,
)
HINTS = {
    "==": "Write one = for equality.",
    "&&": "Write AND.",
    "||": "Write OR.",
    "!": "Write != for inequality, or NOT before a condition.",
    ";": "A filter is one expression; leave the semicolon out.",
    "&": "Write AND.",
    "|": "Write OR.",
}
_SMART_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb\u201e"


class Token(NamedTuple):
    """A token: its kind, its text as written, and its 0-based position in the filter."""

    kind: str  # number, path (metrics.acc), word, quoted, sign, end
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The word in upper case; "" for tokens that are not words."""
        return self.text.upper() if self.kind == "word" else ""


@lru_cache(maxsize=64)  # a filter is often repeated, and this is most of the time of parsing it
def tokenize(text: str) -> tuple[Token, ...]:
    """The tokens of a text, followed by an `end` token. Raises FilterError at a character that begins no token."""
    tokens, position = [], 0
    if invalid := re.search(r"[\x00\ud800-\udfff]", text):
        message = "No value in a store can contain a NUL character or half a surrogate pair."
        raise FilterError(message, "Remove that character.", text=text, position=invalid.start())
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _character_error(text, position)
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    return (*tokens, Token("end", "", len(text)))


def _character_error(text: str, position: int) -> FilterError:
    char = text[position]
    if char in "'\"`":
        message, hint = f"The quote {char} is never closed.", f"Close it with another {char}."
    elif char in _SMART_QUOTES:
        message, hint = f"{char} is a typographic quote.", "Write straight quotes: '…'."
    else:
        message, hint = f"Unexpected character {char}.", HINTS.get(char, "A value with such a character needs quotes.")
    return FilterError(message, hint, text=text, position=position)


def is_number(text: str) -> bool:
    """Whether the text is a number in a filter."""
    match = _TOKEN.fullmatch(text)
    return match is not None and match.lastgroup == "number"


def unquoted(text: str) -> str:
    """The text without surrounding quotes or backticks; the content is unchanged."""
    return text[1:-1] if len(text) > 1 and text[0] in "'\"`" and text[0] == text[-1] else text
