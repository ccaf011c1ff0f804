"""Converts traces and assessments, as MLflow's JSON or YAML gives them, into rows; invalid values are reported.

MLflow 2 and 3 have different names for the same: request_id and trace_id, timestamp_ms and request_time, status and
state. The JSON of a server and the files of a folder have the same names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from qualia_lab.stores.values import integer, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qualia_lab.stores.genai_rows import GenAIRows

    Json = Mapping[str, Any]

SOURCE_RUN = "mlflow.sourceRun"
TRACE_NAME = "mlflow.traceName"
_TOKENS, _COST = "mlflow.trace.tokenUsage", "mlflow.trace.cost"
_SESSION, _USER, _MODEL = "mlflow.trace.session", "mlflow.trace.user", "mlflow.modelId"
_INPUTS, _OUTPUTS = "mlflow.traceInputs", "mlflow.traceOutputs"  # of MLflow 2, which had no previews
# The metadata that columns of `traces` are taken from; the tag is TRACE_NAME.
METADATA_OF_ROWS = (SOURCE_RUN, _SESSION, _USER, _MODEL, _TOKENS, _COST, _INPUTS, _OUTPUTS)

_STATES = {"TRACE_STATUS_UNSPECIFIED": "STATE_UNSPECIFIED"}
_SOURCE_TYPES = {"AI_JUDGE": "LLM_JUDGE"}
_ASSESSING_RUN = "mlflow.assessment.sourceRunId"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)


def add_trace(info: Json, tags: Mapping[str, str], metadata: Mapping[str, str], rows: GenAIRows) -> None:
    """Add a row of `traces`.

    Args:
        info: the trace, without tags and metadata; its values may be text.
        tags: its tags, at least the one with its name.
        metadata: its request metadata, at least METADATA_OF_ROWS.
        rows: the row is added to these.
    """
    trace_id = trace_id_of(info)
    read = _Reader(info, f"trace {trace_id}", rows)
    usage, costs = read.usage(metadata, _TOKENS), read.usage(metadata, _COST)
    rows.tables["traces"].append(
        (
            trace_id,
            read.value("experiment_id", lambda _: experiment_of(info)),
            metadata.get(SOURCE_RUN) or None,
            tags.get(TRACE_NAME),
            read.state(),
            read.request_time(),
            read.duration(),
            read.value("request_preview", text) or metadata.get(_INPUTS),
            read.value("response_preview", text) or metadata.get(_OUTPUTS),
            read.value("client_request_id", text) or None,
            metadata.get(_SESSION),
            metadata.get(_USER),
            metadata.get(_MODEL),
            *(read.of(usage, name, integer) for name in ("input_tokens", "output_tokens", "total_tokens")),
            read.of(costs, "total_cost", number),
        )
    )


def trace_id_of(info: Json) -> str:
    """The id of a trace; "" if it has none."""
    return str(info.get("trace_id") or info.get("request_id") or "")


def experiment_of(info: Json) -> str | None:
    """The experiment of a trace. Raises ValueError for a list or mapping."""
    place: Any = info.get("trace_location")
    place = place.get("mlflow_experiment") if isinstance(place, dict) else None
    return text(place.get("experiment_id") if isinstance(place, dict) else info.get("experiment_id"))


def add_assessments(trace_id: str, assessments: Iterable[Json], rows: GenAIRows) -> None:
    """Add rows of `assessments` of one trace, by creation time and id."""
    made = [_assessment(trace_id, assessment, rows) for assessment in assessments]
    rows.tables["assessments"] += sorted(made, key=lambda row: (row[-2] is None, row[-2] or 0, row[1] or ""))


def _assessment(trace_id: str, assessment: Json, rows: GenAIRows) -> tuple[Any, ...]:
    """A row of `assessments`."""
    assessment_id = str(assessment.get("assessment_id") or "")
    read = _Reader(assessment, f"assessment {assessment_id} of trace {trace_id}", rows)
    kind = next((kind for kind in ("expectation", "feedback", "issue") if assessment.get(kind)), None)
    if kind is None:
        rows.add_problem(read.of_what, "", "it is neither feedback nor an expectation nor an issue")
    content = _mapping(assessment.get(kind)) if kind else {}
    source, metadata = _mapping(assessment.get("source")), _mapping(assessment.get("metadata"))
    source_type = read.of(source, "source_type", text)
    valid = assessment.get("valid")
    return (
        trace_id,
        assessment_id or None,
        read.value("assessment_name", text),
        kind,
        read.value("value", lambda _: json_text(content) if kind == "issue" else _json_value(content)),
        read.value("error", lambda _: _error(content.get("error") or assessment.get("error"))),
        read.value("rationale", text) or None,
        _SOURCE_TYPES.get(source_type or "", source_type),
        read.of(source, "source_id", text),
        read.value("run_id", text) or read.of(metadata, _ASSESSING_RUN, text),
        read.value("span_id", text) or None,
        read.value("overrides", text) or None,
        valid not in (False, "false"),
        json_text(metadata) if metadata else None,
        read.value("create_time", milliseconds),
        read.value("last_update_time", milliseconds),
    )


def _json_value(content: Json) -> str | None:
    """The value of an assessment as JSON text; None if it has none. Raises ValueError for text that is not JSON."""
    serialized = content.get("serialized_value")
    if isinstance(serialized, dict):
        written = text(serialized.get("value")) or ""
        json.loads(written)
        return written
    value = content.get("value")
    return None if value is None else json_text(value)


def _error(error: Any) -> str | None:
    """The message of a judge's error, or its code if it has no message."""
    return text(error.get("error_message") or error.get("error_code")) if isinstance(error, dict) else text(error)


def json_text(value: Any) -> str:
    """The value as JSON text, as MLflow writes it, that UTF-8 can encode."""
    return text(json.dumps(value)) or ""


def milliseconds(value: Any) -> int | None:
    """Milliseconds since 1970 for a time such as 2026-01-20T12:51:36.189Z; None for no time. Raises ValueError."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("not a time in UTC")
    return (datetime.fromisoformat(value) - _EPOCH) // _MILLISECOND


def duration_ms(value: Any) -> int | None:
    """Milliseconds for a duration such as 17.129s; None for no duration. Raises ValueError."""
    if value is None or value == "":
        return None
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not a duration in seconds")
    sign, seconds, fraction = found.groups()
    nanoseconds = int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
    return (-nanoseconds if sign else nanoseconds) // 10**6


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class _Reader:
    """Typed access to the fields of a trace or an assessment; a field that cannot be read is reported and is None."""

    fields: Json
    of_what: str
    rows: GenAIRows

    def value(self, name: str, kind: Callable[[Any], Any]) -> Any:
        return self.of(self.fields, name, kind)

    def of(self, fields: Json, name: str, kind: Callable[[Any], Any]) -> Any:
        """A field of another mapping; None stays None unless `kind` finds the value elsewhere."""
        try:
            return kind(fields.get(name)) if name in fields or fields is self.fields else None
        except (ValueError, RecursionError) as error:
            self.rows.add_problem(self.of_what, name, error)
            return None

    def state(self) -> str | None:
        state: str | None = self.value("state" if "state" in self.fields else "status", text)
        return _STATES.get(state or "", state)

    def request_time(self) -> int | None:
        is_text = "request_time" in self.fields
        time: int | None = self.value("request_time", milliseconds) if is_text else self.value("timestamp_ms", integer)
        return time

    def duration(self) -> int | None:
        if "execution_duration" in self.fields:
            duration: int | None = self.value("execution_duration", duration_ms)
            return duration
        name = "execution_duration_ms" if "execution_duration_ms" in self.fields else "execution_time_ms"
        in_ms: int | None = self.value(name, integer)
        return in_ms

    def usage(self, metadata: Mapping[str, str], key: str) -> dict[str, Any]:
        """Tokens or costs, which are JSON in the metadata; {} if there are none."""
        return _mapping(self.of(metadata, key, json.loads)) if metadata.get(key) else {}
