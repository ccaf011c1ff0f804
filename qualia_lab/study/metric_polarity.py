"""Words that reverse a direction (`non_compliance`, `false_match`, `error_reduction`), or make it unknown."""

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
    """Apply negations: what follows `non` is reversed; after `false`, what is good becomes bad."""
    done: list[Token] = []
    for token in reversed(tokens):
        following = done[-1].word.meaning if done else None
        negates = token.word.part == "negations" or (
            token.word.part == "wrongs" and following is not None and following.better == "higher"
        )
        if negates and following and following.role == "objective" and following.better:
            done[-1] = replace(
                done[-1],
                word=replace(done[-1].word, meaning=_opposite(following)),
                texts=token.texts + done[-1].texts,
            )
        elif not (token.word.part == "wrongs" and following and following.better == "lower"):
            done.append(token)
    return done[::-1]


def changed(meaning: Meaning, before: Sequence[Token]) -> Meaning:
    """`loss_improvement` and `latency_reduction` are better higher; for `reward_reduction` the direction is unknown."""
    changed_meaning = next((token.word.meaning for token in reversed(before) if token.word.meaning), None)
    if changed_meaning is not None and changed_meaning.role not in ("objective", "cost"):
        return Meaning("spread")
    if meaning.change == "gain":
        return meaning
    return meaning if changed_meaning is not None and changed_meaning.better == "lower" else Meaning("spread")


def modified_by(before: Sequence[Token], token: Token, meaning: Meaning) -> Meaning:
    """The meaning of a word, reversed by a `neg` before it; without a direction if words before it contradict it.

    `neg_` before an error reverses it; before a share it names the negative class; otherwise the direction is unknown.
    """
    flips = [place for place, other in enumerate(before) if other.word.part == "flips"]
    if flips:
        between = before[flips[-1] + 1 :]
        if all(other.better == "lower" for other in between):
            return _flipped(meaning)
        return replace(meaning, better=None)
    against = [other for other in before if other.better not in (None, meaning.better)]
    near = [other for other in against if other.segment == token.segment or _is_reward(other)]
    if meaning.role == "cost":
        return _of_cost(before, token, meaning, near)
    setting = meaning.plain and any(_is_setting(other) for other in before)  # `lr/bias`
    if meaning.role == "objective" and ((near and _is_doubtful(before, token, meaning, near)) or setting):
        return replace(meaning, better=None)
    return meaning


def _of_cost(before: Sequence[Token], token: Token, meaning: Meaning, near: Sequence[Token]) -> Meaning:
    """A cost; but `errors per hour` are errors, `failure_time` may be the time to one, `reward/air_time` a reward."""
    if token.texts[0] == "per":
        directed = [other.word.meaning for other in before if other.word.meaning and other.word.meaning.better]
        return directed[-1] if directed else meaning
    failing = token.texts[-1] in ("time", "duration") and any(other.better == "lower" for other in before)
    return replace(meaning, better=None) if failing or any(map(_is_reward, near)) else meaning


def is_direction_unknown(meaning: Meaning, words: Sequence[Token], behind: Sequence[Token]) -> bool:
    """Whether the direction is unknown: an attacker's success, the inverse of an error, the time to a failure."""
    if meaning.role == "objective":
        inverse = meaning.better == "lower" and words[-1].word.part == "flips"
        turned = {token.better for token in behind} - {None, meaning.better}
        into = bool(turned) and behind[0].texts == ("to",)  # `wer_to_accuracy`
        return inverse or into or any(token.word.part == "sides" for token in words)
    between = bool(behind) and behind[0].texts == ("between",)  # `time_between_interventions`
    return meaning.role == "cost" and (between or any(token.better == "lower" for token in behind))


def _is_doubtful(before: Sequence[Token], token: Token, meaning: Meaning, near: Sequence[Token]) -> bool:
    """Whether a word may only say what the opposite word before it measures: `mae_hr`, an error of a rate."""
    if meaning.plain:
        return True
    if before[-1] not in near:
        return False
    if meaning.better == "lower":
        # `accuracy_error` may be of a class with that name, `tpr_fpr` at a false positive rate
        return meaning.counted or meaning.bounds == (0.0, 1.0)
    return meaning.chance is not None or not (before[-1].plain or token.texts[-1] in ("acc", "accuracy"))


def _is_setting(token: Token) -> bool:
    meaning = token.word.meaning
    return meaning is not None and meaning.role == "count" and not (meaning.plain or meaning.weak)


def _is_reward(token: Token) -> bool:
    """Whether it is a reward, whose terms include penalties."""
    return any(text.removesuffix("s") in ("reward", "rew") for text in token.texts)


def _flipped(meaning: Meaning) -> Meaning:
    if meaning.better == "lower" and meaning.role == "objective":
        least, largest = meaning.bounds
        flipped_bounds = (None if largest is None else -largest, None if least is None else -least)
        return replace(meaning, better="higher", bounds=flipped_bounds)
    return meaning if meaning.partial or meaning.better is None else replace(meaning, better=None)


def _opposite(meaning: Meaning) -> Meaning:
    """One minus a share; of anything else, only the direction is reversed."""
    better: Better = "lower" if meaning.better == "higher" else "higher"
    bounds = meaning.bounds if meaning.bounds == (0.0, 1.0) else (None, None)
    return replace(meaning, better=better, bounds=bounds, loss=False, chance=None)
