"""Check the baseline in the settings: if no run matches, an error for a user, and a note for a project."""

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
    """Remove a baseline of [tool.qualia] that is not among the configurations, and add a note about it.

    Args:
        study: the study, with the baseline in its settings.
        tables: the tables of the runs.

    Raises:
        NoRunMatches: a user named a baseline that is neither a run nor a configuration.
    """
    baseline = study.settings.baseline
    if baseline is None:
        return study
    error = _baseline_error(baseline, study, tables)
    if error is None:
        return study
    if study.settings.source("baseline") == "person":
        raise error
    return replace(
        study,
        settings=replace(study.settings, baseline=None),
        notes=(*study.notes, f"The baseline of [tool.qualia] is not among these runs: {error.message}"),
    )


def _baseline_error(baseline: str | Mapping[str, str], study: Study, tables: RunTables) -> NoRunMatches | None:
    """Why the baseline matches no run or configuration; None if it matches."""
    if isinstance(baseline, str):
        names = texts_of(tables.runs.column("run_name"))
        if baseline in tables.run_ids or names.count(baseline) == 1:
            return None
        why = "the name of several of these runs" if baseline in names else "neither the id nor the name of a run here"
        return NoRunMatches(
            f"The baseline {one_line(baseline, 80)} is {why}.",
            "Name a run by its id, or give params that only it has.",
        )
    experiment_ids = [one.experiment_id for one in study.configurations if _has(one, baseline)]
    if experiment_ids and len(set(experiment_ids)) == len(experiment_ids):
        return None
    params = ", ".join(f"{one_line(key, 60)}={one_line(value, 60)}" for key, value in baseline.items())
    if not experiment_ids:
        return NoRunMatches(f"No configuration has {params}.", "Name a run by its id, or give params that one has.")
    return NoRunMatches(f"{len(experiment_ids):,} configurations have {params}.", "Add params that distinguish them.")


def _has(configuration: Configuration, params: Mapping[str, str]) -> bool:
    """Whether the configuration has all of these params, regardless of how the values are written."""
    values = dict(configuration.settings) | {key: value for key, value in configuration.params if value is not None}
    return all(key in values and canonical(values[key]) == canonical(value) for key, value in params.items())
