"""The name of a metric cut into the words of `metric_words.toml`, without its decorations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.study.metric_words import Word, metric_words, stem

if TYPE_CHECKING:
    from qualia_lab.study.settings import Better

# `(B)`, `(M)`, also as MLflow keeps them without brackets, `(%)`, `/v1`, and the index of a data loader.
_ENDS = re.compile(r"\([BMPO%]\)|(?<=[a-z0-9])[BMPO]$|\(%\)|/v\d+(?=/|$)|/?dataloader_idx_\d+")
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PIECE = re.compile(r"\d+(?:\.\d+)+|[^\W_]+|[/.:|]")
_JOINED = re.compile(
    r"(train|valid|val|test|eval|dev|avg|mean|best)?(.*?)(losses|loss|score|accuracy|acc|error|reward|auc)?"
)
# `1 - ssim`, `one_minus_error`; `-loss`.
_ONE_MINUS = re.compile(r"^(?:1|one)[\s_]*(?:-|minus)[\s_]*(?=[a-z])", re.IGNORECASE)
_MINUS = re.compile(r"^-\s?(?=[A-Za-z])")
# `inaccuracy` and `non…` before a word that tells a direction.
_NEGATED = re.compile(r"(?:un|in|im|dis|non|mis)(\w{5,})")
_THOUSANDS = re.compile(r"\d+[kd]$")
_UNKNOWN = Word((), "unknown")


@dataclass(frozen=True)
class Token:
    """A piece of a name.

    word: its entry.  texts: as written.  segment: which part of the path, counted from 0.  numbered: a number follows.
    """

    word: Word
    texts: tuple[str, ...]
    segment: int
    numbered: bool = False

    @property
    def role(self) -> str:
        """The role of its meaning, "" where it has none."""
        return self.word.meaning.role if self.word.meaning else ""

    @property
    def plain(self) -> bool:
        """Whether it is an everyday word."""
        return self.word.meaning is not None and self.word.meaning.plain

    @property
    def better(self) -> Better | None:
        """The direction of an objective."""
        meaning = self.word.meaning
        return meaning.better if meaning and meaning.role == "objective" else None


def tokens_of(key: str) -> tuple[tuple[Token, ...], tuple[str, ...]]:
    """The pieces of a name in their order, the longest known words first, and the numbers that stood in it."""
    pieces, numbers = _pieces(key)
    words = metric_words()
    tokens: list[Token] = []
    place = 0
    while place < len(pieces):
        for length in range(min(words.longest, len(pieces) - place), 0, -1):
            texts = tuple(piece.text for piece in pieces[place : place + length])
            entry = words.by_words.get(texts) or words.by_stems.get(tuple(map(stem, texts)))
            if entry is not None:
                break
        else:
            length, texts, entry = 1, (pieces[place].text,), _UNKNOWN
        last = pieces[place + length - 1]
        tokens.append(Token(entry, texts, last.segment, last.numbered))
        place += length
    return tuple(tokens), tuple(numbers)


class _Piece(NamedTuple):
    text: str
    segment: int
    numbered: bool


def _pieces(key: str) -> tuple[list[_Piece], list[str]]:
    """The words in lower case, and the numbers."""
    text = (
        _MINUS.sub("neg ", _ONE_MINUS.sub("not ", key))
        .replace("²", "2")
        .replace("^2", "2")
        .replace("%", " ")
        .replace(" - ", "/")
        .replace("@", " at ")
    )
    text = _whole_pattern().sub(lambda found: f" {found.group().lower()}", _ENDS.sub("", text))
    pieces: list[_Piece] = []
    numbers: list[str] = []
    segment = 0
    for piece in _PIECE.findall(_CAPITALS.sub(" ", text)):
        if piece in "/.:|":
            segment += bool(pieces)
        elif piece.replace(".", "").isdecimal():
            numbers.append(piece)
            pieces[-1:] = [one._replace(numbered=True) for one in pieces[-1:]]
        else:
            words, number = _known(piece.lower())
            pieces += [_Piece(word, segment, bool(number)) for word in words]
            numbers += [number] if number else []
    return pieces, numbers


@cache
def _whole_pattern() -> re.Pattern[str]:
    return re.compile("(?<![A-Z])(?:" + "|".join(map(re.escape, metric_words().whole)) + ")(?![a-z])")


def _known(text: str) -> tuple[tuple[str, ...], str]:
    """A text as words that are known where it can be, and the number that was cut from it."""
    words = metric_words()
    for one in (text, text.rstrip("0123456789"), _THOUSANDS.sub("", text), text.strip("0123456789")):
        if one in words.known or stem(one) in words.stems:
            return (one,), text.replace(one, "", 1)
    text_alone = text.rstrip("0123456789")
    return _negated(text_alone) or _unjoined(text_alone) or (text,), ""


def _negated(text: str) -> tuple[str, ...]:
    """`inaccuracy` as `not accuracy`, where the rest tells a direction; else nothing."""
    found = _NEGATED.fullmatch(text)
    entry = metric_words().by_stems.get((stem(found[1]),)) if found else None
    directed = entry and entry.meaning and entry.meaning.role == "objective" and entry.meaning.better
    return ("not", found[1]) if found and directed else ()


def _unjoined(text: str) -> tuple[str, ...]:
    """`valloss` and `kldloss` as two words where both are known, and before `loss` anything; else nothing."""
    found = _JOINED.fullmatch(text)
    parts = tuple(part for part in found.groups() if part) if found else ()
    known = [stem(part) in metric_words().stems for part in parts]
    return parts if len(parts) > 1 and (all(known) or stem(parts[-1]) == "loss") else ()
