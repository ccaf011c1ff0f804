"""The sections that a template can name: the fixed ones of `fixed`, and one module for each of the others."""

from __future__ import annotations

from qualia_lab.sections import (
    abstract,
    aggregates,
    candidates,
    configuration,
    decision,
    each_run,
    failures,
    fixed,
    groups,
    headline,
    importance,
    loading,
    params,
    progress,
    relations,
    title,
    traces,
    trade_offs,
)

SECTIONS = {
    section.name: section
    for section in (
        title.SECTION,
        configuration.SECTION,
        loading.SECTION,
        each_run.SECTION,
        params.SECTION,
        groups.SECTION,
        relations.SECTION,
        importance.SECTION,
        trade_offs.SECTION,
        progress.SECTION,
        failures.SECTION,
        candidates.SECTION,
        decision.SECTION,
        abstract.SECTION,
        *headline.SECTIONS,
        *fixed.SECTIONS,
        *aggregates.SECTIONS,
        *traces.SECTIONS,
    )
}
