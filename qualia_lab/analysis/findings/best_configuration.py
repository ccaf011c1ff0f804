"""The answer of each task: which configuration leads, from which rivals it cannot be told, and what n would show."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import stdev
from typing import TYPE_CHECKING

from qualia_lab.analysis.answer import answer_of
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, listed, n_text, number
from qualia_lab.analysis.findings.naming import configuration_names, listed_whole
from qualia_lab.analysis.over_problems import over_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.over_problems import OverProblems
    from qualia_lab.study.study import Task

_MOST_MORE = 30  # repeats of a configuration: more is no advice
_SEEDS = 3  # runs of a configuration that ran once, so that its spread is seen

Words = tuple[str, str, tuple[str, ...]]  # sentence, what to do next, run ids


@dataclass(frozen=True)
class Thresholds:
    """It has none."""


@dataclass
class _Said:
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


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:  # noqa: ARG001  it has none
    """One finding for each task whose objective has a direction; see `analysis.answer` for what is compared.

    An objective without a direction is the matter of the rule unknown_direction.
    """
    found = []
    for task in evidence.study.tasks:
        answer = answer_of(evidence.groups.get(task.experiment_id, ()), evidence.study.settings.smallest_difference)
        if answer is not None and not _is_alone(evidence, answer):
            over = over_problems(evidence.study, task, answer.groups)
            if over is None or _all_equal(answer):
                found.append(_of_task(evidence, task, answer))
            elif not over.is_clear:
                found.append(_over_problems(evidence, task, answer, over))
    return found


def _is_alone(evidence: Evidence, answer: Answer) -> bool:
    """Whether it is one run in an experiment of its own, among others: nothing is asked there."""
    return len(answer.groups) == len(answer.leader.values) == 1 and len(evidence.study.tasks) > 1


def _of_task(evidence: Evidence, task: Task, answer: Answer) -> Finding:
    said = _Said(answer.leader.metric, configuration_names(evidence.study, _mentioned(answer)))
    if len(answer.groups) == 1:
        sentence, what_next, runs = _of_one(said, answer)
    elif _all_equal(answer):
        sentence, what_next, runs = _of_equal(said, answer)
    elif answer.found is None:
        sentence, what_next, runs = _of_single_runs(said, answer)
    elif answer.found.how == "alike":
        sentence, what_next, runs = _of_alike_repeats(said, answer)
    elif not answer.apart:
        sentence, what_next, runs = _of_level_ones(said, answer)
    elif answer.level:
        sentence, what_next, runs = _of_some_leaders(said, answer)
    else:
        sentence, what_next, runs = _of_a_leader(said, answer)
    return _finding(evidence, task, said, sentence, what_next, runs)


def _finding(
    evidence: Evidence, task: Task, said: _Said, sentence: str, what_next: str, runs: tuple[str, ...]
) -> Finding:
    return Finding(
        "best_configuration",
        "answer",
        "note",
        evidence.where(task) + sentence,
        runs,
        (said.metric,),
        numbers=tuple(said.numbers),
        section="groups",
        code="runs.answer()",
        next=what_next,
        experiment=evidence.experiment(task),
    )


def _over_problems(evidence: Evidence, task: Task, answer: Answer, over: OverProblems) -> Finding:
    """Configurations that were tried on several data sets or tasks, none of which is clearly better over them."""
    names = configuration_names(evidence.study, [group for group, _ in over.ways], without=over.problems)
    said = _Said(answer.leader.metric, names)
    on = listed(over.problems)
    values = [group.mean for group in answer.groups if group.mean is not None]
    best, worst = (values[0], values[-1]) if not answer.alone else (max(values), min(values))
    spread = f"{said.number('best', best)} to {said.number('worst', worst)}"
    if len(over.ways) < 2 or over.pairs is None:
        sentence = (
            f"{said.metric} is {spread} on the {over.levels:,} levels of {on}, which are problems and no rivals: no two "
            "configurations were tried on the same, so none is said to lead"
        )
        return _finding(evidence, task, said, f"{sentence}.", f"Try a second configuration on the same {on}.", ())
    first, second = (said.name(group) for group, _ in over.ways[:2])
    wins = max(over.pairs.above, over.pairs.below) if over.pairs.difference else 0
    sentence = (
        f"over the levels of {on}, which are problems and no rivals, no configuration is clearly better: {first} has the "
        f"best mean {said.metric}, {said.number('mean', over.ways[0][1])}, next is {second} with "
        f"{said.number('mean', over.ways[1][1])}; it is better in {said.number('better in', wins)} of "
        f"{said.number('of', over.pairs.n)} that both were tried on"
    )
    sentence = sentence if evidence.where(task) else sentence[0].upper() + sentence[1:]
    return _finding(
        evidence, task, said, f"{sentence}.", f"Try both on more levels of {on}, or with more seeds on each.", ()
    )


def _of_one(said: _Said, answer: Answer) -> Words:
    """One configuration: its runs are repeats, no rivals."""
    group = answer.leader
    assert group.mean is not None
    if len(group.values) == 1:
        return (
            f"{said.metric} is {said.value(group)}, of the only run that has it: there is nothing to compare it with.",
            f"Run {_SEEDS - 1} more seeds to see how far it varies, and a baseline to compare it with.",
            group.scored,
        )
    bounds = f"{_bounds(said, answer)}, " if answer.interval else ""
    return (
        f"There is one configuration: its mean {said.metric} is {said.number('mean', group.mean)} "
        f"({bounds}{said.n(group)}), with a standard deviation of "
        f"{said.number('standard deviation', stdev(group.values))} between runs. They are repeats and no rivals: that "
        "one of them is best is luck.",
        "Report the mean with its interval. To compare it with something, run that with the same seeds.",
        group.scored,
    )


def _of_equal(said: _Said, answer: Answer) -> Words:
    """Nothing to choose between."""
    value = said.number("value", answer.leader.values[0])
    return (
        f"No configuration leads: {said.metric} is {value} in all {len(answer.groups):,} that have it.",
        f"Choose by something else than {said.metric}, or measure it where it is harder.",
        (),
    )


def _of_single_runs(said: _Said, answer: Answer) -> Words:
    """Fewer than two configurations ran more than once."""
    ties = [group for group in answer.groups if group.mean == answer.leader.mean]
    repeated = [group for group in answer.groups if len(group.values) > 1]
    if len(ties) > 1:
        first = f"{said.listed(ties)} have the best {said.metric}, {said.value(answer.leader)}"
    else:
        first = f"{said.name(answer.leader)} has the best {said.metric}, {said.value(answer.leader)}"
        if len(answer.groups) > 1:
            first += f"; next is {said.name(answer.groups[1])} with {said.value(answer.groups[1])}"
    if repeated:
        others = len(answer.groups) - 1
        luck = f"Only {said.name(repeated[0])} ran more than once, {'the other' if others == 1 else f'the other {others:,}'}"
        luck += " ran once: too few to tell whether that is more than luck"
    else:
        luck = f"All {len(answer.groups):,} configurations ran once, so how much of that is luck cannot be told"
    rivals = ties[:2] if len(ties) > 1 else answer.groups[:2]
    return (
        f"{first}. {luck}.",
        f"Before choosing between them, run {_SEEDS} seeds of each of {said.listed(rivals)}.",
        _runs(ties),
    )


def _of_alike_repeats(said: _Said, answer: Answer) -> Words:
    """Repeats show no spread."""
    second = answer.groups[1]
    return (
        f"{said.name(answer.leader)} has the best {said.metric}, {said.value(answer.leader)}; next is "
        f"{said.name(second)} with {said.value(second)}. All repeats of a configuration gave the same, so how much of "
        "that is luck cannot be told.",
        "Check that the seed has an effect; to see how far results vary, repeat on other splits of the data.",
        answer.leader.scored,
    )


def _of_a_leader(said: _Said, answer: Answer) -> Words:
    """The best is told apart from all that were compared."""
    leader, second = answer.leader, answer.groups[1]
    assert leader.mean is not None
    assert second.mean is not None
    by = f"better by {said.number('difference', abs(leader.mean - second.mean))} than "
    if len(answer.apart) == 1:
        which = f"{by}{said.name(second)}, {said.value(second)}, which is more than luck"
    else:
        which = f"{by}the next, {said.name(second)}, {said.value(second)}, and told apart from all {len(answer.apart):,}"
    return (
        f"{said.name(leader)} leads: {_corrected(said, answer)}, {which}{_untested(answer)}.",
        f"Take {said.name(leader)}: no more runs are needed to tell it from {'the other' if len(answer.apart) == 1 else 'the others'}.",
        leader.scored,
    )


def _of_some_leaders(said: _Said, answer: Answer) -> Words:
    """The best is told apart from some, not from all."""
    lead = [answer.leader, *answer.level]
    worst = answer.apart[-1]
    assert answer.leader.mean is not None
    assert worst.mean is not None
    nearest = answer.apart[0]
    assert nearest.mean is not None
    gap = said.number("difference", abs(answer.leader.mean - nearest.mean))
    others = said.name(nearest) if len(answer.apart) == 1 else f"the other {len(answer.apart):,}, the nearest {said.name(nearest)}"
    return (
        f"{said.listed(lead)} lead and cannot be told apart: {_corrected(said, answer)} of the first, "
        f"{said.value(answer.level[0])} of the {'second' if len(lead) == 2 else 'next'}. The first is better by {gap} or "
        f"more, beyond luck, than {others}{_untested(answer)}.{_power(said, answer)}",
        _more(said, answer, lead),
        _runs(lead),
    )


def _of_level_ones(said: _Said, answer: Answer) -> Words:
    """No rival is told from the best."""
    lead = [answer.leader, *answer.level]
    every = "configurations that ran more than once" if answer.alone else "configurations"
    which = said.listed(lead) if len(lead) <= 2 else f"The {len(lead):,} {every}"
    return (
        f"{which} cannot be told apart by {said.metric}: the best mean is that of {said.name(answer.leader)}, "
        f"{_corrected(said, answer, with_metric=False)}, the {'other' if len(lead) == 2 else 'last'} is "
        f"{said.value(answer.level[-1])}{_untested(answer)}.{_power(said, answer)}",
        _more(said, answer, lead),
        _runs(lead),
    )


def _corrected(said: _Said, answer: Answer, *, with_metric: bool = True) -> str:
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


def _bounds(said: _Said, answer: Answer) -> str:
    assert answer.interval is not None
    low, high = answer.interval
    return f"95 % {said.number('low', low)} to {said.number('high', high)}"


def _power(said: _Said, answer: Answer) -> str:
    """What the present n shows, and which n the smallest difference that matters needs."""
    if answer.shows is None or answer.smallest is None or answer.needed is None:
        return ""
    n = sorted({len(answer.leader.values), len(answer.groups[1].values)})
    of = f"n = {n[0]} each" if len(n) == 1 else f"n = {n[0]} and {n[1]}"
    what = "one standard deviation between repeats" if answer.smallest == answer.spread else "the smallest that matters"
    return (
        f" With {of} two configurations show a difference of {said.number('shown', answer.shows)} in 80 % of cases; for "
        f"one of {said.number('smallest', answer.smallest)}, {what}, "
        f"n = {said.number('needed n', answer.needed)} each is needed."
    )


def _more(said: _Said, answer: Answer, lead: Sequence[Group]) -> str:
    """How many runs more would tell the leaders apart, or that this is not worth it."""
    present = min(len(group.values) for group in lead)
    if answer.needed is None:
        return f"Run more seeds of {said.listed(lead[:2])}."
    more = answer.needed - present
    if more <= 0:
        return "Choose by cost: a difference that matters would have been seen."
    if more > _MOST_MORE or len(lead) > NAMED:
        return f"Choose by cost, or run {min(more, _MOST_MORE):,} more seeds of the first two, {said.listed(lead[:2])}."
    return f"Choose by cost, or run {more:,} more seeds of each of {said.listed(lead)}."


def _untested(answer: Answer) -> str:
    return f"; {count(len(answer.alone), 'configuration')} ran once, too few to tell" if answer.alone else ""


def _mentioned(answer: Answer) -> list[Group]:
    """The configurations that a sentence may name."""
    ties = [group for group in answer.groups if group.mean == answer.leader.mean][: NAMED + 1]
    repeated = [group for group in answer.groups if len(group.values) > 1][:1]
    return [*answer.groups[:2], *answer.level[: NAMED + 1], *answer.apart[:1], *ties, *repeated]


def _runs(groups: Sequence[Group]) -> tuple[str, ...]:
    return tuple(run_id for group in groups for run_id in group.scored)


def _all_equal(answer: Answer) -> bool:
    return len({value for group in answer.groups for value in group.values}) == 1


RULE = Rule(
    "best_configuration",
    "the objective has a known direction, and a run that counts has it",
    "Kramer 1956; Andrews, Kitagawa and McCloskey 2024",
    Thresholds(),
    find,
)
