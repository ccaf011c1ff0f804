"""Split the name of a metric into the words of `metric_words.toml`, without decorations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.study.metric_words import Word, metric_words, stem

if TYPE_CHECKING:
    from qualia_lab.study.settings import Better

# `(B)`, `(M)`, also without the brackets that MLflow drops, `(%)`, `/v1`, and the index of a data loader.
_ENDS = re.compile(r"\([BMPO%]\)|(?<=[a-z0-9])[BMPO]$|\(%\)|/v\d+(?=/|$)|/?dataloader_idx_\d+")
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PIECE = re.compile(r"\d+(?:\.\d+)+|[^\W_]+|[/.:|]")
_JOINED = re.compile(
    r"(train|valid|val|test|eval|dev|avg|mean|best)?(.*?)(losses|loss|score|accuracy|acc|error|reward|auc|bench)?"
)
# `1 - ssim`, `one_minus_error`; `-loss`.
_ONE_MINUS = re.compile(r"^(?:1|one)[\s_]*(?:-|minus)[\s_]*(?=[a-z])", re.IGNORECASE)
_MINUS = re.compile(r"^-\s?(?=[A-Za-z])")
# `inaccuracy` and `non…` before a word with a direction.
_NEGATED = re.compile(r"(?:un|in|im|dis|non|mis)(\w{5,})")
# They make a name of their own with what precedes them: `kldloss`, `frugalscore`, `mmbench`.
_ENDINGS = ("loss", "score", "bench")
_THOUSANDS = re.compile(r"\d+[kd]$")
_UNKNOWN = Word((), "unknown")


@dataclass(frozen=True)
class Token:
    """A piece of a name.

    Attributes:
        word: its entry in the word list.
        texts: its words as written.
        segment: the index of the part of the path.
        numbered: whether a number follows.
    """

    word: Word
    texts: tuple[str, ...]
    segment: int
    numbered: bool = False

    @property
    def role(self) -> str:
        """The role of its meaning, "" if it has none."""
        return self.word.meaning.role if self.word.meaning else ""

    @property
    def plain(self) -> bool:
        """Whether it is an everyday word."""
        return self.word.meaning is not None and self.word.meaning.plain

    @property
    def better(self) -> Better | None:
        """The direction, if it is an objective."""
        meaning = self.word.meaning
        return meaning.better if meaning and meaning.role == "objective" else None


def tokens_of(key: str) -> tuple[tuple[Token, ...], tuple[str, ...]]:
    """The pieces of a name in their order, preferring the longest known phrases, and the numbers in the name."""
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
    """The text as known words if possible, and the number that was removed from it."""
    words = metric_words()
    for candidate in (text, text.rstrip("0123456789"), _THOUSANDS.sub("", text), text.strip("0123456789")):
        if candidate in words.known or stem(candidate) in words.stems:
            return (candidate,), text.replace(candidate, "", 1)
    text_alone = text.rstrip("0123456789")
    return _negated(text_alone) or _unjoined(text_alone) or (text,), ""


def _negated(text: str) -> tuple[str, ...]:
    """`inaccuracy` as `not accuracy`, if the rest has a direction; else empty."""
    match = _NEGATED.fullmatch(text)
    entry = metric_words().by_stems.get((stem(match[1]),)) if match else None
    directed = entry and entry.meaning and entry.meaning.role == "objective" and entry.meaning.better
    return ("not", match[1]) if match and directed else ()


def _unjoined(text: str) -> tuple[str, ...]:
    """`valloss` and `kldloss` as two words, if both are known, or the second is an ending; else empty."""
    match = _JOINED.fullmatch(text)
    parts = tuple(part for part in match.groups() if part) if match else ()
    known = [stem(part) in metric_words().stems for part in parts]
    return parts if len(parts) > 1 and (all(known) or stem(parts[-1]) in _ENDINGS) else ()
