"""A filter cut into tokens, each with its place.

Keys stand bare or in backticks or quotes, strings in single or double quotes, as MLflow has them. The tokens are cut by
a pattern of our own, not by a SQL tokenizer: in SQL `'it''s'` holds one quote, `--` begins a comment and `val/acc` is a
division, and here they are not.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from qualia_lab.errors import FilterError

_BARE = r"[^\s=<>!()'\"`,&|;\u2018\u2019\u201c\u201d]"
# How sqlparse, and so MLflow, ends a string: a doubled or a backslashed quote does not, and both stay in the value.
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
    """A piece of a filter as it was written, and the 0-based index where it begins."""

    kind: str  # number, path (metrics.acc), word, quoted, sign, end
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The word in capitals; "" of every other token."""
        return self.text.upper() if self.kind == "word" else ""


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text and one that says where it ends. Raises FilterError where no token can stand."""
    tokens, position = [], 0
    if unsendable := re.search(r"[\x00\ud800-\udfff]", text):
        message = "A NUL or half a surrogate pair can be in no value of a store."
        raise FilterError(message, "Remove that character.", text=text, position=unsendable.start())
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _character_error(text, position)
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    return [*tokens, Token("end", "", len(text))]


def _character_error(text: str, position: int) -> FilterError:
    char = text[position]
    if char in "'\"`":
        message, hint = f"The quote {char} is never closed.", f"Close it with another {char}."
    elif char in _SMART_QUOTES:
        message, hint = f"{char} is a typographic quote.", "Write straight quotes: '…'."
    else:
        message, hint = f"{char} means nothing here.", HINTS.get(char, "A value with such a character needs quotes.")
    return FilterError(message, hint, text=text, position=position)


def is_number(text: str) -> bool:
    """Whether this would be a number if it stood in a filter."""
    match = _TOKEN.fullmatch(text)
    return match is not None and match.lastgroup == "number"


def unquoted(text: str) -> str:
    """The text without the quotes or backticks around it, if it has them; what is inside stays as it is."""
    return text[1:-1] if len(text) > 1 and text[0] in "'\"`" and text[0] == text[-1] else text
