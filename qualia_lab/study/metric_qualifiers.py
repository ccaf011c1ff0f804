"""Words of a metric's name that only say what is measured, when it was logged, or what it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.study.metric_words import metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.study.metric_tokens import Token


def is_qualifier(token: Token) -> bool:
    """Whether a word only says what is measured."""
    return token.word.part == "unknown" or (token.role == "part" and token.plain)


def is_amount_per_result(tokens: Sequence[Token]) -> bool:
    """Whether a name says how much of something there is for a result: `turns_to_success`, `km_per_intervention`.

    More of it may be good (`days_to_failure`) or bad.
    """
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token.texts in (("to",), ("until",), ("per",)) and after.better:
            preceding = tokens[: tokens.index(before) + 1]
            return all(other.word.meaning is None or other.role == "count" for other in preceding)
    return False


def is_time_of_best(tokens: Sequence[Token]) -> bool:
    """Whether a name says when a metric was best: `best_auc_epoch`."""
    extreme = len(tokens) > 2 and tokens[0].texts in (("best",), ("max",), ("min",))
    return extreme and tokens[-1].word.part == "times" and not tokens[-1].numbered


def is_difference(words: Sequence[Token]) -> bool:
    """Whether a name starts like `delta_`."""
    return len(words) > 1 and words[0].texts in (("delta",), ("diff",), ("difference",), ("gap",), ("change",))


def without_names_of_parts(words: list[Token]) -> list[Token]:
    """`ap_box` and `acc_class` without the names of parts; for losses they are kept, and make it a part."""
    meanings = [token.word.meaning for token in words if token.word.meaning]
    lossy = any(meaning.loss for meaning in meanings)
    if lossy or all(meaning.role == "part" for meaning in meanings):
        return words
    return [token for token in words if not (token.role == "part" and token.plain)]


def without_weak(words: list[Token]) -> list[Token]:
    """Drop the names of benchmarks if another word has a meaning: `loss/cifar` is a loss."""
    strong = any(token.word.meaning and not (token.word.meaning.weak or token.plain) for token in words)
    return [token for token in words if not (strong and token.word.meaning and token.word.meaning.weak)]


def without_units(words: list[Token]) -> list[Token]:
    """`mae_horizon_3`, `acc_eps8` and `acc_token` without it; `return_norm`, which is normalised, without `norm`."""
    if len(words) > 1 and words[-1].role == "count":
        per = words[-1].texts in {(unit,) for unit in (*metric_words().each, "norm")}
        level = words[-1].plain or words[-1].texts[-1] in metric_words().levels
        one_of_several = per or (words[-1].numbered and level)
        before = [token.word.meaning for token in words[:-1] if token.word.meaning]
        if one_of_several and before and before[-1].role == "objective" and not before[-1].plain:
            return words[:-1]
    return words


def connected(words: Sequence[Token]) -> tuple[list[Token], Sequence[Token]]:
    """The words before a connector (`loss per token`), and the rest; a final `per` is the phoneme error rate."""
    for place, token in enumerate(words):
        known = any(other.word.meaning or other.word.part in ("units", "spans", "measures") for other in words[:place])
        if (known and token.word.part == "connectors") or (place and token.word.part == "comparators"):
            last = place == len(words) - 1 and token.texts == ("per",)
            return list(words[: place + last]), words[place:]
    return list(words), ()


def without_times(words: list[Token]) -> list[Token]:
    """Drop words for the time of logging: `loss_epoch` is a loss; but `epoch` and `time/epoch` are counts."""
    rest = [token for token in words if token.word.part != "times"]
    if not rest or len(rest) == len(words):
        return words
    last, before = words[-1], rest[-1]
    counts = last.word.part == "times" and before.role == "cost" and before.segment < last.segment
    return words if counts else rest
