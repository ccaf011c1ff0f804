"""Scorers: what kind of values each one gives, judged by all of its values, and which direction is better."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ScorerKind = Literal["binary", "number", "category", "mixed"]

# Words of judges that say themselves what is better, and those of them that are good.
_GOOD = frozenset({"pass", "passed", "correct", "good", "acceptable", "safe", "relevant", "grounded", "helpful"})
_BAD = frozenset(
    {"fail", "failed", "incorrect", "bad", "unacceptable", "unsafe", "irrelevant", "ungrounded", "unhelpful"}
)
_YES, _NO = _GOOD | {"true", "yes"}, _BAD | {"false", "no"}
_BY_USER, _BY_NAME = "set by the user", "by its name"
# MLflow's rating of a judge whose answer could not be read (mlflow.genai.judges, CategoricalRating.UNKNOWN).
UNDECIDED = "unknown"
# `is_toxic` is judged by `toxic`.
_ASKS = re.compile(r"^(?:is|are|was|were|has|have|does)[_\s-]+", re.IGNORECASE)
# A name that asks whether something occurs does not say whether that is good.
_OCCURS = re.compile(
    r"(?i)^(?:has|have|contains?|mentions?|includes?|uses?|detects?|triggers?|asks?|calls?)[_\s-]|"
    r"(?:^|[_\s-])(?:detected|found|present|refus\w*|hallucinat\w*|bias\w*|frustrat\w*|jailbreak\w*|pii|leak\w*)(?:$|[_\s-])"
)


@dataclass(frozen=True)
class Scorer:
    """What the values of one scorer are.

    Attributes:
        name: its name.
        kind: binary (true or false, yes or no, pass or fail, 0 or 1), number, category, or mixed.
        greater_is_better: whether a higher value, or true, is better; None if unknown.
        why: where the direction is from, or why it is unknown.
        words: how many values each word or type has, for the reader; the most frequent first.
    """

    name: str
    kind: ScorerKind
    greater_is_better: bool | None
    why: str
    words: tuple[tuple[str, int], ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether its name or the user says what is better."""
        return self.why in (_BY_NAME, _BY_USER)

    def number(self, value: Any) -> float | None:
        """The value as a number, 1 for true; None where it is none, as for categories and undecided judges."""
        if self.kind == "binary":
            word = _word(value)
            return 1.0 if word in _YES or word == "1" else 0.0 if word in _NO or word == "0" else None
        return _number(value) if self.kind == "number" else None

    def better(self, change: float) -> bool | None:
        """Whether such a change of the value is an improvement; None if the direction is unknown or nothing changed."""
        return None if self.greater_is_better is None or not change else (change > 0) == self.greater_is_better


def read_scorers(values: Mapping[str, Iterable[Any]], better: Mapping[str, bool] | None = None) -> dict[str, Scorer]:
    """Describe scorers by their values.

    Args:
        values: all values of each scorer, by its name; None values are ignored.
        better: whether higher is better for some scorers, as the user said.

    Returns:
        The scorers, sorted by name.
    """
    return {name: _scorer(name, list(values[name]), better or {}) for name in sorted(values)}


def is_undecided(value: Any) -> bool:
    """Whether a judge gave no answer that can be used: MLflow's rating `unknown`."""
    return isinstance(value, str) and value.strip().lower() == UNDECIDED


def _scorer(name: str, values: list[Any], better: Mapping[str, bool]) -> Scorer:
    known = [value for value in values if value is not None and not is_undecided(value)]
    counts: dict[str, int] = {}
    for value in known:
        word = _word(value)
        counts[word] = counts.get(word, 0) + 1
    words = tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    kind = _kind(known, counts)
    if name in better:
        return Scorer(name, kind, better[name], _BY_USER, words)
    greater, why = _direction(name, kind, counts)
    return Scorer(name, kind, greater, why, words)


def _kind(values: list[Any], counts: Mapping[str, int]) -> ScorerKind:
    if counts.keys() <= _YES | _NO | {"0", "1"}:
        return "binary"
    if all(_number(value) is not None for value in values):
        return "number"
    return "category" if all(isinstance(value, str) for value in values) else "mixed"


def _direction(name: str, kind: ScorerKind, counts: Mapping[str, int]) -> tuple[bool | None, str]:
    if kind in ("category", "mixed"):
        return None, "its values have no order" if kind == "category" else "its values are of several kinds"
    if kind == "binary" and counts and counts.keys() <= _GOOD | _BAD:
        return True, "its values say so"
    for asked in dict.fromkeys((name, _ASKS.sub("", name))):
        meaning = read_name(asked).better
        if meaning is not None:
            return meaning == "higher", _BY_NAME
    if kind == "number" or counts.keys() <= {"0", "1"}:
        return None, "its name does not say whether higher is better"
    if _OCCURS.search(name):
        return None, "its name does not say whether true is better"
    return True, "true and yes count as passed, as in MLflow"


def _word(value: Any) -> str:
    """A value as a word: `true`, `yes`, `1`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if value in (0, 1) else "number"
    return value.strip().lower() if isinstance(value, str) else type(value).__name__


def _number(value: Any) -> float | None:
    """A finite number, also one in a text or a bool."""
    if not isinstance(value, bool | int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
