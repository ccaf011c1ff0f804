"""The meaning of a metric's name: decided by the last word with a meaning, which other words may modify."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.study.metric_polarity import (
    changed,
    is_direction_unknown,
    modified_by,
    with_changes_last,
    with_negations,
)
from qualia_lab.study.metric_qualifiers import (
    connected,
    is_amount_per_result,
    is_difference,
    is_qualifier,
    is_time_of_best,
    without_names_of_parts,
    without_times,
    without_units,
    without_weak,
)
from qualia_lab.study.metric_words import Meaning, metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.study.metric_tokens import Token

_COUNT = Meaning("count")
_SCORE = Meaning("objective", "higher", plain=True)
_LOSS = Meaning("objective", "lower", loss=True)
_PART = Meaning("part", "lower", loss=True)
_ERROR = Meaning("objective", "lower", (0.0, None))
_COST = Meaning("cost", "lower", (0.0, None))


def meaning_of(tokens: Sequence[Token]) -> tuple[Meaning | None, int]:
    """The meaning of the words of a metric's name.

    Args:
        tokens: the words in their order, without those that name splits.

    Returns:
        The meaning, None if unknown; and how many of the words only say what is measured.
    """
    whole = [token for token in with_negations(with_changes_last(tokens)) if token.word.part != "dropped"]
    words, behind = connected(whole)
    qualifiers = sum(is_qualifier(token) for token in words)
    if is_time_of_best(tokens):
        return _COUNT, qualifiers
    if is_amount_per_result(with_negations(tokens)):
        return None, qualifiers
    spread = [token for token in words if token.role == "spread" and not token.plain]
    if spread or (whole and whole[-1].role == "spread") or is_difference(words):
        return Meaning("spread"), qualifiers
    words = without_units(without_weak(without_names_of_parts(words)))
    meaning = _head(without_times(words))
    if meaning and is_direction_unknown(meaning, words, behind):
        meaning = replace(meaning, better=None)
    return meaning, qualifiers


def _head(words: list[Token]) -> Meaning | None:
    """The meaning of the last word that has one."""
    if words and words[-1].word.split == "fold":
        return (_head(words[:-1]) if words[:-1] else None) or _COUNT  # `mae_folds`
    if words and words[-1].word.part == "times":
        return _COUNT
    if any(token.word.part == "limits" for token in words):
        return None
    if words and "settings" in (words[0].word.part, words[-1].word.part):
        return _COUNT
    number = _number(words)
    if number is not None:
        rest = words[number + 1 :] or words[:number]
        counted = _head(rest)
        return counted if counted and counted.counted else _COUNT
    place = len(words)
    ending = ""
    while place and words[place - 1].word.part in ("units", "spans", "measures", "shares", "connectors"):
        place -= 1
        ending = ending or words[place].word.part
    if not place:
        return _alone(words)
    if words[place - 1].word.meaning is None:
        return _before_unknown(words, place)
    meaning = _in_its_place(words, place - 1)
    if ending in ("units", "spans") and words[place - 1].texts in (("size",), ("update",)):
        return _COST
    if words[-1].word.words == ("score",) and meaning.role == "cost":
        return replace(meaning, better=None)
    indexed = words[-1].texts == ("index",) and (meaning.role == "cost" or meaning.loss)
    if indexed or (ending == "shares" and meaning.role == "cost"):
        return _COUNT
    return meaning


def _number(words: Sequence[Token]) -> int | None:
    """The index of a word for a count; `count` is one at the end only: `count_mae` is an error of counting."""
    places = [place for place, token in enumerate(words) if token.word.part == "numbers"]
    return next((at for at in places if at == len(words) - 1 or words[at].texts not in (("count",), ("cnt",))), None)


def _alone(words: Sequence[Token]) -> Meaning | None:
    """The meaning of words that usually follow another: a score, an error (`l1`, or `per` for phonemes), a time."""
    if not words:
        return None
    if words[-1].word.words == ("score",):
        return _score(words)
    if words[-1].texts in (("per",), ("l1",), ("l2",)):
        return _ERROR
    return _COST if _timed(words) or any(token.word.part == "spans" for token in words) else None


def _score(words: Sequence[Token]) -> Meaning | None:
    """A score of something unknown; None if negated."""
    return None if any(token.word.part in ("flips", "negations", "wrongs") for token in words) else _SCORE


def _timed(words: Sequence[Token]) -> bool:
    """Whether one of the words is a unit; single letters after an unknown word do not count."""
    return any(token.word.part == "units" and len(token.texts[0]) > 1 for token in words)


def _before_unknown(words: Sequence[Token], place: int) -> Meaning | None:
    """The meaning if the word at `place - 1`, before units and measures, is unknown."""
    if place < len(words) and words[place].word.words == ("score",):
        return _score(words)
    timed = _timed(words[place:])
    known = next((at for at in range(place - 1, -1, -1) if words[at].word.meaning), None)
    if known is None:
        scored = next((token for token in words[:place] if token.word.words == ("score",)), None)
        if scored and scored.segment < words[place - 1].segment:
            return _SCORE
        return _COST if timed else None
    meaning = _in_its_place(words, known)
    if words[known].segment < words[known + 1].segment:
        return meaning  # `reward/walker`: a part of the path that says what is measured
    if meaning.role == "cost":
        return meaning if timed else replace(meaning, better=None)
    everyday = meaning.plain and len(words[known].texts) == 1 and not (known and meaning.change)
    return None if everyday or meaning.role == "spread" else meaning


def _in_its_place(words: Sequence[Token], place: int) -> Meaning:
    """The meaning of one word, modified by the words before it."""
    token, before = words[place], words[:place]
    meaning = token.word.meaning
    assert meaning is not None
    if meaning.change:
        return changed(meaning, before)
    if meaning.role == "objective" and meaning.better is None and before:
        of = before[-1].word.meaning  # `hamming_distance`, whose own word has no direction
        return of if of and of.better == "lower" and of.role == "objective" and not (of.plain or of.loss) else meaning
    if meaning.role == "objective" and meaning.loss and before and before[-1].role == "part":
        return _PART
    for other in before:
        if other.texts[-1] != "loss":
            continue
        if meaning.role == "part":
            return _PART
        turned = token.texts in metric_words().as_losses
        if meaning.role == "objective" and (other.segment == token.segment or turned):
            return _LOSS if turned or meaning.better == "lower" else replace(meaning, better=None)
    return modified_by(before, token, meaning)
