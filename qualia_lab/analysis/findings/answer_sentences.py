"""Sentences of the answer: the leading configuration, rivals it is not distinguishable from, power, and next step."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import stdev
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import MOST_NAMED, Number, n_text, number
from qualia_lab.analysis.findings.naming import listed_whole
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.groups import Group

_MOST_MORE = 10  # additional repeats per configuration; more than that is not worth advising
_SHORT = 80  # characters of names that are repeated in a sentence
_SEEDS = 3  # suggested runs for a configuration that ran once, to measure its spread


@dataclass(frozen=True)
class AnswerText:
    """A sentence, the next step, and the runs that the sentence is about."""

    sentence: str
    next: str
    run_ids: tuple[str, ...] = ()


@dataclass
class SentenceWriter:
    """Names of configurations for a sentence, and the numbers written into it, unrounded."""

    metric: str
    names: Mapping[str, str]
    numbers: list[Number] = field(default_factory=list)

    def number(self, what: str, value: float, run_id: str = "") -> str:
        """Record a number and return it as text."""
        self.numbers.append(Number(what, value, run_id))
        return number(value)

    def n(self, group: Group) -> str:
        """`n = 5`, with the number of runs that it excludes."""
        self.numbers.append(Number("n", len(group.values)))
        return n_text(group)

    def value(self, group: Group) -> str:
        """`0.91 (n = 5)`; for a single run its value only."""
        assert group.mean is not None
        if len(group.run_ids) == 1:
            return self.number("value", group.mean, group.scored[0])
        return f"{self.number('mean', group.mean)} ({self.n(group)})"

    def name(self, group: Group) -> str:
        """The name of a configuration."""
        return self.names[group.run_ids[0]]

    def listed(self, groups: Sequence[Group]) -> str:
        """The names of several configurations as one text."""
        return listed_whole(groups, self.names)

    def first_two(self, groups: Sequence[Group]) -> str:
        """The names of the first two configurations, or `the first two` if these are long."""
        names = listed_whole(groups[:2], self.names)
        return names if len(names) <= _SHORT else "the first two"


def describe_answer(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """Describe the ranking of the configurations of one task in a sentence."""
    if len(answer.groups) == 1:
        return _single_run(writer, answer) if len(answer.leader.values) == 1 else _one_configuration(writer, answer)
    if all_equal(answer):
        return _equal_values(writer, answer)
    if answer.found is None:
        return _unrepeated(writer, answer)
    if answer.found.how == "alike":
        return _identical_repeats(writer, answer)
    if not answer.apart:
        return _no_clear_leader(writer, answer)
    return _several_leaders(writer, answer) if answer.level else _clear_leader(writer, answer)


def mentioned_groups(answer: Answer) -> list[Group]:
    """The configurations that a sentence may name."""
    ties = [group for group in answer.groups if group.mean == answer.leader.mean][: MOST_NAMED + 1]
    repeated = [group for group in answer.groups if len(group.values) > 1 and answer.found is None]
    return [
        *answer.groups[:2],
        *better_single_runs(answer)[:1],
        *answer.level[: MOST_NAMED + 1],
        *answer.apart[:1],
        *ties,
        *repeated,
    ]


def all_equal(answer: Answer) -> bool:
    """Whether all runs have the same value."""
    return len({value for group in answer.groups for value in group.values}) == 1


def _single_run(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for a single run."""
    sentence = (
        f"{writer.metric} is {writer.value(answer.leader)} in the only run that has it: there is nothing to compare it "
        "with."
    )
    next_step = f"Run {_SEEDS - 1} more seeds to see how far it varies, and a baseline to compare it with."
    return AnswerText(sentence, next_step, answer.leader.scored)


def _one_configuration(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for one configuration with several runs, which are repeats rather than rivals."""
    group = answer.leader
    assert group.mean is not None
    bounds = f"{_interval_text(writer, answer)}, " if answer.interval else ""
    sentence = (
        f"There is one configuration: its mean {writer.metric} is {writer.number('mean', group.mean)} ({bounds}"
        f"{writer.n(group)}), with a standard deviation of {writer.number('standard deviation', stdev(group.values))} "
        "between runs. They are repeats, not rivals: which of them is best is luck."
    )
    next_step = (
        "Report the mean with its interval. To compare it with another configuration, run that with the same seeds."
    )
    return AnswerText(sentence, next_step, group.scored)


def _equal_values(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for values that are all equal."""
    value = writer.number("value", answer.leader.values[0])
    which = "both" if len(answer.groups) == 2 else f"all {len(answer.groups):,}"
    sentence = f"No configuration leads: {writer.metric} is {value} in {which} that have it."
    return AnswerText(sentence, f"Choose by a metric other than {writer.metric}, or measure it on harder data.")


def _unrepeated(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for tasks in which fewer than two configurations ran more than once."""
    leader, second = answer.leader, answer.groups[1]
    ties = [group for group in answer.groups if group.mean == leader.mean]
    repeated = [group for group in answer.groups if len(group.values) > 1]
    others = len(answer.groups) - 1
    if len(ties) > 1:
        first = f"{writer.listed(ties)} have the best {writer.metric}, {writer.value(leader)}"
    else:
        first = f"{writer.name(leader)} has the best {writer.metric}, {writer.value(leader)}"
        first += f"; next is {writer.name(second)} with {writer.value(second)}"
    if not repeated:
        all_of_them = "Both" if others == 1 else f"All {others + 1:,}"
        luck = f"{all_of_them} configurations ran once, so it is unknown how much of that is luck"
    else:
        once = "the other" if others == 1 else f"the other {others:,}"
        luck = (
            f"Only {writer.name(repeated[0])} ran more than once, {once} ran once: too few to tell whether that is luck"
        )
        if len(repeated) > 1:
            which = (
                "Both" if len(repeated) == others + 1 == 2 else f"{len(repeated):,} of {others + 1:,} configurations"
            )
            luck = f"{which} ran more than once, too few times to tell whether that is luck"
        luck += _widest_range_clause(writer, repeated, difference(leader, second))
    next_step = (
        f"Before choosing, run {_SEEDS} seeds of each of {writer.first_two(ties if len(ties) > 1 else answer.groups)}."
    )
    return AnswerText(f"{first}. {luck}.", next_step, _scored_run_ids(ties))


def _widest_range_clause(writer: SentenceWriter, repeated: Sequence[Group], lead: float) -> str:
    """The largest range between repeats of one configuration, if it exceeds the lead; "" otherwise."""
    widest = max(repeated, key=lambda group: max(group.values) - min(group.values))
    apart = max(widest.values) - min(widest.values)
    if not apart > lead > 0:
        return ""
    which = f"the {len(widest.values):,} included runs of {writer.name(widest)}"
    if len(repeated) == 1:
        which = f"its {len(widest.values):,} included runs"
    return f"; {which} differ by {writer.number('range', apart)}, the lead is {writer.number('lead', lead)}"


def _identical_repeats(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for repeats that do not vary at all."""
    leader, second = answer.leader, answer.groups[1]
    sentence = (
        f"{writer.name(leader)} has the best {writer.metric}, {writer.value(leader)}; next is {writer.name(second)} "
        f"with {writer.value(second)}. All repeats of a configuration gave the same value, so it is unknown how much "
        "of that is luck."
    )
    next_step = "Check that the seed has an effect; to see how far results vary, repeat on other splits of the data."
    return AnswerText(sentence, next_step, leader.scored)


def _clear_leader(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for a leader that is distinguishable from all configurations it was compared with."""
    leader, second = answer.leader, answer.groups[1]
    by = f"better by {writer.number('difference', difference(leader, second))} than"
    rivals, others = f"{writer.name(second)}, {writer.value(second)}", "the other"
    if len(answer.apart) == 1:
        comparison = f"{by} {rivals}, which is more than luck"
    else:
        rivals_text = "both" if len(answer.apart) == 2 else f"all {len(answer.apart):,}"
        comparison = f"{by} the next, {rivals}, and distinguishable from {rivals_text}"
        others = "the others"
    among = " those that ran more than once" if answer.single_runs else ""
    sentence = (
        f"{writer.name(leader)} leads{among}: {_leader_mean(writer, answer)}, "
        f"{comparison}{_single_runs_clause(writer, answer)}."
    )
    next_step = f"Take {writer.name(leader)}: no more runs are needed to tell it apart from {others}."
    better = better_single_runs(answer)
    if better:
        next_step = f"Before choosing, run {_SEEDS} seeds of {writer.name(better[0])}."
    return AnswerText(sentence, next_step, leader.scored)


def _several_leaders(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for a leader that is distinguishable from some rivals only."""
    lead = [answer.leader, *answer.level]
    nearest, several = answer.apart[0], len(answer.apart) > 1
    gap = writer.number("difference", difference(answer.leader, nearest))
    rivals = f"the other {len(answer.apart):,}, the nearest {writer.name(nearest)}" if several else writer.name(nearest)
    beyond = f"by {gap}{' or more' if several else ''} and by more than luck, than {rivals}"
    if len(lead) <= MOST_NAMED:
        level = f"{writer.value(answer.level[0])} of the {'second' if len(lead) == 2 else 'next'}"
        first = (
            f"{writer.listed(lead)} lead and cannot be told apart: {_leader_mean(writer, answer)} of the first, {level}"
        )
        first += f". The first is better, {beyond}"
    else:
        level = f"{len(answer.level):,} others, next {writer.name(answer.level[0])}, {writer.value(answer.level[0])}"
        first = (
            f"{writer.name(answer.leader)} has the best {_leader_mean(writer, answer)} and cannot be told apart from "
            f"{level}"
        )
        first += f". It is better, {beyond}"
    sentence = f"{first}{_single_runs_clause(writer, answer)}.{_power_sentence(writer, answer)}"
    return AnswerText(sentence, _next_step(writer, answer, lead), _scored_run_ids(lead))


def _no_clear_leader(writer: SentenceWriter, answer: Answer) -> AnswerText:
    """The sentence for a leader that is distinguishable from no rival."""
    lead = [answer.leader, *answer.level]
    every = "configurations that ran more than once" if answer.single_runs else "configurations"
    which = writer.listed(lead) if len(lead) == 2 else f"The {len(lead):,} {every}"
    sentence = (
        f"{which} cannot be told apart by {writer.metric}: the best mean is that of {writer.name(answer.leader)}, "
        f"{_leader_mean(writer, answer, with_metric=False)}, the {'other' if len(lead) == 2 else 'last'} is "
        f"{writer.value(answer.level[-1])}{_single_runs_clause(writer, answer)}.{_power_sentence(writer, answer)}"
    )
    return AnswerText(sentence, _next_step(writer, answer, lead), _scored_run_ids(lead))


def _leader_mean(writer: SentenceWriter, answer: Answer, *, with_metric: bool = True) -> str:
    """The mean of the leader, with its value corrected for selection, its interval and n in parentheses."""
    comparison = answer.found
    assert comparison is not None
    observed = writer.number("mean", comparison.mean)
    details = [writer.n(answer.leader)]
    if answer.interval:
        details.insert(0, _interval_text(writer, answer))
    if answer.corrected is not None and number(answer.corrected) != observed:
        corrected = writer.number("corrected", answer.corrected)
        details.insert(
            0, f"{corrected} corrected for being the best of {writer.number('configurations', comparison.k)}"
        )
    elif answer.corrected is None and answer.interval:
        details.insert(0, f"too optimistic, as the best of {writer.number('configurations', comparison.k)}")
    return f"{f'mean {writer.metric} ' if with_metric else ''}{observed} ({', '.join(details)})"


def _interval_text(writer: SentenceWriter, answer: Answer) -> str:
    assert answer.interval is not None
    low, high = answer.interval
    return f"95 % {writer.number('low', low)} to {writer.number('high', high)}"


def _power_sentence(writer: SentenceWriter, answer: Answer) -> str:
    """The smallest difference that the present n can show, and the n that the smallest relevant difference needs."""
    if answer.detectable_difference is None or answer.smallest is None or answer.needed_repeats is None:
        return ""
    n = sorted({len(answer.leader.values), len(answer.groups[1].values)})
    sizes = f"n = {n[0]} each" if len(n) == 1 else f"n = {n[0]} and {n[1]}"
    description = (
        "one standard deviation between repeats" if answer.smallest == answer.spread else "the smallest that matters"
    )
    values = [value for group in answer.groups for value in group.values]
    reach = max(values) - min(values)
    if answer.detectable_difference > reach:
        shown = f"not even a difference as large as that of the best and the worst run, {writer.number('range', reach)}"
        first = f" With {sizes} {shown}, would be found in 80 % of cases"
    else:
        shown = writer.number("shown", answer.detectable_difference)
        first = f" With {sizes} two configurations show a difference of {shown} in 80 % of cases"
    return (
        f"{first}; for one of {writer.number('smallest', answer.smallest)}, {description}, "
        f"n = {writer.number('needed n', answer.needed_repeats)} each is needed."
    )


def _next_step(writer: SentenceWriter, answer: Answer, lead: Sequence[Group]) -> str:
    """The next step: how many more runs would separate the leaders, or that this is not worth it."""
    present = min(len(group.values) for group in lead)
    if answer.needed_repeats is None:
        return f"Run more seeds of {writer.first_two(lead)}."
    missing = answer.needed_repeats - present
    if missing <= 0:
        return "Choose by cost: a difference that matters would have been seen."
    if missing > _MOST_MORE:
        return f"Choose by cost: a few more seeds would not tell {writer.first_two(lead)} apart."
    return f"Choose by cost, or run more seeds of {writer.first_two(lead)}, up to {answer.needed_repeats:,} of each."


def _single_runs_clause(writer: SentenceWriter, answer: Answer) -> str:
    """A clause about configurations that ran once and the best of them that beats the leader; "" if there are none."""
    if not answer.single_runs:
        return ""
    clause = f"; {counted(len(answer.single_runs), 'configuration')} ran once, too few to tell"
    better = better_single_runs(answer)
    if not better:
        return clause
    which = "with a better value" if len(better) == 1 else f"the best of {len(better):,} with a better value"
    return f"{clause}, {which} {writer.name(better[0])}, {writer.value(better[0])}"


def better_single_runs(answer: Answer) -> list[Group]:
    """The configurations that ran once and have a better value than the mean of the leader, best first.

    Args:
        answer: the comparison of the configurations of one task.
    """
    sign = 1.0 if answer.leader.greater_is_better else -1.0
    assert answer.leader.mean is not None
    return [group for group in answer.single_runs if sign * group.values[0] > sign * answer.leader.mean]


def difference(a: Group, b: Group) -> float:
    """The distance between the means of two configurations that have a value.

    Args:
        a: a configuration.
        b: another one.
    """
    assert a.mean is not None
    assert b.mean is not None
    return abs(a.mean - b.mean)


def _scored_run_ids(groups: Sequence[Group]) -> tuple[str, ...]:
    return tuple(run_id for group in groups for run_id in group.scored)
