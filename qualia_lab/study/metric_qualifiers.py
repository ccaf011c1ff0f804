"""The words of a metric's name that only say of what it is, when it was logged or against what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.study.metric_words import metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.study.metric_tokens import Token


def is_qualifier(token: Token) -> bool:
    """Whether a word says only of what the metric is."""
    return token.word.part == "unknown" or (token.role == "part" and token.plain)


def is_difference(words: Sequence[Token]) -> bool:
    """Whether a name starts as `delta_` does."""
    return len(words) > 1 and words[0].texts in (("delta",), ("diff",), ("difference",), ("gap",), ("change",))


def without_names_of_parts(words: list[Token]) -> list[Token]:
    """`ap_box` and `acc_class` without what they are of; where a loss is meant, that makes it a part."""
    meanings = [token.word.meaning for token in words if token.word.meaning]
    lossy = any(meaning.loss for meaning in meanings)
    if lossy or all(meaning.role == "part" for meaning in meanings):
        return words
    return [token for token in words if not (token.role == "part" and token.plain)]


def without_weak(words: list[Token]) -> list[Token]:
    """`loss/cifar` is a loss: a benchmark's name is a score only where nothing else is said."""
    strong = any(token.word.meaning and not (token.word.meaning.weak or token.plain) for token in words)
    return [token for token in words if not (strong and token.word.meaning and token.word.meaning.weak)]


def without_units(words: list[Token]) -> list[Token]:
    """`mae_horizon_3` and `acc_token` without what they are per; `return_norm`, which is normalised, without `norm`."""
    if len(words) > 1 and words[-1].role == "count":
        per = words[-1].texts in {(unit,) for unit in (*metric_words().each, "norm")}
        one_of_several = per or (words[-1].numbered and words[-1].plain)
        before = [token.word.meaning for token in words[:-1] if token.word.meaning]
        if one_of_several and before and before[-1].role == "objective" and not before[-1].plain:
            return words[:-1]
    return words


def connected(words: Sequence[Token]) -> tuple[list[Token], Sequence[Token]]:
    """The words before and from a connector on (`loss per token`); at the end `per` is the phoneme error rate."""
    for place, token in enumerate(words):
        said = any(one.word.meaning or one.word.part in ("units", "spans", "measures") for one in words[:place])
        if (said and token.word.part == "connectors") or (place and token.word.part == "comparators"):
            last = place == len(words) - 1 and token.texts == ("per",)
            return list(words[: place + last]), words[place:]
    return list(words), ()


def without_times(words: list[Token]) -> list[Token]:
    """`loss_epoch` is a loss and `step_time` a time, but `epoch`, and `time/epoch`, say how far a run is."""
    rest = [token for token in words if token.word.part != "times"]
    if not rest or len(rest) == len(words):
        return words
    last, before = words[-1], rest[-1]
    counts = last.word.part == "times" and before.role == "cost" and before.segment < last.segment
    return words if counts else rest
