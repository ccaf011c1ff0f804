"""Tables of `Traces` as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from qualia_lab.analysis.model_usage import usage_by_model
from qualia_lab.analysis.repeated_calls import repeated_calls as find_repeated_calls
from qualia_lab.analysis.span_time import time_by_type as own_time_by_type
from qualia_lab.analysis.structured_text import text_of_json
from qualia_lab.analysis.trace_summary import summarise_traces
from qualia_lab.escaping import one_line
from qualia_lab.runs.frames import datetimes
from qualia_lab.tables import rows_with
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from qualia_lab.analysis.trace_errors import ErrorKind
    from qualia_lab.genai_tables import TraceTables

_NAME = 80
_SHOWN = 200  # characters of a request, a response, an input or a message
_STATES = {"OK": "finished", "ERROR": "failed", "IN_PROGRESS": "not finished"}


def summary(tables: TraceTables, experiments: Mapping[str, str]) -> pd.DataFrame:
    """A row per experiment, see `Traces.summary`."""
    import pandas as pd

    rows = []
    for experiment_id in pc.unique(tables.traces.column("experiment_id")).to_pylist():
        found = summarise_traces(rows_with(tables.traces, "experiment_id", [experiment_id]))
        latency = found.latency
        rows.append(
            {
                "experiment": one_line(experiments.get(experiment_id or "", experiment_id or ""), _NAME),
                "traces": found.traces,
                "failed": found.failed,
                "unfinished": found.unfinished,
                "median (s)": latency.p50 / 1000 if latency else None,
                "p95 (s)": latency.p95 / 1000 if latency else None,
                "longest (s)": latency.longest / 1000 if latency else None,
                "tokens": int(found.total_tokens.total) if found.total_tokens.n else None,
                "USD": found.total_cost.total if found.total_cost.n else None,
                "first (UTC)": found.first,
                "last (UTC)": found.last,
                "timed": latency.n if latency else 0,
                "with tokens": found.total_tokens.n,
                "with cost": found.total_cost.n,
            }
        )
    frame = _in_seconds(pd.DataFrame(rows).set_index("experiment"), "first (UTC)", "last (UTC)")
    numbers = ("median (s)", "p95 (s)", "longest (s)", "USD")
    frame = frame.astype({"tokens": "Int64", **dict.fromkeys(numbers, "Float64")})
    unsaid = [name for name in ("timed", "with tokens", "with cost") if (frame[name] == frame["traces"]).all()]
    unsaid += [f"with {what}" for what, of in (("tokens", "tokens"), ("cost", "USD")) if frame[of].isna().all()]
    return frame.drop(columns=list(dict.fromkeys(unsaid))).dropna(axis="columns", how="all")


def errors(kinds: Sequence[ErrorKind], tables: TraceTables, known: int, over: str) -> pd.DataFrame:
    """A row per kind of error, of so many known ones, see `Traces.errors`."""
    import pandas as pd

    columns = (tables.traces.column(name).to_pylist() for name in ("trace_id", "request_time"))
    times = {trace_id: time for trace_id, time in zip(*columns, strict=True) if is_possible(time)}
    rows = [
        {
            "span": one_line(kind.span_name, _NAME),
            "traces": len(kind.trace_ids),
            "message": kind.message or "no message recorded",
            "spans": kind.spans,
            "last (UTC)": max((times[one] for one in kind.trace_ids if one in times), default=None),
            "example": one_line(kind.example, _SHOWN),
            "trace_id": one_line(kind.trace_ids[0], _NAME),
        }
        for kind in kinds
    ]
    frame = _in_seconds(pd.DataFrame(rows).set_index("span"), "last (UTC)")
    frame.attrs |= {"showing": f"{len(rows)} of {known}", "over": f"spans of {over}"}
    return frame


def traces(rows: pa.Table, reasons: Mapping[str, str] | None) -> pd.DataFrame:
    """A row per trace, see `Traces.examples`; `reasons` by trace id."""
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                "name": one_line(row["name"] or "", _NAME),
                "why": "" if reasons is None else one_line(reasons.get(row["trace_id"], ""), 300),
                "state": _STATES.get(row["state"] or "", one_line(row["state"] or "unknown", 30)),
                "took (s)": None if row["duration"] is None else row["duration"] / 1000,
                "tokens": row["total_tokens"],
                "USD": row["total_cost"],
                "requested (UTC)": row["request_time"],
                "request": preview(row["request_preview"]),
                "response": preview(row["response_preview"]),
                "trace_id": one_line(row["trace_id"], _NAME),
            }
            for row in rows.to_pylist()
        ]
    ).set_index("name")
    frame = _in_seconds(frame, "requested (UTC)")
    frame = frame.astype({"took (s)": "Float64", "tokens": "Int64", "USD": "Float64"})
    unsaid = [name for name in ("why", "request", "response") if not frame[name].any()]
    return frame.drop(columns=unsaid).dropna(axis="columns", how="all")


def by_model(spans: pa.Table, over: str) -> pd.DataFrame | None:
    """A row per language model, see `Traces.by_model`; None if there is none."""
    import pandas as pd

    usages = usage_by_model(spans) if spans.num_rows else ()
    if not usages:
        return None
    frame = pd.DataFrame(
        [
            {
                "model": one_line(one.model, _NAME),
                "calls": one.calls,
                "traces": one.traces,
                "input tokens": one.input_tokens,
                "output tokens": one.output_tokens,
                "USD": one.total_cost if one.without_cost < one.calls else None,
                "calls without cost": one.without_cost,
            }
            for one in usages
        ]
    ).set_index("model")
    if not frame["calls without cost"].any() or frame["USD"].isna().all():
        frame = frame.drop(columns="calls without cost")
    frame.attrs["over"] = f"spans of {over}"
    return frame.dropna(axis="columns", how="all")


def time_by_type(spans: pa.Table, over: str) -> pd.DataFrame:
    """A row per type of span, see `Traces.time_by_type`."""
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                "type": one_line(one.type, _NAME),
                "spans": one.spans,
                "time (s)": one.own_seconds,
                "share (%)": round(one.share * 100, 1),
                "untimed": one.untimed,
            }
            for one in own_time_by_type(spans)
        ]
    ).set_index("type")
    frame.attrs["over"] = f"spans of {over}"
    return frame if frame["untimed"].any() else frame.drop(columns="untimed")


def repeated_calls(spans: pa.Table, fewest: int, limit: int, over: str) -> pd.DataFrame | None:
    """A row per repeated call, see `Traces.repeated_calls`; None if there is none."""
    import pandas as pd

    found = find_repeated_calls(spans, fewest) if spans.num_rows else ()
    if not found:
        return None
    frame = pd.DataFrame(
        [
            {
                "tool": one_line(one.tool, _NAME),
                "calls": one.calls,
                "failed": one.failed,
                "is": "retry" if one.is_retry else "loop",
                "input": preview(one.inputs),
                "trace_id": one_line(one.trace_id, _NAME),
            }
            for one in found[:limit]
        ]
    ).set_index("tool")
    frame.attrs |= {"showing": f"{len(frame)} of {len(found)}", "over": f"inputs of {over}"}
    return frame


def preview(text: str | None) -> str:
    """The start of a text on one line: the text in a JSON text or in a mapping with one text."""
    return one_line(text_of_json(text or ""), _SHOWN)


def _in_seconds(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame with columns of milliseconds as times."""
    for name in names:
        numbers: Any = frame[name].astype("Float64").astype("float64")
        frame[name] = datetimes(numbers).dt.floor("s").dt.tz_localize(None)
    return frame
