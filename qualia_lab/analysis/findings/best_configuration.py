"""The answer of each task: which configuration leads, from which rivals it cannot be told, and what n would show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.effects import ALPHA
from qualia_lab.analysis.findings.answer_sentences import Said, Words, all_equal, mentioned, sentences_of
from qualia_lab.analysis.findings.finding import Finding, Rule, listed, some_reasons
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.analysis.over_problems import over_problems
from qualia_lab.analysis.problem_factors import problem_factors
from qualia_lab.escaping import one_line
from qualia_lab.study.left_out import names_of

if TYPE_CHECKING:
    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.over_problems import OverProblems
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """It has none."""


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:  # noqa: ARG001  it has none
    """One finding for each task whose objective has a direction; see `analysis.answer` for what is compared.

    An objective without a direction is the matter of the rule unknown_direction.
    """
    found = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        if answer is not None and not _is_alone(evidence, answer):
            over = over_problems(answer.groups, is_clear=bool(evidence.clear_effects(ALPHA)[task.experiment_id]))
            if over is None or all_equal(answer):
                found.append(_of_task(evidence, task, answer))
            elif not over.is_clear:
                found.append(_over_problems(evidence, task, answer, over))
    return found


def _is_alone(evidence: Evidence, answer: Answer) -> bool:
    """Whether it is one run in an experiment of its own, among others: nothing is asked there."""
    return len(answer.groups) == len(answer.leader.values) == 1 and len(evidence.study.tasks) > 1


def _of_task(evidence: Evidence, task: Task, answer: Answer) -> Finding:
    said = Said(answer.leader.metric, configuration_names(evidence.study, mentioned(answer), names_of(evidence.tables)))
    return _finding(evidence, task, said, sentences_of(said, answer))


def _finding(evidence: Evidence, task: Task, said: Said, words: Words) -> Finding:
    return Finding(
        "best_configuration",
        "answer",
        "note",
        evidence.where(task) + words.sentence + _chosen(evidence),
        words.run_ids,
        (said.metric,),
        numbers=tuple(said.numbers),
        section="groups",
        code="runs.answer()",
        next=words.next,
        experiment=evidence.experiment(task),
    )


def _chosen(evidence: Evidence) -> str:
    """That means are too good where a metric decided which runs are here."""
    by = evidence.study.chosen_by
    if by is None or not any(len(group.values) > 1 for groups in evidence.groups.values() for group in groups):
        return ""
    return f" These runs were chosen by {one_line(by, 60)}: of a configuration only its better runs may be here."


def _over_problems(evidence: Evidence, task: Task, answer: Answer, over: OverProblems) -> Finding:
    """Configurations that were tried on several data sets or tasks, none of which is clearly better over them."""
    names = configuration_names(
        evidence.study, [group for group, _ in over.ways], names_of(evidence.tables), without=over.problems
    )
    said = Said(answer.leader.metric, names)
    on = listed(over.problems)
    if len(over.ways) < 2 or over.pairs is None:
        words = Words(
            f"None is said to lead by {said.metric}: the {over.levels:,} levels of {on} are problems, no rivals, and "
            "no two configurations were tried on the same.",
            f"Try a second configuration on the same {on}.",
        )
        return _finding(evidence, task, said, words)
    (first, mean), (second, next_mean) = over.ways[:2]
    wins = max(over.pairs.above, over.pairs.below)
    words = Words(
        f"None is clearly better by {said.metric} over the levels of {on}, which are problems and no rivals: "
        f"{said.name(first)} has the best mean, {said.number('mean', mean)}, next is {said.name(second)} with "
        f"{said.number('mean', next_mean)}; one is better in {said.number('better in', wins)} of "
        f"{said.number('of', over.pairs.n)} that both were tried on.",
        f"Try both on more levels of {on}, or with more seeds on each.",
    )
    return _finding(evidence, task, said, words)


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:  # noqa: ARG001  it has none
    """Which configurations were not told apart, of each task."""
    reasons = []
    for task in evidence.study.tasks:
        answer = evidence.answers.get(task.experiment_id)
        others = len(answer.groups) - 1 if answer is not None else 0
        if answer is None or not others or problem_factors(answer.groups):
            continue
        where = evidence.where(task)
        if answer.found is None:
            reasons.append(f"{where}which configuration is best: too few ran more than once")
        elif answer.level or answer.alone:
            level = len(answer.level) + len(answer.alone)
            reasons.append(f"{where}the best configuration is not told apart from {level:,} of the other {others:,}")
    return some_reasons(reasons)


RULE = Rule(
    "best_configuration",
    "the objective has a known direction, and a run that counts has it",
    "Kramer 1956; Andrews, Kitagawa and McCloskey 2024",
    Thresholds(),
    find,
    unexamined,
)
