"""The headline: who leads, who cannot be told apart, what went wrong, and what to do next, in few sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import joined
from qualia_lab.analysis.headline_sentences import LeadText, describe_lead
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.study.statuses import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.finding import Finding, Number
    from qualia_lab.study.study import Study, Task

MOST_TASKS = 3  # experiments that get a sentence each

# What went wrong in runs, by the rule that found it: the verb for one run and for several, most serious first.
_TROUBLES = {
    "diverged": ("diverged", "diverged"),
    "non_finite": ("has values that are not finite", "have values that are not finite"),
    "never_learned": ("never learned", "never learned"),
    "collapse": ("collapsed", "collapsed"),
    "seed_collapse": ("is far behind its repeats", "are far behind their repeats"),
    "not_computed": ("may have a value that was not computed", "may have values that were not computed"),
    "overfitting": ("overfits", "overfit"),
}

# What restricts a statement about who leads, by the rule that found it, most serious first; "" stands for the sentence
# of the finding. What the first ones advise comes before any advice on the lead itself.
_CAVEATS = {
    "mixed_units": "",
    "leak": "Held-out values are much better than those of training, so look for a leak.",
    "saturated": "",
    "confounded": "Several settings change together, so it cannot be said which of them makes the difference.",
    "best_alone": "The best run has code or data of its own.",
    "other_data": "Not all runs used the same data.",
}
_FIRST_TO_DO = ("mixed_units", "leak", "saturated", "confounded", "best_alone")


@dataclass(frozen=True)
class Headline:
    """The most important facts about some runs, as plain text with names from the store.

    Attributes:
        lead: who leads, a sentence or two for each of the first experiments; or why nobody can be named.
        trouble: what went wrong and what restricts the first statement; "" if nothing did.
        next: what to do next; "" if there is no advice.
        run_ids: the runs of the configurations that are named as leading.
        numbers: the numbers in `lead`, unrounded; those in `trouble` are counts of runs.
    """

    lead: tuple[str, ...]
    trouble: str = ""
    next: str = ""
    run_ids: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of the headline, in order."""
        return tuple(filter(None, (*self.lead, self.trouble, f"Next: {self.next}" if self.next else "")))


def headline_of(
    study: Study,
    findings: Sequence[Finding],
    answers: Mapping[str, Answer],
    *,
    labels: Mapping[str, str],
    run_names: Mapping[str, str],
    status: Mapping[str, str],
) -> Headline:
    """Summarise findings; nothing is computed that a finding or an answer does not contain, except counts of runs.

    Args:
        study: the study of the runs.
        findings: the findings, sorted as `find_findings` sorts them.
        answers: the comparison of the configurations of each task, by experiment id.
        labels: a distinct name of each run, by its id.
        run_names: the name of each run as it was logged, by its id.
        status: the status of each run, by its id.

    Returns:
        The headline. With several experiments, the ones with most runs get a sentence each.
    """
    several = len(study.tasks) > 1
    told: list[tuple[Task, LeadText]] = []
    for task in sorted(study.tasks, key=lambda task: -len(task.run_ids)):
        of_task = [one for one in findings if one.experiment == (task.experiment if several else "")]
        lead = describe_lead(answers.get(task.experiment_id), of_task, labels, run_names)
        if lead is not None:
            told.append((task, lead))
        if len(told) == MOST_TASKS:
            break
    sentences = [_prefix(task, several=several) + lead.sentence for task, lead in told]
    if not told:
        sentences = [_nothing_leads(study, findings, answers, status)]
    elif rest := len(study.tasks) - len(told):
        sentences.append(f"{counted(rest, 'more experiment')} {'is' if rest == 1 else 'are'} not summarised here.")
    caveat = _first_of(_CAVEATS, findings, [task.experiment if several else "" for task, _ in told])
    return Headline(
        lead=tuple(sentences),
        trouble=" ".join(
            filter(None, (_troubles(study, findings, status), _caveat(caveat), _selection(study, answers)))
        ),
        next=_next_step(told, findings, caveat, several=several),
        run_ids=tuple(run_id for _, lead in told for run_id in lead.run_ids),
        numbers=tuple(number for _, lead in told for number in lead.numbers),
    )


def _prefix(task: Task, *, several: bool) -> str:
    return f"In {one_line(task.experiment, 60)}: " if several else ""


def _nothing_leads(
    study: Study, findings: Sequence[Finding], answers: Mapping[str, Answer], status: Mapping[str, str]
) -> str:
    """Say why no configuration is named."""
    if not status:
        return "No run was read."
    unknown = next((one for one in findings if one.rule == "unknown_direction"), None)
    if unknown is not None:
        return unknown.sentence
    single = [answer for answer in answers.values() if len(answer.groups) == len(answer.leader.values) == 1]
    if single and len(single) == len(answers):
        return "No experiment has two runs with a value of its objective, so there is nothing to compare."
    if answers:
        return "No rule names a leading configuration."
    objectives = list(dict.fromkeys(task.objective.key for task in study.tasks if task.objective))
    if not objectives:
        return "No run has a metric that can be an objective, so no configuration is named as leading."
    if any(task.objective.better is None for task in study.tasks if task.objective):
        keys = joined([one_line(key, 60) for key in objectives])
        return f"It is not known whether a higher or lower {keys} is better, so no configuration is named as leading."
    return f"No run that counts has a finite value of {joined([one_line(key, 60) for key in objectives])}."


def _troubles(study: Study, findings: Sequence[Finding], status: Mapping[str, str]) -> str:
    """`Of 24 runs, 2 failed, 1 diverged and 1 has not finished.`; "" if nothing went wrong."""
    of_status = {run_id: one for run_id, one in status.items() if run_id not in study.continued}
    counts: list[tuple[int, str, str]] = []
    for names, one, many in ((("FAILED",), "failed", "failed"), (("KILLED",), "was killed", "were killed")):
        counts.append((sum(name in names for name in of_status.values()), one, many))
    for rule, (one, many) in _TROUBLES.items():
        runs = {run_id for finding in findings if finding.rule == rule for run_id in finding.run_ids}
        counts.append((len(runs), one, many))
    unfinished = sum(name in UNFINISHED for name in of_status.values())
    counts.append((unfinished, "has not finished", "have not finished"))
    present = [(n, one if n == 1 else many) for n, one, many in counts if n]
    if not present:
        return ""
    if len(status) == 1:
        return f"The run {joined([verb for _, verb in present], len(present))}."
    return f"Of {len(status):,} runs, {joined([f'{n:,} {verb}' for n, verb in present], len(present))}."


def _first_of(rules: Mapping[str, str], findings: Sequence[Finding], experiments: Sequence[str]) -> Finding | None:
    """The finding of the first of these rules that has one for one of these experiments."""
    return next(
        (
            finding
            for rule in rules
            for finding in findings
            if finding.rule == rule
            and (finding.experiment in experiments or not finding.experiment)
            and not _says_all_equal(finding)
        ),
        None,
    )


def _says_all_equal(finding: Finding) -> bool:
    """Whether the finding only says that all values are equal, as the lead then does, too."""
    return finding.rule == "saturated" and len({one.value for one in finding.numbers}) == 1


def _caveat(finding: Finding | None) -> str:
    if finding is None:
        return ""
    where = f"In {one_line(finding.experiment, 60)}: " if finding.experiment else ""
    return where + _CAVEATS[finding.rule] if _CAVEATS[finding.rule] else finding.sentence


def _selection(study: Study, answers: Mapping[str, Answer]) -> str:
    """A warning that means are too good if the runs were selected by a metric; "" otherwise."""
    repeated = any(len(group.values) > 1 for answer in answers.values() for group in answer.groups)
    if study.chosen_by is None or not repeated:
        return ""
    return f"The runs were selected by {one_line(study.chosen_by, 60)}, so means may be too good."


def _collapse_among(findings: Sequence[Finding], lead: LeadText, experiment: str) -> Finding | None:
    """The finding on a run far behind its repeats, if it is among those that cannot be told apart."""
    return next(
        (
            one
            for one in findings
            if one.rule == "seed_collapse"
            and one.experiment == experiment
            and not lead.is_decided
            and not set(lead.run_ids).isdisjoint(one.run_ids)
        ),
        None,
    )


def _next_step(
    told: Sequence[tuple[Task, LeadText]], findings: Sequence[Finding], caveat: Finding | None, *, several: bool
) -> str:
    """The next step of the first experiment: what its caveat asks for, else what its answer does."""
    if not told:
        advised = [one for one in findings if one.next and one.kind in ("answer", "problem")]
        advised.sort(key=lambda one: one.rule != "unknown_direction")
        return advised[0].next if advised else ""
    task, lead = told[0]
    experiment = task.experiment if several else ""
    step = lead.next
    if caveat is not None and caveat.rule in _FIRST_TO_DO and caveat.experiment == experiment:
        step = caveat.next
    elif collapse := _collapse_among(findings, lead, experiment):
        step = collapse.next
    elif lead.is_decided:
        further = next((one for one in findings if one.rule == "edge" and one.experiment == experiment), None)
        step = further.next if further is not None else step
    return f"{step.removesuffix('.')} (in {one_line(experiment, 60)})." if several else step
