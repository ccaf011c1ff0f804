"""The sentences of the answer: who leads, from which rivals it cannot be told, what n shows, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import stdev
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import NAMED, Number, n_text, number
from qualia_lab.analysis.findings.naming import listed_whole
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.groups import Group

_MOST_MORE = 10  # repeats of a configuration: more is no advice
_SHORT = 80  # characters of names that are said again
_SEEDS = 3  # runs of a configuration that ran once, so that its spread is seen


@dataclass(frozen=True)
class Words:
    """A sentence, what to do next, and the runs that it is about."""

    sentence: str
    next: str
    run_ids: tuple[str, ...] = ()


@dataclass
class Said:
    """Names of configurations, and numbers as they are written into a sentence and kept."""

    metric: str
    names: Mapping[str, str]
    numbers: list[Number] = field(default_factory=list)

    def number(self, what: str, value: float, run_id: str = "") -> str:
        """The number as text."""
        self.numbers.append(Number(what, value, run_id))
        return number(value)

    def n(self, group: Group) -> str:
        """`n = 5`, with the runs that are not in it."""
        self.numbers.append(Number("n", len(group.values)))
        return n_text(group)

    def value(self, group: Group) -> str:
        """`0.91 (n = 5)`; of one run its value alone."""
        assert group.mean is not None
        if len(group.run_ids) == 1:
            return self.number("value", group.mean, group.scored[0])
        return f"{self.number('mean', group.mean)} ({self.n(group)})"

    def name(self, group: Group) -> str:
        """What it is called."""
        return self.names[group.run_ids[0]]

    def listed(self, groups: Sequence[Group]) -> str:
        """What they are called."""
        return listed_whole(groups, self.names)

    def two(self, groups: Sequence[Group]) -> str:
        """The first two of them, by their names where these are short."""
        names = listed_whole(groups[:2], self.names)
        return names if len(names) <= _SHORT else "the first two"


def sentences_of(said: Said, answer: Answer) -> Words:
    """What there is to say of the configurations of one task."""
    if len(answer.groups) == 1:
        return _of_one_run(said, answer) if len(answer.leader.values) == 1 else _of_one(said, answer)
    if all_equal(answer):
        return _of_equal(said, answer)
    if answer.found is None:
        return _of_single_runs(said, answer)
    if answer.found.how == "alike":
        return _of_alike_repeats(said, answer)
    if not answer.apart:
        return _of_level_ones(said, answer)
    return _of_some_leaders(said, answer) if answer.level else _of_a_leader(said, answer)


def mentioned(answer: Answer) -> list[Group]:
    """The configurations that a sentence may name."""
    ties = [group for group in answer.groups if group.mean == answer.leader.mean][: NAMED + 1]
    repeated = [group for group in answer.groups if len(group.values) > 1 and answer.found is None]
    return [
        *answer.groups[:2],
        *_better_alone(answer)[:1],
        *answer.level[: NAMED + 1],
        *answer.apart[:1],
        *ties,
        *repeated,
    ]


def all_equal(answer: Answer) -> bool:
    """Whether all values are the same."""
    return len({value for group in answer.groups for value in group.values}) == 1


def _of_one_run(said: Said, answer: Answer) -> Words:
    """One run."""
    sentence = f"{said.metric} is {said.value(answer.leader)}, of the only run that has it: nothing to compare it with."
    more = f"Run {_SEEDS - 1} more seeds to see how far it varies, and a baseline to compare it with."
    return Words(sentence, more, answer.leader.scored)


def _of_one(said: Said, answer: Answer) -> Words:
    """One configuration: its runs are repeats, no rivals."""
    group = answer.leader
    assert group.mean is not None
    bounds = f"{_bounds(said, answer)}, " if answer.interval else ""
    sentence = (
        f"There is one configuration: its mean {said.metric} is {said.number('mean', group.mean)} ({bounds}"
        f"{said.n(group)}), with a standard deviation of {said.number('standard deviation', stdev(group.values))} "
        "between runs. They are repeats and no rivals: that one of them is best is luck."
    )
    more = "Report the mean with its interval. To compare it with something, run that with the same seeds."
    return Words(sentence, more, group.scored)


def _of_equal(said: Said, answer: Answer) -> Words:
    """Nothing to choose between."""
    value = said.number("value", answer.leader.values[0])
    every = "both" if len(answer.groups) == 2 else f"all {len(answer.groups):,}"
    sentence = f"No configuration leads: {said.metric} is {value} in {every} that have it."
    return Words(sentence, f"Choose by something else than {said.metric}, or measure it where it is harder.")


def _of_single_runs(said: Said, answer: Answer) -> Words:
    """Fewer than two configurations ran more than once."""
    leader, second = answer.leader, answer.groups[1]
    ties = [group for group in answer.groups if group.mean == leader.mean]
    repeated = [group for group in answer.groups if len(group.values) > 1]
    others = len(answer.groups) - 1
    if len(ties) > 1:
        first = f"{said.listed(ties)} have the best {said.metric}, {said.value(leader)}"
    else:
        first = f"{said.name(leader)} has the best {said.metric}, {said.value(leader)}"
        first += f"; next is {said.name(second)} with {said.value(second)}"
    if not repeated:
        luck = f"All {others + 1:,} configurations ran once, so how much of that is luck cannot be told"
    else:
        once = "the other" if others == 1 else f"the other {others:,}"
        luck = (
            f"Only {said.name(repeated[0])} ran more than once, {once} ran once: too few to tell whether that is luck"
        )
        if len(repeated) > 1:
            some = "Both" if len(repeated) == others + 1 == 2 else f"{len(repeated):,} of {others + 1:,} configurations"
            luck = f"{some} ran more than once, too few times to tell whether that is luck"
        luck += _widest(said, repeated, _gap(leader, second))
    more = f"Before choosing, run {_SEEDS} seeds of each of {said.two(ties if len(ties) > 1 else answer.groups)}."
    return Words(f"{first}. {luck}.", more, _runs(ties))


def _widest(said: Said, repeated: Sequence[Group], lead: float) -> str:
    """How far runs of one configuration lie apart where that is more than the lead, as luck alone would do."""
    widest = max(repeated, key=lambda group: max(group.values) - min(group.values))
    apart = max(widest.values) - min(widest.values)
    if not apart > lead > 0:
        return ""
    who = f"the {len(widest.values):,} runs of {said.name(widest)} that count"
    if len(repeated) == 1:
        who = f"its {len(widest.values):,} runs that count"
    return f"; {who} differ by {said.number('range', apart)}, the lead is {said.number('lead', lead)}"


def _of_alike_repeats(said: Said, answer: Answer) -> Words:
    """Repeats show no spread."""
    leader, second = answer.leader, answer.groups[1]
    sentence = (
        f"{said.name(leader)} has the best {said.metric}, {said.value(leader)}; next is {said.name(second)} with "
        f"{said.value(second)}. All repeats of a configuration gave the same, so luck cannot be told from it."
    )
    more = "Check that the seed has an effect; to see how far results vary, repeat on other splits of the data."
    return Words(sentence, more, leader.scored)


def _of_a_leader(said: Said, answer: Answer) -> Words:
    """The best is told apart from all that were compared."""
    leader, second = answer.leader, answer.groups[1]
    by = f"better by {said.number('difference', _gap(leader, second))} than"
    rivals, others = f"{said.name(second)}, {said.value(second)}", "the other"
    if len(answer.apart) == 1:
        which = f"{by} {rivals}, which is more than luck"
    else:
        every = "both" if len(answer.apart) == 2 else f"all {len(answer.apart):,}"
        which = f"{by} the next, {rivals}, and told apart from {every}"
        others = "the others"
    those = " those that ran more than once" if answer.alone else ""
    sentence = f"{said.name(leader)} leads{those}: {_corrected(said, answer)}, {which}{_untested(said, answer)}."
    more = f"Take {said.name(leader)}: no more runs are needed to tell it from {others}."
    better = _better_alone(answer)
    if better:
        more = f"Before choosing, run {_SEEDS} seeds of {said.name(better[0])}."
    return Words(sentence, more, leader.scored)


def _of_some_leaders(said: Said, answer: Answer) -> Words:
    """The best is told apart from some, not from all."""
    lead = [answer.leader, *answer.level]
    nearest, several = answer.apart[0], len(answer.apart) > 1
    gap = said.number("difference", _gap(answer.leader, nearest))
    than = f"the other {len(answer.apart):,}, the nearest {said.name(nearest)}" if several else said.name(nearest)
    beyond = f"by {gap}{' or more' if several else ''} and by more than luck, than {than}"
    if len(lead) <= NAMED:
        level = f"{said.value(answer.level[0])} of the {'second' if len(lead) == 2 else 'next'}"
        first = f"{said.listed(lead)} lead and cannot be told apart: {_corrected(said, answer)} of the first, {level}"
        first += f". The first is better, {beyond}"
    else:
        level = f"{len(answer.level):,} others, next {said.name(answer.level[0])}, {said.value(answer.level[0])}"
        first = f"{said.name(answer.leader)} has the best {_corrected(said, answer)} and cannot be told from {level}"
        first += f". It is better, {beyond}"
    sentence = f"{first}{_untested(said, answer)}.{_power(said, answer)}"
    return Words(sentence, _more(said, answer, lead), _runs(lead))


def _of_level_ones(said: Said, answer: Answer) -> Words:
    """No rival is told from the best."""
    lead = [answer.leader, *answer.level]
    every = "configurations that ran more than once" if answer.alone else "configurations"
    which = said.listed(lead) if len(lead) == 2 else f"The {len(lead):,} {every}"
    sentence = (
        f"{which} cannot be told apart by {said.metric}: the best mean is that of {said.name(answer.leader)}, "
        f"{_corrected(said, answer, with_metric=False)}, the {'other' if len(lead) == 2 else 'last'} is "
        f"{said.value(answer.level[-1])}{_untested(said, answer)}.{_power(said, answer)}"
    )
    return Words(sentence, _more(said, answer, lead), _runs(lead))


def _corrected(said: Said, answer: Answer, *, with_metric: bool = True) -> str:
    """The leader's mean, and in brackets what it is when corrected for being the best, its interval, and n."""
    found = answer.found
    assert found is not None
    observed = said.number("mean", found.mean)
    words = [said.n(answer.leader)]
    if answer.interval:
        words.insert(0, _bounds(said, answer))
    if answer.corrected is not None and number(answer.corrected) != observed:
        corrected = said.number("corrected", answer.corrected)
        words.insert(0, f"{corrected} corrected for being the best of {said.number('configurations', found.k)}")
    elif answer.corrected is None and answer.interval:
        words.insert(0, f"too good, as the best of {said.number('configurations', found.k)}")
    return f"{f'mean {said.metric} ' if with_metric else ''}{observed} ({', '.join(words)})"


def _bounds(said: Said, answer: Answer) -> str:
    assert answer.interval is not None
    low, high = answer.interval
    return f"95 % {said.number('low', low)} to {said.number('high', high)}"


def _power(said: Said, answer: Answer) -> str:
    """What the present n shows, and which n the smallest difference that matters needs."""
    if answer.shows is None or answer.smallest is None or answer.needed is None:
        return ""
    n = sorted({len(answer.leader.values), len(answer.groups[1].values)})
    of = f"n = {n[0]} each" if len(n) == 1 else f"n = {n[0]} and {n[1]}"
    what = "one standard deviation between repeats" if answer.smallest == answer.spread else "the smallest that matters"
    values = [value for group in answer.groups for value in group.values]
    reach = max(values) - min(values)
    if answer.shows > reach:
        shown = f"not even a difference as large as that of the best and the worst run, {said.number('range', reach)}"
        first = f" With {of} {shown}, would be found in 80 % of cases"
    else:
        shown = said.number("shown", answer.shows)
        first = f" With {of} two configurations show a difference of {shown} in 80 % of cases"
    return (
        f"{first}; for one of {said.number('smallest', answer.smallest)}, {what}, "
        f"n = {said.number('needed n', answer.needed)} each is needed."
    )


def _more(said: Said, answer: Answer, lead: Sequence[Group]) -> str:
    """How many runs more would tell the leaders apart, or that this is not worth it."""
    present = min(len(group.values) for group in lead)
    if answer.needed is None:
        return f"Run more seeds of {said.two(lead)}."
    more = answer.needed - present
    if more <= 0:
        return "Choose by cost: a difference that matters would have been seen."
    if more > _MOST_MORE:
        return f"Choose by cost: no few more seeds would tell {said.two(lead)} apart."
    return f"Choose by cost, or run more seeds of {said.two(lead)}, up to {answer.needed:,} of each."


def _untested(said: Said, answer: Answer) -> str:
    """What is said of those that ran once; where some have a better value than the leader, that too."""
    if not answer.alone:
        return ""
    words = f"; {counted(len(answer.alone), 'configuration')} ran once, too few to tell"
    better = _better_alone(answer)
    if not better:
        return words
    which = "with a better value" if len(better) == 1 else f"the best of {len(better):,} with a better value"
    return f"{words}, {which} {said.name(better[0])}, {said.value(better[0])}"


def _better_alone(answer: Answer) -> list[Group]:
    """Those that ran once and have a better value than the leader's mean, the best first."""
    sign = 1.0 if answer.leader.greater_is_better else -1.0
    assert answer.leader.mean is not None
    return [group for group in answer.alone if sign * group.values[0] > sign * answer.leader.mean]


def _gap(one: Group, other: Group) -> float:
    assert one.mean is not None
    assert other.mean is not None
    return abs(one.mean - other.mean)


def _runs(groups: Sequence[Group]) -> tuple[str, ...]:
    return tuple(run_id for group in groups for run_id in group.scored)
