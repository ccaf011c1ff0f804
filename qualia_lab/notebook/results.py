"""What an executed notebook says about its runs, read from its cells, or from its record if outputs were cleared."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.changes import FindingResult, Results, RunResult
from qualia_lab.charts.findings_card import FINDINGS_MIME
from qualia_lab.charts.headline_card import HEADLINE_MIME
from qualia_lab.notebook.generated import (
    NAMESPACE,
    digest,
    digest_of_sources,
    generated_as_metadata,
    read_generated,
)
from qualia_lab.notebook.page.run_data import embedded_runs, last_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def read_results(notebook: Mapping[str, Any], run_ids: Sequence[str]) -> Results:
    """Return what a notebook says.

    Args:
        notebook: a notebook of nbformat 4; its content is not trusted.
        run_ids: the ids in its `parameters` cell.

    Returns:
        What its outputs say; if it has none, what its record says about the last time that its cells ran.
    """
    generated = read_generated(notebook)
    when = generated.written if generated else ""
    now = results_of(notebook["cells"], run_ids, when=when)
    recorded = results_from_data(generated.results if generated else {}, when=when)
    if now.findings is None and now.lead is None and recorded.runs:
        return recorded
    return now


def results_of(cells: Iterable[Mapping[str, Any]], run_ids: Sequence[str], *, when: str) -> Results:
    """Return what the outputs of cells say.

    Args:
        cells: cells of a notebook; their content is not trusted.
        run_ids: the ids of the runs.
        when: when the cells ran.
    """
    cells = list(cells)
    data = embedded_runs(cells)
    known = {one["id"]: one for one in (data["runs"] if data else ())}
    runs = {run_id: _run_result(run_id, known.get(run_id)) for run_id in run_ids}
    lead = last_output(cells, HEADLINE_MIME, dict)
    findings = last_output(cells, FINDINGS_MIME, list)
    return Results(when, runs, _sentences(lead), _findings(findings))


def record_execution(notebook: dict[str, Any], *, exports: Iterable[str], data: str, results: Results) -> None:
    """Record in a generated notebook that its cells ran; do nothing for another notebook.

    Args:
        notebook: a notebook of nbformat 4, which is modified.
        exports: the formats of the exports that are made.
        data: a digest of the data of the runs.
        results: what the outputs say.
    """
    before = read_generated(notebook)
    if before is None:
        return
    after = replace(
        before,
        exports=tuple(dict.fromkeys((*before.exports, *exports))),
        written=results.when,
        data=data,
        results=results_as_data(results),
        sources=digest_of_sources(notebook),
    )
    notebook["metadata"][NAMESPACE] = generated_as_metadata(after)


def results_as_data(results: Results) -> dict[str, Any]:
    """Return results as a JSON-compatible dict, for the record of a notebook."""
    return {
        "runs": {run_id: [run.label, run.status, run.values] for run_id, run in results.runs.items()},
        "lead": None if results.lead is None else list(results.lead),
        "findings": None if results.findings is None else [asdict(finding) for finding in results.findings],
    }


def results_from_data(data: Mapping[str, Any], *, when: str) -> Results:
    """Return the results in a record, without the parts that are damaged; empty ones if it has none."""
    runs = data.get("runs")
    texts = {
        run_id: [text if isinstance(text, str) else "" for text in run[:3]]
        for run_id, run in (runs.items() if isinstance(runs, dict) else ())
        if isinstance(run, list) and run
    }
    results = {run_id: RunResult(*run) for run_id, run in texts.items()}
    return Results(when, results, _sentences(data), _findings(data.get("findings")))


def _run_result(run_id: str, run: Mapping[str, Any] | None) -> RunResult:
    if run is None:
        return RunResult(run_id[:8])
    metrics = json.dumps(run["metrics"], sort_keys=True)
    return RunResult(run["label"] or run_id[:8], run["status"], digest(metrics)[:8])


def _sentences(headline: object) -> tuple[str, ...] | None:
    lead = headline.get("lead") if isinstance(headline, dict) else None
    return tuple(filter(_is_text, lead)) if isinstance(lead, list) else None


def _findings(found: object) -> tuple[FindingResult, ...] | None:
    if not isinstance(found, list):
        return None
    return tuple(_finding(one) for one in found if isinstance(one, dict))


def _finding(one: Mapping[str, Any]) -> FindingResult:
    keys = one.get("keys")
    return FindingResult(
        rule=_text(one.get("rule")),
        severity=_text(one.get("severity")),
        experiment=_text(one.get("experiment")),
        keys=tuple(filter(_is_text, keys)) if isinstance(keys, list | tuple) else (),
        sentence=_text(one.get("sentence")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str)
