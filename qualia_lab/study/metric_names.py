"""Read the name of a metric: its role, direction, split and family."""

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
    """What the name of a metric says.

    Attributes:
        role: the role of the metric.
        better: the direction; None if unknown.
        known: whether one of its words has a meaning.
        split: the split of the data, "" if the name has none.
        family: shared by metrics that measure the same on other data or at other thresholds.
        stem: the family with its numbers.
        bounds: the range of possible values; None if unbounded or unknown. A share may be logged in percent.
        chance: the value of a model that learned nothing.
        loss: whether it is used for training.
        partial: whether it measures one side only, as recall.
        qualifiers: how many words say what is measured (`f1_cats`), rather than what the metric is.
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
    """Read the key of a metric by the words of `metric_words.toml`.

    If no word has a known meaning, the role is objective, without a direction.

    Args:
        key: the key of a metric.

    Example:
        >>> read_name("val_auc").better
        'higher'
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
    """The split that a name contains, and its other words.

    The last split counts (`cv_train_score`), but a metric of a single fold (`fold_3_val_acc`) stays one unless it is of
    training data.
    """
    edge = metric_words().edge
    splits: list[Split] = []
    rest = []
    for place, token in enumerate(tokens):
        inside = 0 < place < len(tokens) - 1
        if token.word.part != "split" or len(tokens) == 1 or (inside and token.texts[0] in edge):
            rest.append(token)
        elif token.word.split == "fold" and not numbered:
            if token.texts == ("fold",):
                splits.append("validation")
            else:
                rest.append(token)
        else:
            splits.append(token.word.split)
    if "fold" in splits:
        return "training" if "training" in splits else "fold", rest
    return splits[-1] if splits else "", rest


def _family(tokens: Sequence[Token]) -> str:
    """The words of a name, without those about aggregation and the time of logging."""
    words = [token for token in tokens if token.word.part not in ("dropped", "times")]
    if len(words) > 1 and words[-1].word.words == ("score",) and words[-2].word.meaning:
        words = words[:-1]
    return " ".join(stem(text) for token in words for text in token.texts if text != "at")
