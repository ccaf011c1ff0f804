"""Evaluations from the table `eval_results_table.json`, which `mlflow.evaluate` of MLflow 2 logs for a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.evaluations import Evaluation, EvaluationRow, Judgement, why_no_value
from qualia_lab.analysis.logged_tables import cell_text
from qualia_lab.analysis.row_keys import RowKeys, inputs_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.logged_tables import LoggedTable

FILE_NAME = "eval_results_table.json"

# Scores of MLflow 2 (`toxicity/v1/score`) and of tables made from MLflow 3 (`correctness/value`).
_SCORES = ("/score", "/value")
_REASONS = ("/justification", "/rationale")
_ERRORS = ("/error_message",)
_OUTPUTS = ("outputs", "output", "prediction", "predictions", "response", "answer")
_TARGETS = ("targets", "target", "ground_truth", "label", "expected_response", "expectations")
_INPUTS = ("inputs", "input", "request", "question", "query", "prompt")
_OF_MLFLOW = ("latency", "token_count", "trace", "trace_id", "request_id", "client_request_id")


def evaluation_of_table(
    run_id: str, table: LoggedTable, input_columns: Sequence[str] | None = None
) -> Evaluation | None:
    """The evaluation in a logged table.

    Args:
        run_id: the run that logged it.
        table: the table, as `logged_tables.read_logged_table` parses it.
        input_columns: the columns by which rows are the same. None for `inputs`, `question` or another usual name, and
            else for all columns that are no scores, reasons, outputs or targets.

    Returns:
        The evaluation, with `latency` in seconds as the duration; None where the table has no scores.
    """
    columns = {name: place for place, name in enumerate(table.columns)}
    scorers = {_without(name, _SCORES): place for name, place in columns.items() if name.endswith(_SCORES)}
    if not scorers:
        return None
    reasons = {_without(name, _REASONS): place for name, place in columns.items() if name.endswith(_REASONS)}
    errors = {_without(name, _ERRORS): place for name, place in columns.items() if name.endswith(_ERRORS)}
    keyed = [columns[name] for name in input_columns or _input_columns(table.columns) if name in columns]
    output = next((columns[name] for name in _OUTPUTS if name in columns), None)
    rows = []
    for number, row in enumerate(table.rows, 1):
        inputs = [row[place] for place in keyed]
        shown = (
            inputs[0] if len(inputs) == 1 else dict(zip((table.columns[place] for place in keyed), inputs, strict=True))
        )
        latency, tokens = (
            _number(row[columns[name]]) if name in columns else None for name in ("latency", "token_count")
        )
        request = row[columns["client_request_id"]] if "client_request_id" in columns else ""
        rows.append(
            EvaluationRow(
                f"row {number}",
                RowKeys(request=request if isinstance(request, str) else "", inputs=inputs_key(shown)),
                cell_text(shown),
                "" if output is None else cell_text(row[output]),
                {
                    name: _judgement(row[place], _text(row, reasons.get(name)), _text(row, errors.get(name)))
                    for name, place in sorted(scorers.items())
                },
                duration=None if latency is None else latency * 1000,
                total_tokens=tokens,
            )
        )
    return Evaluation(run_id, tuple(rows))


def _input_columns(names: Sequence[str]) -> Sequence[str]:
    usual = [name for name in _INPUTS if name in names][:1]
    others = (*_OUTPUTS, *_TARGETS, *_OF_MLFLOW)
    return usual or [name for name in names if "/" not in name and name not in others]


def _judgement(value: Any, rationale: str, error: str) -> Judgement:
    """A score that is null is a judge that failed: the metric was computed for all rows."""
    why = why_no_value(value, error)
    return Judgement(() if why else (value,), why, rationale)


def _text(row: Sequence[Any], place: int | None) -> str:
    return "" if place is None else cell_text(row[place])


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _without(name: str, endings: Sequence[str]) -> str:
    return next(name.removesuffix(ending) for ending in endings if name.endswith(ending))
