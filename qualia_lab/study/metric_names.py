"""What the name of a metric says: its role, its direction, its split, its family."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.study.metric_meaning import meaning_of
from qualia_lab.study.metric_tokens import tokens_of
from qualia_lab.study.metric_words import metric_words, stem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.study.metric_tokens import Token
    from qualia_lab.study.metric_words import Bounds
    from qualia_lab.study.settings import Better, MetricRole
    from qualia_lab.study.study import Split


@dataclass(frozen=True)
class MetricName:
    """What a name says of its metric.

    known: whether a word of it has a meaning.  family: what it shares with metrics that measure the same on other data
    or at other thresholds.  stem: the family with its numbers.  bounds: what the metric can be; None where that has no
    end or is not known; a share may be logged in percent.  chance: its value where nothing was learned.  loss: what is
    trained on.  partial: one side only, as recall.  qualifiers: how many words say of what it is (`f1_cats`), not what
    it is.
    """

    role: MetricRole
    better: Better | None
    known: bool
    split: Split
    family: str
    stem: str
    bounds: Bounds = (None, None)
    chance: float | None = None
    loss: bool = False
    partial: bool = False
    qualifiers: int = 0


@lru_cache(maxsize=65536)
def read_name(key: str) -> MetricName:
    """What the words of a metric's key mean, by `metric_words.toml`.

    Where the last word that carries a meaning cannot be told, the role is objective and no direction is claimed.
    """
    if key.startswith(SYSTEM_METRICS):
        return MetricName("machine", None, known=True, split="", family=key, stem=key)
    tokens, numbers = tokens_of(key)
    split, rest = _without_split(tokens, bool(numbers))
    meaning, qualifiers = meaning_of(rest)
    family = _family(rest) or _family(tokens) or key.lower()
    return MetricName(
        role="objective" if meaning is None else meaning.role,
        better=None if meaning is None else meaning.better,
        known=meaning is not None,
        split=split,
        family=family,
        stem=" ".join((family, *(() if split == "fold" else numbers))),
        bounds=(None, None) if meaning is None else meaning.bounds,
        chance=None if meaning is None else meaning.chance,
        loss=meaning is not None and meaning.loss,
        partial=meaning is not None and meaning.partial,
        qualifiers=qualifiers,
    )


def _without_split(tokens: Sequence[Token], numbered: bool) -> tuple[Split, list[Token]]:
    """The split that a name tells, and its other words.

    The last one counts (`cv_train_score`), but one fold stays a fold (`fold_3_val_acc`) where it is not of training.
    """
    edge = metric_words().edge
    found: list[Split] = []
    rest = []
    for place, token in enumerate(tokens):
        inside = 0 < place < len(tokens) - 1
        if token.word.part != "split" or len(tokens) == 1 or (inside and token.texts[0] in edge):
            rest.append(token)
        elif token.word.split == "fold" and not numbered:
            if token.texts == ("fold",):
                found.append("validation")
            else:
                rest.append(token)
        else:
            found.append(token.word.split)
    if "fold" in found:
        return "training" if "training" in found else "fold", rest
    return found[-1] if found else "", rest


def _family(tokens: Sequence[Token]) -> str:
    """The words of a name but those that say how values were brought together and when they were logged."""
    words = [token for token in tokens if token.word.part not in ("dropped", "times")]
    if len(words) > 1 and words[-1].word.words == ("score",) and words[-2].word.meaning:
        words = words[:-1]
    return " ".join(stem(text) for token in words for text in token.texts if text != "at")
