"""Describe a study in sentences: how runs are interpreted, why, and how to override it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside, distinct_names
from qualia_lab.study.override_hints import FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from qualia_lab.study.override_hints import OverrideHints
    from qualia_lab.study.settings import Source
    from qualia_lab.study.study import Objective, Study

NAMED = 6  # names listed in a sentence; the others are only counted

SOURCE_TEXT: Mapping[Source, str] = {
    "person": "as specified",
    "settings": "by [tool.qualia]",
    "tag": "by a tag",
    "name": "by its name",
    "data": "by its values",
    "unknown": "of unknown origin",
}
_UNKNOWN = "the direction is not known"
_DIRECTION_TEXT = {"higher": "higher is better", "lower": "lower is better"}


def sentences_of(
    study: Study, names: Mapping[str, str], hints: OverrideHints = FLAGS
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Describe tasks, objectives, repeats, comparisons and directions: a heading and its sentences each.

    Args:
        study: the study.
        names: run id → name; a run without a name is called by its id.
        hints: how to override what is inferred, by flags or in a notebook.

    Returns:
        Pairs of a heading and its sentences; headings without sentences are left out.
    """
    parts = (
        ("Tasks", _tasks(study, hints)),
        ("Objective", _objectives(study, hints)),
        ("Repeats", _repeats(study)),
        ("Left out of comparisons", _left_out(study, names)),
        ("Notes", (*_unknown(study, hints), *_short_runs(study, names), *study.notes)),
    )
    return tuple((heading, lines) for heading, sentences in parts if (lines := tuple(sentences)))


def levels_of(study: Study, name: str) -> tuple[str, ...]:
    """The values of a factor, constant, tied factor or seed: numbers in their order, then texts."""
    values = {value for one in study.configurations for key, value in one.settings if key == name}
    values |= {value for one in study.configurations for key, value in one.params if key == name and value is not None}
    if not values:  # a seed
        values = {value for one in study.configurations for seeds in one.repeats for key, value in seeds if key == name}
    return tuple(sorted(values, key=_by_number))


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """`a, b and 3 more`, each name on one line."""
    return and_more(distinct_names(list(names), width=100), most)


def _tasks(study: Study, hints: OverrideHints) -> Iterator[str]:
    tasks = study.tasks
    runs = [
        f"{one_line(one.experiment, 60) or 'all experiments'} ({counted(len(one.run_ids), 'run')})" for one in tasks
    ]
    if len(tasks) == 1:
        yield f"One task: {runs[0]}."
    elif tasks:
        yield (
            f"{len(tasks):,} experiments are {len(tasks):,} tasks, and nothing is compared across them: "
            f"{listed(runs)}. {hints.pool}"
        )


def _objectives(study: Study, hints: OverrideHints) -> Iterator[str]:
    experiments_of: dict[Objective | None, list[str]] = {}
    for task in study.tasks:
        experiments_of.setdefault(task.objective, []).append(task.experiment)
    for objective, experiments in experiments_of.items():
        place = f"In {listed(experiments, 3)}: " if len(experiments_of) > 1 else ""
        if objective is None:
            yield f"{place}no metric can be the objective. {hints.name}"
            continue
        key = one_line(objective.key, 100)
        if objective.source == "unknown":
            yield f"{place}{key} is taken as the objective, since no metric is known to be one; {_UNKNOWN}."
            continue
        direction = _DIRECTION_TEXT.get(objective.better or "", _UNKNOWN)
        yield f"{place}{key} is the objective, {SOURCE_TEXT[objective.source]}; {direction}."
        if objective.rivals:
            first = one_line(objective.rivals[0], 100)
            yield f"Other possible objectives: {listed(objective.rivals)}. {hints.choose.format(key=first)}"


def _repeats(study: Study) -> Iterator[str]:
    if study.seeds:
        yield f"{listed(study.seeds)} only {'repeats' if len(study.seeds) == 1 else 'repeat'} configurations."
    counts = [len([one for one in each.run_ids if one not in study.copies]) for each in study.configurations]
    if counts:
        configurations = counted(len(counts), "configuration")
        most = max(counts)
        if min(counts) == most:
            yield f"{configurations} of {counted(most, 'run')}{'' if len(counts) == 1 else ' each'}."
        else:
            largest = study.configurations[counts.index(most)]
            of = [task.experiment for task in study.tasks if task.experiment_id == largest.experiment_id]
            place = f" in {one_line(of[0], 60)}" if len(study.tasks) > 1 else ""
            repeated = sum(count > 1 for count in counts)
            label = one_line(largest.label, 100)
            yield f"{configurations}, {repeated:,} of several runs; the most, {most:,}{place}: {label}."
    if study.possible_copies:
        runs = sum(map(len, study.possible_copies))
        yield (
            f"{counted(runs, 'run')} without a seed have the same coarse results as another: they may be copies, and "
            "count as runs of their own."
        )


def _left_out(study: Study, names: Mapping[str, str]) -> Iterator[str]:
    """One sentence per reason; reasons that name another run are combined."""
    by_reason: dict[str, list[str]] = {}
    for run_id, reason in study.left_out.items():
        kind = next((kind for kind in ("copy of", "part of", "continued in") if reason.startswith(kind)), reason)
        by_reason.setdefault(kind, []).append(names.get(run_id) or run_id)
    reason_text = {
        "parent": "a parent whose children are included",
        "part of": "an evaluation of its parent run",
        "copy of": "the same computation as another run",
        "continued in": "continued by another run",
    }
    for kind, runs in by_reason.items():
        yield f"{counted(len(runs), 'run')}: {reason_text.get(kind, kind)}{aside(listed(runs), ends=True)}."


def _unknown(study: Study, hints: OverrideHints) -> Iterator[str]:
    """The metrics that may be objectives or of training and whose direction is unknown, and how to set it."""
    keys = [one.key for one in study.metrics if one.better is None and one.role in ("objective", "training")]
    if keys:
        yield (f"The direction of {listed(keys)} is not known. {hints.unknown.format(key=one_line(keys[0], 60))}")


def _short_runs(study: Study, names: Mapping[str, str]) -> Iterator[str]:
    """Runs that stopped much earlier than the others."""
    if study.short_runs:
        first = study.short_runs[0]
        yield (
            f"{counted(len(study.short_runs), 'run')} stopped much earlier than the others: "
            f"{listed([names.get(one.run_id) or one.run_id for one in study.short_runs])}; the first at step "
            f"{first.last_step:,}, where others reached {first.usual:,}."
        )


def _by_number(text: str) -> tuple[bool, float, str]:
    try:
        return (False, float(text), text)
    except ValueError:
        return (True, 0.0, text)
