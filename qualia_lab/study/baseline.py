"""The baseline that was said, against the runs: a person is told that it is not there, a project's rest goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.errors import NoRunMatches
from qualia_lab.escaping import one_line
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.study.study import Configuration, Study
    from qualia_lab.tables import RunTables


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
