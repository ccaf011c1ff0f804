"""What stands out among traces, with or without runs: the rules are applied to the latest ones."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings import find_findings
from qualia_lab.analysis.findings.evidence import collect_evidence
from qualia_lab.analysis.findings.finding import Finding
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.analysis.spans_read import MOST_BARE
from qualia_lab.counts import counted
from qualia_lab.runs.labels import labels_of
from qualia_lab.schema import EXPERIMENTS
from qualia_lab.settings import find_settings
from qualia_lab.study.study import Study
from qualia_lab.tables import run_tables, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.runs.trace_source import TraceSource

_RUNS = "runs."  # the start of code that needs loaded runs


def find_in_traces(source: TraceSource, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Find what stands out among the latest MOST_BARE traces.

    Args:
        source: the traces.
        thresholds: thresholds by the name of a rule, which take precedence over those of the project.

    Raises:
        QualiaLabError: there is no such rule or threshold.
        StoreError: the store cannot be read.
    """
    study = find_settings().study
    chosen = chosen_thresholds({**study.findings, **thresholds})
    findings = find_findings(_evidence(source, Study(settings=study)), chosen)
    found = tuple(replace(one, code="") if one.code.startswith(_RUNS) else one for one in findings)
    rest = source.tables.traces.num_rows - MOST_BARE
    if rest <= 0:
        return found
    sentence = f"Not examined: the {counted(rest, 'earliest trace')}."
    return (*found, Finding("not_examined", "not examined", "note", sentence, section="findings"))


def examined(source: TraceSource) -> str:
    """The traces that the rules were applied to, if these are not all: `latest 20,000 of 30,000 traces`; else ""."""
    total = source.tables.traces.num_rows
    return f"latest {MOST_BARE:,} of {total:,} traces" if total > MOST_BARE else ""


def _evidence(source: TraceSource, study: Study) -> Evidence:
    """The evidence of traces alone. Rules about runs find nothing in it."""
    tables = source.of(list(source.chosen.latest))
    names = source.names_in(tables)
    rows = [{"experiment_id": one, "name": name} for one, name in source.experiments.items()]
    runs = run_tables(experiments=table_of(EXPERIMENTS, rows))
    labels = labels_of(run_tables(runs=names.runs))
    evidence = collect_evidence(runs, study, labels, lambda _ids, _keys: (), now=int(time.time() * 1000))
    reads = None if source.store is None else source.store.read_spans
    return replace(evidence, traces=tables, models=names.models, read_spans=reads)
