"""The words of `metric_words.toml`: the meaning of each in the name of a metric."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qualia_lab.study.settings import Better, MetricRole
    from qualia_lab.study.study import Split

# The function of a word in a name, if not a meaning: the keys of [grammar], and "split".
Part = Literal[
    "meaning", "split", "dropped", "connectors", "limits", "settings", "times", "measures", "shares", "flips",
    "negations", "wrongs", "sides", "comparators", "numbers", "units", "spans",
    "unknown",
]  # fmt: skip
Bounds = tuple[float | None, float | None]
_GRAMMAR: tuple[Part, ...] = (
    "dropped", "connectors", "limits", "settings", "times", "measures", "shares", "flips", "negations", "wrongs",
    "sides", "comparators", "numbers", "units", "spans",
)  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """The meaning of a word; the fields are documented in the data file."""

    role: MetricRole
    better: Better | None = None
    bounds: Bounds = (None, None)
    loss: bool = False
    partial: bool = False
    plain: bool = False
    weak: bool = False
    counted: bool = False
    change: Literal["", "gain", "less"] = ""
    chance: float | None = None


@dataclass(frozen=True)
class Word:
    """One entry: its words, its function in a name, and its meaning or split."""

    words: tuple[str, ...]
    part: Part
    meaning: Meaning | None = None
    split: Split = ""


@dataclass(frozen=True)
class Words:
    """The contents of the file.

    Attributes:
        by_words: all entries by their words.
        by_stems: the same by the stems of the words.
        known: all single words.
        stems: the stems of all single words.
        longest: the number of words of the longest entry.
        whole: spellings that are not split at capital letters.
        edge: words for splits that count only at the start or end of a name.
        as_losses: scores that are losses after the word `loss`.
        each: units that a metric is relative to, if they follow it.
        levels: conditions, if they follow a metric with a number.
    """

    by_words: Mapping[tuple[str, ...], Word]
    by_stems: Mapping[tuple[str, ...], Word]
    known: frozenset[str]
    stems: frozenset[str]
    longest: int
    whole: tuple[str, ...]
    edge: frozenset[str]
    as_losses: frozenset[tuple[str, ...]]
    each: frozenset[str]
    levels: frozenset[str]


def stem(word: str) -> str:
    """A word without its plural ending; `loss` and `bias` have none."""
    if len(word) < 4 or word.endswith(("ss", "us", "is", "as")):
        return word
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("s", "")):
        if word.endswith(plural):
            return word.removesuffix(plural) + singular
    return word


@cache
def metric_words() -> Words:
    """The words, read once. Raises ValueError for a duplicate word."""
    table = tomllib.loads(files("qualia_lab.study").joinpath("metric_words.toml").read_text(encoding="utf-8"))
    by_words: dict[tuple[str, ...], Word] = {}
    for entry in _entries(table):
        if entry.words in by_words:
            raise ValueError(f"metric_words.toml: {' '.join(entry.words)!r} is a duplicate")
        by_words[entry.words] = entry
    grammar = table["grammar"]
    return Words(
        by_words=by_words,
        by_stems={tuple(map(stem, words)): entry for words, entry in reversed(by_words.items())},
        known=frozenset(word for words in by_words for word in words),
        stems=frozenset(stem(word) for words in by_words for word in words),
        longest=max(map(len, by_words)),
        whole=tuple(sorted(grammar["whole"], key=len, reverse=True)),
        edge=frozenset(grammar["edge"]),
        as_losses=frozenset(tuple(one.split()) for one in grammar["as_losses"]),
        each=frozenset(grammar["each"]),
        levels=frozenset(grammar["levels"]),
    )


def _entries(table: Mapping[str, Any]) -> Iterator[Word]:
    splits: tuple[Split, ...] = ("training", "validation", "test", "fold")
    for split in splits:
        yield from (Word(tuple(one.split()), "split", split=split) for one in table["splits"][split])
    for part in _GRAMMAR:
        yield from (Word(tuple(one.split()), part) for one in table["grammar"][part])
    for row in table["meaning"]:
        least, largest = (float(one) if one != "" else None for one in row.get("bounds", ("", "")))
        meaning = Meaning(
            role=row["role"],
            better=row.get("better"),
            bounds=(least, largest),
            loss=row.get("loss", False),
            partial=row.get("partial", False),
            plain=row.get("plain", False),
            weak=row.get("weak", False),
            counted=row.get("counted", False),
            change=row.get("change", ""),
            chance=row.get("chance"),
        )
        yield from (Word(tuple(one.split()), "meaning", meaning) for one in row["words"])
