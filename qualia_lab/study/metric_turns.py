"""Words that turn a direction round (`non_compliance`, `false_match`, `error_reduction`), or leave it open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.study.metric_words import Meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.study.metric_tokens import Token
    from qualia_lab.study.settings import Better


def with_changes_last(tokens: Sequence[Token]) -> list[Token]:
    """`drop in accuracy` as `accuracy drop`."""
    head = tokens[0].word.meaning if len(tokens) > 2 else None
    if head and (head.change or head.role == "spread") and tokens[1].texts in (("in",), ("of",)):
        return [*tokens[2:], tokens[0]]
    return list(tokens)


def with_negations(tokens: Sequence[Token]) -> list[Token]:
    """The tokens; what stands behind `non` is turned round, behind `false` what is good is bad."""
    found: list[Token] = []
    for token in reversed(tokens):
        behind = found[-1].word.meaning if found else None
        negates = token.word.part == "negations" or (
            token.word.part == "wrongs" and behind is not None and behind.better == "higher"
        )
        if negates and behind and behind.role == "objective" and behind.better:
            found[-1] = replace(
                found[-1], word=replace(found[-1].word, meaning=_opposite(behind)), texts=token.texts + found[-1].texts
            )
        elif not (token.word.part == "wrongs" and behind and behind.better == "lower"):
            found.append(token)
    return found[::-1]


def changed(meaning: Meaning, before: Sequence[Token]) -> Meaning:
    """`loss_improvement` and `latency_reduction` are better higher; `reward_reduction` claims nothing."""
    of = next((token.word.meaning for token in reversed(before) if token.word.meaning), None)
    if of is not None and of.role not in ("objective", "cost"):
        return Meaning("spread")
    if meaning.change == "gain":
        return meaning
    return meaning if of is not None and of.better == "lower" else Meaning("spread")


def turned_by(before: Sequence[Token], token: Token, meaning: Meaning) -> Meaning:
    """The meaning of a word, turned by a `neg` before it; open where words before it say the opposite.

    `neg_` before an error turns it round; before a share it names the negative class; else nothing is claimed.
    """
    flips = [place for place, one in enumerate(before) if one.word.part == "flips"]
    if flips:
        between = before[flips[-1] + 1 :]
        if all(one.better == "lower" for one in between):
            return _flipped(meaning)
        return replace(meaning, better=None)
    against = [one for one in before if one.better not in (None, meaning.better)]
    near = [one for one in against if one.segment == token.segment or _is_reward(one)]
    if meaning.role == "cost":
        return _of_cost(before, token, meaning, near)
    setting = meaning.plain and any(_is_setting(one) for one in before)  # `lr/bias`
    if meaning.role == "objective" and ((near and _is_doubtful(before, token, meaning, near)) or setting):
        return replace(meaning, better=None)
    return meaning


def _of_cost(before: Sequence[Token], token: Token, meaning: Meaning, near: Sequence[Token]) -> Meaning:
    """A cost; `errors per hour` are errors, `failure_time` may be the time to it, `reward/air_time` is of a reward."""
    if token.texts[0] == "per":
        directed = [one.word.meaning for one in before if one.word.meaning and one.word.meaning.better]
        return directed[-1] if directed else meaning
    failing = token.texts[-1] in ("time", "duration") and any(one.better == "lower" for one in before)
    return replace(meaning, better=None) if failing or any(map(_is_reward, near)) else meaning


def is_open(meaning: Meaning, words: Sequence[Token], behind: Sequence[Token]) -> bool:
    """Whether which way is better cannot be told: an attacker's success, an error's inverse, the time to a failure."""
    if meaning.role == "objective":
        inverse = meaning.better == "lower" and words[-1].word.part == "flips"
        turned = {token.better for token in behind} - {None, meaning.better}
        into = bool(turned) and behind[0].texts == ("to",)  # `wer_to_accuracy`
        return inverse or into or any(token.word.part == "sides" for token in words)
    return meaning.role == "cost" and any(token.better == "lower" for token in behind)


def _is_doubtful(before: Sequence[Token], token: Token, meaning: Meaning, near: Sequence[Token]) -> bool:
    """Whether a word may only say of what the opposite before it is: `mae_hr`, an error of a rate."""
    if meaning.plain:
        return True
    if before[-1] not in near:
        return False
    if meaning.better == "lower":
        # `accuracy_error` may be of a class that is called so, `tpr_fpr` at a false positive rate
        return meaning.counted or meaning.bounds == (0.0, 1.0)
    return meaning.chance is not None or not (before[-1].plain or token.texts[-1] in ("acc", "accuracy"))


def _is_setting(token: Token) -> bool:
    meaning = token.word.meaning
    return meaning is not None and meaning.role == "count" and not (meaning.plain or meaning.weak)


def _is_reward(token: Token) -> bool:
    """Whether it is a reward, whose terms are penalties too."""
    return any(text.removesuffix("s") in ("reward", "rew") for text in token.texts)


def _flipped(meaning: Meaning) -> Meaning:
    if meaning.better == "lower" and meaning.role == "objective":
        least, largest = meaning.bounds
        turned = (None if largest is None else -largest, None if least is None else -least)
        return replace(meaning, better="higher", bounds=turned)
    return meaning if meaning.partial or meaning.better is None else replace(meaning, better=None)


def _opposite(meaning: Meaning) -> Meaning:
    """What is left of a share; of anything else, the direction alone."""
    better: Better = "lower" if meaning.better == "higher" else "higher"
    bounds = meaning.bounds if meaning.bounds == (0.0, 1.0) else (None, None)
    return replace(meaning, better=better, bounds=bounds, loss=False, chance=None)
