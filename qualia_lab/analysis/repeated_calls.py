"""Tools that a trace calls again with the same input: retries and loops."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.row_keys import inputs_key
from qualia_lab.genai_tables import TOOL

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class RepeatedCall:
    """One tool with one input in one trace, called several times.

    Attributes:
        trace_id: the trace.
        tool: the name of the spans.
        calls: how many.
        failed: how many of them failed: all but the last one is a retry, none of them a loop.
        inputs: the input as recorded.
    """

    trace_id: str
    tool: str
    calls: int
    failed: int
    inputs: str

    @property
    def is_retry(self) -> bool:
        """Whether every call but at most one failed."""
        return self.failed >= self.calls - 1


def repeated_calls(spans: pa.Table, fewest: int = 3) -> tuple[RepeatedCall, ...]:
    """The calls of tools with equal inputs, most calls first. Spans without recorded inputs are not compared.

    Args:
        spans: schema.SPANS with inputs.
        fewest: the smallest number of calls.

    Returns:
        One for each trace, tool and input.
    """
    names = ("trace_id", "name", "type", "status", "inputs")
    calls: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for trace_id, name, kind, status, inputs in zip(*(spans.column(one).to_pylist() for one in names), strict=True):
        if kind == TOOL and (digest := inputs_key(inputs or "")):
            calls[trace_id or "", name or "", digest].append((status or "", inputs))
    found = [
        RepeatedCall(trace_id, tool, len(same), sum(status == "ERROR" for status, _ in same), same[0][1])
        for (trace_id, tool, _), same in calls.items()
        if len(same) >= fewest
    ]
    return tuple(sorted(found, key=lambda one: -one.calls))
