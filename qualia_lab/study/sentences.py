"""A study in plain sentences: what the runs are about, where each answer comes from, and how to overrule it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside, distinct_names
from qualia_lab.study.overruling import FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from qualia_lab.study.overruling import Lines
    from qualia_lab.study.settings import Source
    from qualia_lab.study.study import Objective, Study

NAMED = 6  # names of one kind before the rest is only counted

FROM: Mapping[Source, str] = {
    "person": "as was said",
    "settings": "by [tool.qualia]",
    "tag": "by a tag",
    "name": "by its name",
    "data": "by its values",
    "unknown": "nothing says it",
}
_WAYS = {"higher": "more is better", "lower": "less is better"}


def sentences_of(
    study: Study, names: Mapping[str, str], lines: Lines = FLAGS
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What there is to say of tasks, objectives, repeats, comparisons and directions: a heading and its sentences each.

    Args:
        study: of some runs.
        names: of runs, by run id; a run without one is called by its id.
        lines: how what is inferred can be overruled where this is read.
    """
    parts = (
        ("Tasks", _tasks(study, lines)),
        ("Objective", _objectives(study, lines)),
        ("Repeats", _repeats(study)),
        ("In no comparison", _left_out(study, names)),
        ("To know", (*_unknown(study, lines), *_careful(study, names), *study.notes)),
    )
    return tuple((heading, said) for heading, found in parts if (said := tuple(found)))


def levels_of(study: Study, name: str) -> tuple[str, ...]:
    """The values of a factor, a constant, a tied one or a seed: numbers in their order, then texts."""
    values = {value for one in study.configurations for key, value in one.settings if key == name}
    values |= {value for one in study.configurations for key, value in one.params if key == name and value is not None}
    if not values:  # a seed
        values = {value for one in study.configurations for seeds in one.repeats for key, value in seeds if key == name}
    return tuple(sorted(values, key=_by_number))


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """`a, b and 3 more`, each name on one line."""
    all_names = distinct_names(list(names), width=100)
    shown = ", ".join(all_names[:most])
    return f"{shown} and {len(all_names) - most:,} more" if len(all_names) > most else shown


def _tasks(study: Study, lines: Lines) -> Iterator[str]:
    tasks = study.tasks
    runs = [
        f"{one_line(one.experiment, 60) or 'all experiments'} ({counted(len(one.run_ids), 'run')})" for one in tasks
    ]
    if len(tasks) == 1:
        yield f"One task: {runs[0]}."
    elif tasks:
        yield (
            f"{len(tasks):,} experiments are {len(tasks):,} tasks, and nothing is compared across them: "
            f"{listed(runs)}. {lines.pool}"
        )


def _objectives(study: Study, lines: Lines) -> Iterator[str]:
    found: dict[Objective | None, list[str]] = {}
    for task in study.tasks:
        found.setdefault(task.objective, []).append(task.experiment)
    for objective, experiments in found.items():
        where = f"In {listed(experiments, 3)}: " if len(found) > 1 else ""
        if objective is None:
            yield f"{where}no metric says how good a run is. {lines.name}"
            continue
        key = one_line(objective.key, 100)
        way = _WAYS.get(objective.better or "", "which way is better is not known")
        yield f"{where}{key} leads, {FROM[objective.source]}; {way}."
        if objective.rivals:
            first = one_line(objective.rivals[0], 100)
            yield f"Others that could lead: {listed(objective.rivals)}. {lines.choose.format(key=first)}"


def _repeats(study: Study) -> Iterator[str]:
    if study.seeds:
        yield f"{listed(study.seeds)} only {'repeats' if len(study.seeds) == 1 else 'repeat'} a configuration."
    counts = [len([one for one in each.run_ids if one not in study.copies]) for each in study.configurations]
    if counts:
        said = counted(len(counts), "configuration")
        most = max(counts)
        if min(counts) == most:
            yield f"{said} of {counted(most, 'run')}{'' if len(counts) == 1 else ' each'}."
        else:
            label = study.configurations[counts.index(most)].label
            repeated = sum(count > 1 for count in counts)
            yield f"{said}, {repeated:,} of several runs; the most, {most:,}: {one_line(label, 100)}."
    if study.possible_copies:
        runs = sum(map(len, study.possible_copies))
        yield (
            f"{counted(runs, 'run')} without a seed have the same coarse results as another: they may be copies, and "
            "count as runs of their own."
        )


def _left_out(study: Study, names: Mapping[str, str]) -> Iterator[str]:
    """One sentence per reason; copies and runs that were continued are only counted."""
    by_reason: dict[str, list[str]] = {}
    for run_id, reason in study.left_out.items():
        kind = next((kind for kind in ("copy of", "part of", "continued in") if reason.startswith(kind)), reason)
        by_reason.setdefault(kind, []).append(names.get(run_id) or run_id)
    said = {
        "parent": "a parent whose children are there",
        "part of": "an evaluation of the run above it",
        "copy of": "the same computation as another run",
        "continued in": "continued by another run",
    }
    for kind, runs in by_reason.items():
        yield f"{counted(len(runs), 'run')}: {said.get(kind, kind)}{aside(listed(runs), ends=True)}."


def _unknown(study: Study, lines: Lines) -> Iterator[str]:
    """The metrics that may lead or train whose direction nothing tells, and the line that says it."""
    keys = [one.key for one in study.metrics if one.better is None and one.role in ("objective", "training")]
    if keys:
        yield (f"Which way is better is not known of {listed(keys)}. {lines.unknown.format(key=one_line(keys[0], 60))}")


def _careful(study: Study, names: Mapping[str, str]) -> Iterator[str]:
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
