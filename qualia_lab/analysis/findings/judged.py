"""What the rules about evaluations and traces share: pairs of judged versions, names, and the latest spans."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.analysis.cut_requests import inputs_of_cut_requests
from qualia_lab.analysis.evaluations import evaluations_of, scorers_of
from qualia_lab.analysis.spans_read import MOST_INPUTS
from qualia_lab.analysis.version_comparison import compare_versions
from qualia_lab.escaping import one_line
from qualia_lab.genai_tables import with_few_inputs
from qualia_lab.names import distinct_names
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.analysis.evaluations import Evaluation
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.version_comparison import VersionComparison
    from qualia_lab.genai_tables import TraceTables

MOST_PAIRS = 5  # latest pairs of versions of an experiment that are compared
MOST_IDS = 20  # traces that a finding refers to

_WIDTH = 60


@dataclass(frozen=True)
class JudgedPair:
    """Two evaluations of one experiment, one after the other, that have rows in common."""

    experiment_id: str
    first: Evaluation
    second: Evaluation
    comparison: VersionComparison


def evaluations(evidence: Evidence) -> tuple[Evaluation, ...]:
    """The evaluations among the traces."""
    traces = evidence.traces
    if traces is None or not traces.assessments.num_rows:
        return ()
    return evidence.cached("evaluations", lambda: _evaluations(evidence, traces))


def judged_pairs(evidence: Evidence) -> tuple[JudgedPair, ...]:
    """The latest pairs of evaluations that follow each other in an experiment, the newest pair first.

    Evaluations of the same traces are no pair: there the judges differ, not the versions.
    """
    return evidence.cached("judged pairs", lambda: _judged_pairs(evidence))


def run_names(evidence: Evidence, *run_ids: str) -> list[str]:
    """The names of runs, distinct; the start of the id of a run that was not read."""
    names = [evidence.labels.get(run_id) or run_id[:8] for run_id in run_ids]
    return distinct_names(names, run_ids)


def model_names(evidence: Evidence, *model_ids: str) -> list[str]:
    """The names of logged models, distinct."""
    known = {}
    if evidence.models is not None:
        known = dict(
            zip(*(evidence.models.models.column(one).to_pylist() for one in ("model_id", "name")), strict=True)
        )
    return distinct_names([known.get(model_id) or "" for model_id in model_ids], model_ids)


def known_runs(evidence: Evidence, run_ids: Iterable[str]) -> tuple[str, ...]:
    """Those of the runs that were read, each once; for `Finding.run_ids`."""
    return tuple(run_id for run_id in dict.fromkeys(run_ids) if run_id in evidence.positions)


def experiment_of(evidence: Evidence, experiment_id: str | None) -> tuple[str, str]:
    """The start of a sentence about one of several experiments, and its name for `Finding.experiment`.

    Args:
        evidence: The evidence.
        experiment_id: The experiment.

    Returns:
        `In NAME: ` and the name; two empty texts if there is only one experiment.
    """
    columns = (evidence.tables.experiments.column(name).to_pylist() for name in ("experiment_id", "name"))
    names = dict(zip(*columns, strict=True)) | {task.experiment_id: task.experiment for task in evidence.study.tasks}
    ids = {task.experiment_id for task in evidence.study.tasks}
    if evidence.traces is not None:
        ids |= set(evidence.traces.traces.column("experiment_id").unique().to_pylist())
    if evidence.models is not None:
        ids |= set(evidence.models.models.column("experiment_id").unique().to_pylist())
    if len(ids - {None, ""}) < 2:
        return "", ""
    name = names.get(experiment_id or "") or f"experiment {experiment_id}"
    return f"In {one_line(name, _WIDTH)}: ", name


def latest_spans(evidence: Evidence) -> tuple[pa.Table, int]:
    """The spans of the latest traces, and of how many traces they were asked for."""
    return evidence.cached("latest spans", lambda: _latest_spans(evidence))


def of_latest(evidence: Evidence, count: int) -> str:
    """`of the latest 1,000 traces`, or `of 34 traces` if these are all."""
    total = evidence.traces.traces.num_rows if evidence.traces is not None else count
    return f"of the latest {count:,} traces" if count < total else f"of {count:,} trace{'' if count == 1 else 's'}"


def _latest_spans(evidence: Evidence) -> tuple[pa.Table, int]:
    if evidence.traces is None or evidence.read_spans is None:
        return pa.Table.from_batches([], schema.SPANS), 0
    times = evidence.traces.traces.column("request_time").to_pylist()
    ids = evidence.traces.traces.column("trace_id").to_pylist()
    latest = sorted(range(len(ids)), key=lambda row: (times[row] is None, -(times[row] or 0)))[:MOST_INPUTS]
    batches = evidence.read_spans([ids[row] for row in latest]) if latest else ()
    tables = [with_few_inputs(pa.Table.from_batches([batch])) for batch in batches]
    return pa.concat_tables([pa.Table.from_batches([], schema.SPANS), *tables]), len(latest)


def _evaluations(evidence: Evidence, traces: TraceTables) -> tuple[Evaluation, ...]:
    inputs = {} if evidence.read_spans is None else inputs_of_cut_requests(traces, evidence.read_spans)
    return evaluations_of(traces, inputs, evidence.evaluation_datasets)


def _judged_pairs(evidence: Evidence) -> tuple[JudgedPair, ...]:
    traces = evidence.traces
    if traces is None:
        return ()
    columns = ("trace_id", "experiment_id", "request_time")
    of_trace = {
        trace_id: (experiment_id or "", time or 0)
        for trace_id, experiment_id, time in zip(
            *(traces.traces.column(one).to_pylist() for one in columns), strict=True
        )
    }
    runs = rows_with(evidence.tables.runs, "run_id", [one.run_id for one in evaluations(evidence)])
    starts = dict(zip(*(runs.column(one).to_pylist() for one in ("run_id", "start_time")), strict=True))
    by_experiment: dict[str, list[tuple[int, str, Evaluation]]] = {}
    for one in evaluations(evidence):
        experiment_id, time = of_trace[one.rows[0].row_id]
        by_experiment.setdefault(experiment_id, []).append((starts.get(one.run_id) or time, one.run_id, one))
    better = evidence.study.settings.greater_is_better
    pairs = []
    for experiment_id in sorted(by_experiment):
        ordered = [one for *_, one in sorted(by_experiment[experiment_id], key=lambda entry: entry[:2])]
        scorers = scorers_of(ordered, better)
        of_experiment: list[JudgedPair] = []
        for first, second in reversed(list(pairwise(ordered))):
            if {row.row_id for row in first.rows} & {row.row_id for row in second.rows}:
                continue
            comparison = compare_versions(first, second, scorers)
            if comparison.rows.pairs and len(of_experiment) < MOST_PAIRS:
                of_experiment.append(JudgedPair(experiment_id, first, second, comparison))
        pairs += of_experiment
    return tuple(pairs)
