"""Runs alike but for their seed, averaged."""

from __future__ import annotations

from qualia_lab.analysis.groups import is_seed_like
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Groups of seeds

Runs whose params are alike but for the seed are one configuration: n of them, their mean, and its 95 % interval."""


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    if brief.selection.primary_metric is None:
        return "no run has a metric"
    seeds = [key for key in brief.inventory.varying_params if is_seed_like(key)]
    return None if seeds else "no seed-like param varies (seed, random_state, fold, ...)"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("groups:heading", _HEADING), code("groups", "runs.groups(PRIMARY_METRIC)"))


SECTION = Section("groups", "Groups of seeds", _cells, _why_not)
