"""The sentences of the headline on one task: its answer, with short names and without the details of the finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.answer_sentences import (
    SentenceWriter,
    all_equal,
    better_single_runs,
    describe_answer,
    difference,
)
from qualia_lab.analysis.findings.naming import brief_names
from qualia_lab.analysis.over_problems import over_problems
from qualia_lab.counts import counted
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.finding import Finding, Number
    from qualia_lab.analysis.groups import Group

# `best_version` comes first: where versions were evaluated row by row, single runs of them say less.
_ANSWERS = ("best_version", "best_configuration", "factor_effect")


@dataclass(frozen=True)
class LeadText:
    """What the headline says about one task.

    Attributes:
        sentence: who leads, or that nobody does.
        next: the next step.
        run_ids: the runs of the configurations that are named as leading.
        numbers: the numbers of the sentence, unrounded.
        is_decided: whether no more runs are needed to name the leader.
    """

    sentence: str
    next: str
    run_ids: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    is_decided: bool = False


def describe_lead(
    answer: Answer | None, findings: Sequence[Finding], labels: Mapping[str, str], run_names: Mapping[str, str]
) -> LeadText | None:
    """Describe the answer for one task in a sentence or two.

    Args:
        answer: the comparison of the configurations of the task.
        findings: the findings on the task.
        labels: a distinct name of each run, by its id.
        run_names: the name of each run as it was logged, by its id.

    Returns:
        The text; None if no finding answers for this task.
    """
    finding = next((one for rule in _ANSWERS for one in findings if one.rule == rule), None)
    if finding is None or (answer is None and finding.rule != "best_version"):
        return None
    if answer is None or finding.rule != "best_configuration" or _is_over_problems(answer):
        sentence = finding.sentence.partition(": ")[2] if finding.experiment else finding.sentence
        return LeadText(sentence, finding.next, finding.run_ids, finding.numbers)
    writer = SentenceWriter(answer.leader.metric, _names(answer, labels, run_names))
    sentence = _sentence(writer, answer)
    advice = describe_answer(SentenceWriter(writer.metric, writer.names), answer).next
    is_decided = bool(answer.apart) and not answer.level and not better_single_runs(answer)
    return LeadText(sentence, advice, finding.run_ids, tuple(writer.numbers), is_decided)


def _names(answer: Answer, labels: Mapping[str, str], run_names: Mapping[str, str]) -> dict[str, str]:
    """A name per configuration: what distinguishes it, and the name of its run if all have only one."""
    names = brief_names([group.configuration for group in answer.groups], run_names)
    if len(answer.groups) > 1 and all(len(group.scored) == 1 for group in answer.groups):
        firsts = [(group.run_ids[0], labels[group.scored[0]]) for group in answer.groups]
        return {run_id: f"{label}{aside(names[run_id])}" for run_id, label in firsts}
    return names


def _is_over_problems(answer: Answer) -> bool:
    return over_problems(answer.groups) is not None and not all_equal(answer)


def _sentence(writer: SentenceWriter, answer: Answer) -> str:
    leader, metric = answer.leader, writer.metric
    if len(answer.groups) == 1:
        return _only_configuration(writer, answer)
    if all_equal(answer):
        which = "both" if len(answer.groups) == 2 else f"all {len(answer.groups):,}"
        return f"No configuration leads: {metric} is {writer.number('value', leader.values[0])} in {which}."
    if answer.found is None or answer.found.how == "alike":
        return _luck_unknown(writer, answer)
    if not answer.apart:
        compared = len(answer.level) + 1
        which = "both" if compared == len(answer.groups) == 2 else f"the {compared:,}"
        which += " that ran more than once" if answer.single_runs else "" if which == "both" else " configurations"
        return (
            f"No configuration leads: {which} cannot be told apart by {metric}, best mean {_mean(writer, leader)} of "
            f"{writer.name(leader)}{_single_runs(writer, answer)}."
        )
    gap = writer.number("difference", difference(leader, answer.apart[0]))
    if answer.level:
        rivals = writer.name(answer.level[0]) if len(answer.level) == 1 else f"{len(answer.level):,} others"
        several = len(answer.apart) > 1
        nearest = writer.name(answer.apart[0])
        rest = f"the other {len(answer.apart):,} by {gap} or more" if several else f"{nearest} by {gap}"
        return (
            f"{writer.name(leader)} has the best mean {metric}, {_mean(writer, leader)}, but cannot be told apart from "
            f"{rivals}; it is better than {rest}{_single_runs(writer, answer)}."
        )
    among = " those that ran more than once" if answer.single_runs else ""
    following = "the next, " if len(answer.apart) > 1 else ""
    return (
        f"{writer.name(leader)} leads{among}: mean {metric} {_mean(writer, leader)}, better by {gap} than {following}"
        f"{_next(writer, answer)}, which is more than luck{_single_runs(writer, answer)}."
    )


def _only_configuration(writer: SentenceWriter, answer: Answer) -> str:
    """The sentence for a task with one configuration, whose runs are no rivals."""
    group = answer.leader
    if len(group.values) == 1:
        value = writer.number("value", group.values[0], group.scored[0])
        return f"{writer.metric} is {value} in the only run that has it, so there is nothing to compare it with."
    bounds = ""
    if answer.interval is not None:
        low, high = answer.interval
        bounds = f", 95 % {writer.number('low', low)} to {writer.number('high', high)}"
    return (
        f"There is one configuration: its mean {writer.metric} is {_mean(writer, group, bounds)}. Its runs are "
        "repeats, so which of them is best is luck."
    )


def _luck_unknown(writer: SentenceWriter, answer: Answer) -> str:
    """The sentence for tasks where it cannot be said how much of the lead is luck."""
    leader = answer.leader
    ties = [group for group in answer.groups if group.mean == leader.mean]
    best = "have" if len(ties) > 1 else "has"
    first = f"{writer.listed(ties)} {best} the best {writer.metric}, {_value(writer, leader)}"
    if len(ties) == 1:
        second = answer.groups[1]
        first += f"; next is {writer.name(second)} with {_value(writer, second)}"
    repeated = sum(len(group.values) > 1 for group in answer.groups)
    if answer.found is not None:
        why = "All repeats of a configuration gave the same value"
    elif not repeated:
        all_of_them = "Both" if len(answer.groups) == 2 else f"All {len(answer.groups):,}"
        why = f"{all_of_them} configurations ran once"
    elif repeated == len(answer.groups):
        why = "There are too few repeats"
    else:
        why = "Too few configurations ran more than once"
    return f"{first}. {why}, so it is unknown how much of that is luck."


def _single_runs(writer: SentenceWriter, answer: Answer) -> str:
    """A clause about configurations that ran once with a better value than the leader's mean; "" if there are none."""
    better = better_single_runs(answer)
    if not better:
        return ""
    which = f"{writer.name(better[0])} ran once, with a better value"
    if len(better) > 1:
        which = f"{counted(len(better), 'configuration')} ran once with a better value"
    return f"; {which}, too few to tell"


def _mean(writer: SentenceWriter, group: Group, bounds: str = "") -> str:
    """`0.91 (n = 5)`, the mean of a configuration that ran more than once."""
    assert group.mean is not None
    writer.number("n", len(group.values))
    return f"{writer.number('mean', group.mean)} (n = {len(group.values):,}{bounds})"


def _value(writer: SentenceWriter, group: Group) -> str:
    """The value of a configuration that ran once, else its mean."""
    return writer.number("value", group.values[0], group.scored[0]) if len(group.values) == 1 else _mean(writer, group)


def _next(writer: SentenceWriter, answer: Answer) -> str:
    """The nearest rival that the leader can be told apart from, with its mean."""
    rival = answer.apart[0]
    assert rival.mean is not None
    return f"{writer.name(rival)} with {writer.number('mean', rival.mean)}"
