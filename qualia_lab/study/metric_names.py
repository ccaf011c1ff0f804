"""Read the name of a metric: its role, direction, split and family."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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

# The key of a series of a model, see `stores/metric_series.py`, and what is named in brackets.
_OF_MODEL = re.compile(r"(?P<key>.+) \((?:(?P<dataset>.+), )?model (?P<model>.+)\)(?: \d+)?", re.DOTALL)
_OF_DATASET = re.compile(r"(?P<key>.+) \([^()]+\)(?: \d+)?", re.DOTALL)


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

    If no word has a known meaning, the role is objective, without a direction. Of `accuracy (valid, model loss-net)`,
    the words of the model say nothing on the metric.

    Args:
        key: the key of a metric.

    Example:
        >>> read_name("val_auc").better
        'higher'
    """
    if key.startswith(SYSTEM_METRICS):
        return MetricName("machine", None, known=True, split="", family=key, stem=key)
    if of_model := _OF_MODEL.fullmatch(key):
        named, dataset, model = of_model.group("key", "dataset", "model")
        name = read_name(f"{named} ({dataset})" if dataset else named)
        family, stem_of_all = (f"{words} {model.lower()}" for words in (name.family, name.stem))
        return replace(name, family=family, stem=stem_of_all, qualifiers=name.qualifiers + 1)
    name = _read_words(key)
    in_brackets = _OF_DATASET.fullmatch(key)
    before = _read_words(in_brackets["key"]) if in_brackets else name
    # A dataset such as `errors` has a meaning, too; a spread or a count in brackets changes that of the metric.
    if before.known and name.role not in ("spread", "count"):
        return replace(before, split=name.split, family=name.family, stem=name.stem, qualifiers=name.qualifiers)
    return name


def stored_key(key: str) -> str:
    """The key of MLflow that the key of a series begins with: `accuracy` of `accuracy (valid)`; else the key."""
    found = _OF_MODEL.fullmatch(key) or _OF_DATASET.fullmatch(key)
    return found["key"] if found else key


def _read_words(key: str) -> MetricName:
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
