"""What was said of runs, against what they have: a person is told of what is not there, a project's rest goes on."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.errors import NoRunMatches
from qualia_lab.escaping import one_line
from qualia_lab.study.settings import merge_settings
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qualia_lab.inventory import Inventory
    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Configuration, Study
    from qualia_lab.tables import RunTables


def fit_settings(
    person: StudySettings, project: StudySettings, inventory: Inventory
) -> tuple[StudySettings, tuple[str, ...]]:
    """Both merged, and sentences of what the project says that these runs lack.

    A project speaks for all its notebooks: its metric is dropped with a sentence, params and tags without one.
    Raises NoRunMatches, with what might have been meant, where the person names a metric, param or tag of no run.
    """
    metrics = [metric.key for metric in inventory.metrics]
    names = [*(param.key for param in inventory.params), *inventory.tags, *(f"tags.{key}" for key in inventory.tags)]
    if person.metric is not None:
        check_key(person.metric, metrics, "metric")
    for name in (*(person.seeds or ()), *person.factors, *person.labels):
        check_key(name, names, "param or tag")
    notes: tuple[str, ...] = ()
    there = set(names)
    project = replace(
        project,
        seeds=None if project.seeds is None else tuple(name for name in project.seeds if name in there),
        factors=tuple(name for name in project.factors if name in there),
        labels=tuple(name for name in project.labels if name in there),
    )
    if person.metric is None and project.metric is not None and project.metric not in metrics:
        notes = (f"The metric {one_line(project.metric, 60)} of [tool.qualia] is in none of these runs.",)
        project = replace(project, metric=None)
    return merge_settings(person, project), notes


def fit_baseline(study: Study, tables: RunTables) -> Study:
    """The study, without a baseline of the project that is not among its configurations, and a note that says so.

    Raises NoRunMatches where the person names one that is no run, or no configuration.
    """
    baseline = study.settings.baseline
    if baseline is None:
        return study
    wrong = _wrong_baseline(baseline, study, tables)
    if wrong is None:
        return study
    if study.settings.source("baseline") == "person":
        raise wrong
    return replace(
        study,
        settings=replace(study.settings, baseline=None),
        notes=(*study.notes, f"The baseline of [tool.qualia] is not here: {wrong.message}"),
    )


def check_key(key: str, keys: Iterable[str], what: str) -> None:
    """Raise NoRunMatches, with what might have been meant, when a key is not among these."""
    known = sorted(set(keys))
    if key in known:
        return
    near = get_close_matches(key, known, n=3) or known[:5]
    raise NoRunMatches(
        f"None of these runs has a {what} {one_line(key, 100)}.",
        f"There is {', '.join(one_line(one, 60) for one in near)}." if near else f"They have no {what} at all.",
    )


def _wrong_baseline(baseline: str | Mapping[str, str], study: Study, tables: RunTables) -> NoRunMatches | None:
    """Why that is no baseline; None where it is one."""
    if isinstance(baseline, str):
        names = texts_of(tables.runs.column("run_name"))
        if baseline in tables.run_ids or names.count(baseline) == 1:
            return None
        why = "the name of several of these runs" if baseline in names else "neither the id nor the name of a run here"
        return NoRunMatches(
            f"The baseline {one_line(baseline, 80)} is {why}.", "Name a run by its id, or give the params it alone has."
        )
    found = [one.experiment_id for one in study.configurations if _has(one, baseline)]
    if found and len(set(found)) == len(found):
        return None
    said = ", ".join(f"{one_line(key, 60)}={one_line(value, 60)}" for key, value in baseline.items())
    if not found:
        return NoRunMatches(f"No configuration has {said}.", "Name a run by its id, or give params that one has.")
    return NoRunMatches(f"{len(found):,} configurations have {said}.", "Add the params that tell them apart.")


def _has(configuration: Configuration, params: Mapping[str, str]) -> bool:
    """Whether the configuration has all of these, however their values are written."""
    of_it = dict(configuration.settings) | {key: value for key, value in configuration.params if value is not None}
    return all(key in of_it and canonical(of_it[key]) == canonical(value) for key, value in params.items())
