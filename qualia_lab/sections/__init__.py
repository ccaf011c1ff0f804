"""The chapters a template can name: to add one is a file here and a line below."""

from __future__ import annotations

from qualia_lab.sections import (
    aggregates,
    artifacts,
    bands,
    baseline,
    configuration,
    curves,
    each_run,
    environments,
    exploration,
    findings,
    groups,
    importance,
    loading,
    metrics,
    origins,
    overview,
    paper_table,
    params,
    progress,
    relations,
    setup,
    system,
    timeline,
    title,
    trade_offs,
)

SECTIONS = {
    module.SECTION.name: module.SECTION
    for module in (
        title,
        setup,
        configuration,
        loading,
        findings,
        overview,
        each_run,
        params,
        metrics,
        groups,
        baseline,
        paper_table,
        curves,
        bands,
        relations,
        importance,
        trade_offs,
        progress,
        timeline,
        system,
        origins,
        environments,
        artifacts,
        exploration,
    )
} | {section.name: section for section in aggregates.SECTIONS}
