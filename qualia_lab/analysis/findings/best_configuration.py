"""The answer of each task: the leading configuration, the rivals not distinguishable from it, and the power of n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.effects import ALPHA
from qualia_lab.analysis.findings.answer_sentences import (
    AnswerText,
    SentenceWriter,
    all_equal,
    describe_answer,
    mentioned_groups,
)
from qualia_lab.analysis.findings.finding import Finding, Rule, listed, shortened_reasons
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.over_problems import over_problems
from qualia_lab.analysis.problem_factors import problem_factors
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.over_problems import OverProblems
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """No thresholds."""


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:  # noqa: ARG001 - no thresholds
    """One finding for each task whose objective has a direction; see `analysis.answer` for the comparison.

    An objective without a direction is reported by the rule `unknown_direction`.
    """
    findings = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        if answer is not None and not _is_single_run(evidence, answer):
            over = over_problems(answer.groups)
            if over is None or all_equal(answer):
                findings.append(_answer_finding(evidence, task, answer))
            elif not evidence.clear_effects(ALPHA)[task.experiment_id]:
                findings.append(_finding_over_problems(evidence, task, answer, over))
    return findings


def _is_single_run(evidence: Evidence, answer: Answer) -> bool:
    """Whether the experiment holds a single run while others exist: nothing is compared there."""
    return len(answer.groups) == len(answer.leader.values) == 1 and len(evidence.study.tasks) > 1


def _answer_finding(evidence: Evidence, task: Task, answer: Answer) -> Finding:
    writer = SentenceWriter(
        answer.leader.metric, configuration_names(evidence.study, mentioned_groups(answer), evidence.own_names)
    )
    return _finding(evidence, task, writer, describe_answer(writer, answer))


def _finding(evidence: Evidence, task: Task, writer: SentenceWriter, answer_text: AnswerText) -> Finding:
    return Finding(
        "best_configuration",
        "answer",
        "note",
        evidence.prefix(task) + answer_text.sentence + _selection_warning(evidence),
        answer_text.run_ids,
        (writer.metric,),
        numbers=tuple(writer.numbers),
        section="groups",
        code="runs.answer()",
        next=answer_text.next,
        experiment=evidence.experiment(task),
    )


def _selection_warning(evidence: Evidence) -> str:
    """A warning that means are biased if the runs were selected by a metric; "" otherwise."""
    by = evidence.study.chosen_by
    if by is None or not any(len(group.values) > 1 for groups in evidence.groups.values() for group in groups):
        return ""
    return f" These runs were selected by {one_line(by, 60)}: only the better runs of a configuration may be included."


def _finding_over_problems(evidence: Evidence, task: Task, answer: Answer, over: OverProblems) -> Finding:
    """The finding for configurations tried on several data sets or tasks, if none is clearly better over all."""
    names = configuration_names(
        evidence.study, [group for group, _ in over.ways], evidence.own_names, without=over.problems
    )
    writer = SentenceWriter(answer.leader.metric, names)
    problems = listed(over.problems)
    if len(over.ways) < 2 or over.pairs is None:
        answer_text = AnswerText(
            f"No configuration is named as leading in {writer.metric}: the {over.levels:,} levels of {problems} are "
            "problems, no rivals, and no two configurations were tried on the same.",
            f"Try a second configuration on the same {problems}.",
        )
        return _finding(evidence, task, writer, answer_text)
    (first, mean), (second, next_mean) = over.ways[:2]
    wins = max(over.pairs.above, over.pairs.below)
    answer_text = AnswerText(
        f"No configuration is clearly better in {writer.metric} over the levels of {problems}, which are problems, "
        f"not rivals: {writer.name(first)} has the best mean, {writer.number('mean', mean)}, next is "
        f"{writer.name(second)} with {writer.number('mean', next_mean)}; one is better in "
        f"{writer.number('better in', wins)} of {writer.number('of', over.pairs.n)} that both were tried on.",
        f"Try both on more levels of {problems}, or with more seeds on each.",
    )
    return _finding(evidence, task, writer, answer_text)


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:  # noqa: ARG001 - no thresholds
    """For each task, the configurations that could not be distinguished."""
    reasons = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        others = len(answer.groups) - 1 if answer is not None else 0
        if answer is None or not others or problem_factors(answer.groups):
            continue
        where = evidence.prefix(task)
        if answer.found is None:
            reasons.append(f"{where}which configuration is best: too few repeats")
        elif answer.level or answer.single_runs:
            level = len(answer.level) + len(answer.single_runs)
            reasons.append(
                f"{where}the best configuration is not distinguishable from {level:,} of the other {others:,}"
            )
    return shortened_reasons(reasons)


RULE = Rule(
    "best_configuration",
    "the objective has a known direction and a value in at least one included run",
    "Kramer 1956; Andrews, Kitagawa and McCloskey 2024",
    Thresholds(),
    find,
    unexamined,
)
