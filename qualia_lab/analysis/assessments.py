"""The assessments of traces that count: valid ones, the latest of each source, with their values parsed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.structured_text import parse_json
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

HUMAN = "HUMAN"
_FORMER_TYPES = {"AI_JUDGE": "LLM_JUDGE"}  # as MLflow 2 wrote it

_COLUMNS = [
    *("trace_id", "name", "value", "error", "rationale", "source_type", "source_id", "run_id", "assessment_id"),
    *("valid", "overrides", "creation_time", "last_updated_time"),
]
_SHORT = 100  # characters of a value that is parsed once for all assessments: most are true, false or a number

AssessmentKind = Literal["feedback", "expectation"]


@dataclass(frozen=True, slots=True)
class Assessment:
    """One assessment of a trace.

    Attributes:
        trace_id: the trace.
        name: what is judged, such as `correctness`.
        value: the parsed JSON value; None for none.
        error: the message of a judge that failed; "" if it did not.
        rationale: why, in the words of who judged; "" for none.
        source_type: HUMAN, LLM_JUDGE or CODE.
        source_id: who or what judged.
        run_id: the run that judged it; "" for none.
        assessment_id: its id.
        replaced_by_other: whether a source of another type replaced it, such as a human a judge.
    """

    trace_id: str
    name: str
    value: Any
    error: str = ""
    rationale: str = ""
    source_type: str = "CODE"
    source_id: str = ""
    run_id: str = ""
    assessment_id: str = ""
    replaced_by_other: bool = False

    @property
    def is_human(self) -> bool:
        """Whether a human judged."""
        return self.source_type == HUMAN


def assessments_that_count(table: pa.Table, kind: AssessmentKind = "feedback") -> list[Assessment]:
    """The valid assessments of one kind; of each source the latest for a trace, a name and a run.

    Args:
        table: schema.ASSESSMENTS.
        kind: feedback or expectation.

    Returns:
        The assessments, by trace in the order of the table, then by time and id.
    """
    return _latest(row for row in _rows(table, kind) if row["valid"] is not False)


def first_opinions(table: pa.Table) -> list[Assessment]:
    """What each source said itself: as `assessments_that_count`, and feedback that another type of source replaced.

    When a human corrects a judge, MLflow marks the judge's feedback as not valid. It says nothing about the trace any
    more, but how often a human disagrees with the judge cannot be counted without it.
    """
    rows = list(_rows(table, "feedback"))
    types = {row["assessment_id"]: row["source_type"] for row in rows}
    replacing = {row["overrides"]: row["source_type"] for row in rows if row["overrides"]}
    kept = []
    for row in rows:
        by_type = replacing.get(row["assessment_id"])
        is_replaced_by_other = by_type is not None and by_type != types[row["assessment_id"]]
        if row["valid"] is not False or is_replaced_by_other:
            kept.append({**row, "replaced_by_other": row["valid"] is False})
    return _latest(kept)


def _rows(table: pa.Table, kind: AssessmentKind) -> Iterable[dict[str, Any]]:
    """The rows of one kind that name their trace and what is judged."""
    rows = rows_with(table, "kind", [kind]).select(_COLUMNS).to_pylist()
    return (row for row in rows if row["trace_id"] and row["name"])


def _latest(rows: Iterable[dict[str, Any]]) -> list[Assessment]:
    """The latest row of each source for a trace, a name and a run."""
    latest: dict[tuple[str | None, ...], tuple[tuple[int, str], dict[str, Any]]] = {}
    for row in rows:
        place = (row["trace_id"], row["name"], row["source_type"], row["source_id"] or "", row["run_id"] or "")
        order = (row["last_updated_time"] or row["creation_time"] or 0, row["assessment_id"] or "")
        if place not in latest or order >= latest[place][0]:
            latest[place] = (order, row)
    return [_assessment(row) for _, row in latest.values()]


def _assessment(row: dict[str, Any]) -> Assessment:
    return Assessment(
        row["trace_id"],
        row["name"],
        _short_value(row["value"]) if len(row["value"] or "") <= _SHORT else _value(row["value"]),
        row["error"] or "",
        row["rationale"] or "",
        _FORMER_TYPES.get(row["source_type"], row["source_type"] or ""),
        row["source_id"] or "",
        row["run_id"] or "",
        row["assessment_id"] or "",
        row.get("replaced_by_other", False),
    )


@lru_cache(maxsize=4096)
def _short_value(text: str | None) -> Any:
    return _value(text)


def _value(text: str | None) -> Any:
    """The value of a JSON text; the text itself where it is no JSON."""
    if text is None:
        return None
    try:
        return parse_json(text)
    except ValueError:
        return text
