"""Evaluations: the judged rows of a run, from its traces or from the table that `mlflow.evaluate` of 2.x logs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.assessments import assessments_that_count
from qualia_lab.analysis.row_keys import RowKeys, keys_of_trace, record_of_inputs
from qualia_lab.analysis.scorers import is_undecided, read_scorers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qualia_lab.analysis.assessments import Assessment
    from qualia_lab.analysis.scorers import Scorer
    from qualia_lab.genai_tables import EvaluationTables, TraceTables

# The tag of traces that a scorer made while it judged (mlflow.tracing.constant, TraceTagKey.SOURCE_SCORER_NAME).
SCORER_TRACE_TAG = "mlflow.trace.sourceScorer"
OWN_TAGS = "mlflow."

_COLUMNS = [
    *("trace_id", "run_id", "state", "duration", "request_preview", "response_preview", "client_request_id"),
    *("total_tokens", "total_cost"),
]


@dataclass(frozen=True)
class Judgement:
    """What one scorer says of one row.

    Attributes:
        values: the values of its judges, the latest valid one of each; () where all of them failed.
        error: the message of a judge that failed, or that a judge was undecided; "" where none was.
        rationale: the reasons given, joined.
        is_human: whether humans judged, because no judge did or because they replaced it.
    """

    values: tuple[Any, ...]
    error: str = ""
    rationale: str = ""
    is_human: bool = False

    def number(self, scorer: Scorer) -> float | None:
        """The mean of the values as numbers; None where there is none."""
        numbers = [number for value in self.values if (number := scorer.number(value)) is not None]
        return sum(numbers) / len(numbers) if numbers else None


@dataclass(frozen=True)
class EvaluationRow:
    """One row of an evaluation.

    Attributes:
        row_id: the trace id, or `row 3` of a logged table.
        keys: by what the row is recognised in another evaluation.
        inputs: the request, as far as it is known.
        outputs: the response, as far as it is known.
        judgements: what each scorer says of it, by name.
        tags: the tags of the user and of the dataset record, for slices.
        failed: whether the trace has the state ERROR.
        duration: in ms; None if unknown or unfinished.
        total_tokens: None if unknown.
        total_cost: in USD; None if unknown.
    """

    row_id: str
    keys: RowKeys
    inputs: str = ""
    outputs: str = ""
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    duration: float | None = None
    total_tokens: float | None = None
    total_cost: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """The rows of one run that were judged.

    Attributes:
        run_id: the run.
        rows: its rows, in the order of the store.
        without_feedback: the traces of the run that nobody judged; they are rows too.
    """

    run_id: str
    rows: tuple[EvaluationRow, ...]
    without_feedback: int = 0

    @cached_property
    def scorer_names(self) -> tuple[str, ...]:
        """The names of all scorers, sorted."""
        return tuple(sorted({name for row in self.rows for name in row.judgements}))


def evaluations_of(
    tables: TraceTables, inputs: Mapping[str, str] | None = None, datasets: EvaluationTables | None = None
) -> tuple[Evaluation, ...]:
    """The evaluations among traces: the traces of each run that has feedback on any of them.

    A trace belongs to the run that was active when it was made and to those it is linked to. Of its feedback, that of
    the run and that of no run counts; feedback that another run logged on the same trace belongs to the other run.
    Traces that scorers made themselves are left out.

    Args:
        tables: traces with tags, links and assessments.
        inputs: the inputs of root spans as JSON, by trace id, where they are known: they pair rows whose previews are
            cut.
        datasets: the evaluation datasets whose records are recognised by their inputs.

    Returns:
        The evaluations, sorted by run id.
    """
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for tag in tables.tags.to_pylist():
        tags[tag["trace_id"]][tag["key"]] = tag["value"] or ""
    feedback: dict[str, list[Assessment]] = defaultdict(list)
    for one in assessments_that_count(tables.assessments):
        feedback[one.trace_id].append(one)
    runs_of: dict[str, dict[str, None]] = defaultdict(dict)
    traces = {row["trace_id"]: row for row in tables.traces.select(_COLUMNS).to_pylist()}
    for trace_id, trace in traces.items():
        if trace["run_id"]:
            runs_of[trace["run_id"]][trace_id] = None
    for link in tables.links.to_pylist():
        if link["trace_id"] in traces:
            runs_of[link["run_id"]][link["trace_id"]] = None
    records = {} if datasets is None else record_of_inputs(datasets.records)
    evaluations = []
    for run_id in sorted(run_id for run_id, ids in runs_of.items() if any(trace_id in feedback for trace_id in ids)):
        rows = [
            _row(
                traces[trace_id],
                run_id,
                feedback.get(trace_id, ()),
                tags[trace_id],
                inputs=(inputs or {}).get(trace_id),
                records=records,
            )
            for trace_id in runs_of[run_id]
            if SCORER_TRACE_TAG not in tags[trace_id]
        ]
        if any(row.judgements for row in rows):
            evaluations.append(Evaluation(run_id, tuple(rows), sum(not row.judgements for row in rows)))
    return tuple(evaluations)


def scorers_of(evaluations: Iterable[Evaluation], better: Mapping[str, bool] | None = None) -> dict[str, Scorer]:
    """The scorers of these evaluations, each described by all of its values.

    Args:
        evaluations: the evaluations.
        better: whether higher is better for some scorers, as the user said.
    """
    values: dict[str, list[Any]] = defaultdict(list)
    for evaluation in evaluations:
        for row in evaluation.rows:
            for name, judgement in row.judgements.items():
                values[name].extend(judgement.values)
    return read_scorers(values, better)


def judgement_of(assessments: Sequence[Assessment]) -> Judgement:
    """What the assessments of one name say of one trace: those of judges and code, else those of humans."""
    judges = [one for one in assessments if not one.is_human]
    used = judges or list(assessments)
    errors = [why_no_value(one.value, one.error) for one in used]
    values = tuple(one.value for one, error in zip(used, errors, strict=True) if not error)
    rationale = " / ".join(dict.fromkeys(one.rationale for one in used if one.rationale))
    return Judgement(values, next(filter(None, errors), ""), rationale, is_human=not judges)


def why_no_value(value: Any, error: str) -> str:
    """Why a judgement failed: its error, no value, or an undecided judge; "" where it did not."""
    if error:
        return error
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return "no value"
    return "undecided" if is_undecided(value) else ""


def _row(
    trace: dict[str, Any],
    run_id: str,
    feedback: Sequence[Assessment],
    tags: Mapping[str, str],
    *,
    inputs: str | None,
    records: Mapping[str, tuple[str, Mapping[str, str]]],
) -> EvaluationRow:
    by_name: dict[str, list[Assessment]] = defaultdict(list)
    for one in feedback:
        if one.run_id in ("", run_id):
            by_name[one.name].append(one)
    keys = keys_of_trace(trace, inputs, records)
    of_record = records[keys.inputs][1] if keys.record else {}
    return EvaluationRow(
        trace["trace_id"],
        keys,
        inputs or trace["request_preview"] or "",
        trace["response_preview"] or "",
        {name: judgement_of(by_name[name]) for name in sorted(by_name)},
        {**of_record, **{key: value for key, value in tags.items() if not key.startswith(OWN_TAGS)}},
        trace["state"] == "ERROR",
        None if trace["state"] == "IN_PROGRESS" else trace["duration"],
        trace["total_tokens"],
        trace["total_cost"],
    )
