"""One trace for people: what is known of it, its spans as a tree, and its assessments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qualia_lab import console
from qualia_lab.analysis.trace_text import dollars
from qualia_lab.cli.trace_rows import json_value, state_sign, took
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SPANS = 200  # spans of a trace that are shown; the others are only counted
DEPTH = 40  # levels of the tree that are indented
_NAME = 60  # characters of the name and the source of an assessment
_TEXT = 300  # characters of inputs, outputs, values and messages


def show_trace(trace: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> None:
    """Write one trace to stdout.

    Args:
        trace: a row of `nested_rows`.
        spans: its rows of schema.SPANS.
    """
    from qualia_lab.chooser.formatting import moment

    console.sentence(f"{trace['name'] or 'a trace without a name'} · {trace['trace_id']}", state_sign(trace["state"]))
    tokens = f"{trace['total_tokens']:,} tokens" if trace["total_tokens"] is not None else ""
    facts = (moment(trace["request_time"]), took(trace["duration"]), tokens, dollars(trace["total_cost"]))
    console.sentence(" · ".join(filter(None, facts)), indent=2)
    for key, name in (("experiment", "experiment"), ("run_id", "run"), ("session_id", "session"), ("user", "user")):
        if trace[key]:
            console.sentence(f"{name} {trace[key]}", indent=2)
    for key in ("request_preview", "response_preview"):
        if not spans and trace.get(key):
            _show_text(key.removesuffix("_preview"), trace[key], "  ")
    if not spans:
        console.sentence("Its spans are not in the store, or it has none yet.", indent=2)
    for depth, span in list(_in_tree(spans))[:SPANS]:
        _show_span(span, "  " * min(depth + 1, DEPTH))
    if len(spans) > SPANS:
        console.sentence(f"and {len(spans) - SPANS:,} more spans; --json shows all of them", indent=2)
    for each in trace["assessments"]:
        _show_assessment(each)


def _in_tree(spans: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each span once with its depth, below its parent; a span without a known parent, or in a circle, is a root."""
    ids = {span["span_id"] for span in spans}
    children: dict[str | None, list[Mapping[str, Any]]] = {}
    for span in spans:
        parent = span["parent_id"] if span["parent_id"] in ids and span["parent_id"] != span["span_id"] else None
        children.setdefault(parent, []).append(span)
    seen: set[int] = set()
    roots = [*children.get(None, ()), *spans]  # a span in a circle is reached only by itself
    for root in roots:
        stack = [(0, root)]
        while stack:
            depth, span = stack.pop()
            if id(span) in seen:
                continue
            seen.add(id(span))
            yield depth, span
            stack += [(depth + 1, child) for child in reversed(children.get(span["span_id"], ()))]


def _show_span(span: Mapping[str, Any], margin: str) -> None:
    nanoseconds = (span["start_ns"], span["end_ns"])
    length = "not ended" if None in nanoseconds else took((nanoseconds[1] - nanoseconds[0]) / 1e6)
    words = [span["type"] or "", span["name"] or "", length, span["model"] or ""]
    words += [dollars(span["total_cost"]), span["status"] if span["status"] == "ERROR" else ""]
    console.sentence(" · ".join(filter(None, words)), indent=len(margin))
    for name in ("inputs", "outputs"):
        if span[name] is not None and span[name] != "null":
            _show_text(name, span[name], f"{margin}  ")
    if span["status_message"]:
        _show_text("error", span["status_message"], f"{margin}  ")


def _show_assessment(each: Mapping[str, Any]) -> None:
    from_whom = " ".join(filter(None, (each["source_type"], each["source_id"])))
    value = f"failed: {each['error']}" if each["error"] else _plain(each["value"])
    replaced = "replaced" if each["valid"] is False else ""
    name = one_line(each["name"] or "", _NAME)
    words = (f"{each['kind']} {name} = {one_line(value, _TEXT)}", one_line(from_whom, _NAME), replaced)
    console.sentence(" · ".join(filter(None, words)), indent=2)
    if each.get("rationale"):
        _show_text("because", each["rationale"], "    ")


def _show_text(name: str, text: str, margin: str) -> None:
    """A text of the store on one line, cut."""
    shown = one_line(_plain(json_value(text)), _TEXT)
    console.sentence(f"{name}: {shown}", indent=len(margin))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
