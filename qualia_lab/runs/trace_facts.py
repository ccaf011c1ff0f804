"""What is computed of traces once and used by several methods: summary, errors, findings, and sentences of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from qualia_lab.analysis.telling_traces import telling_traces
from qualia_lab.analysis.trace_errors import error_kinds
from qualia_lab.analysis.trace_summary import summarise_traces
from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import one_line
from qualia_lab.runs.trace_findings import find_in_traces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.analysis.telling_traces import TellingTrace
    from qualia_lab.analysis.trace_errors import ErrorKind
    from qualia_lab.analysis.trace_summary import TraceSummary
    from qualia_lab.runs.trace_source import TraceSource

NO_TRACES = "There are no traces."
_NAMED = 3


class TraceFacts:
    """Facts about the traces of one source."""

    def __init__(self, source: TraceSource) -> None:
        self._source = source
        self._findings: dict[str, tuple[Finding, ...]] = {}
        self._telling: dict[int, tuple[TellingTrace, ...]] = {}

    @cached_property
    def summary(self) -> TraceSummary:
        """Numbers and durations of the traces."""
        return summarise_traces(self._source.tables.traces)

    @cached_property
    def kinds(self) -> tuple[ErrorKind, ...]:
        """The kinds of errors; of each, the traces whose inputs were read come first."""
        whole = set(self._source.chosen.whole)
        return tuple(
            replace(kind, trace_ids=tuple(sorted(kind.trace_ids, key=lambda trace_id: trace_id not in whole)))
            for kind in error_kinds(self._source.latest_spans)
        )

    def telling(self, limit: int) -> tuple[TellingTrace, ...]:
        """The traces that tell most."""
        if limit not in self._telling:
            self._telling[limit] = telling_traces(self._source.tables, self.kinds, most=limit)
        return self._telling[limit]

    def findings(self, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
        """What stands out, see `find_in_traces`."""
        key = repr(sorted(thresholds.items()))
        if key not in self._findings:
            self._findings[key] = find_in_traces(self._source, thresholds)
        return self._findings[key]

    @property
    def over(self) -> str:
        """The traces whose spans statistics are over."""
        latest = len(self._source.chosen.latest)
        return counted(latest, "trace") if latest == self._total else f"latest {latest:,} of {self._total:,} traces"

    def most_frequent_error(self) -> str:
        """In which span the most frequent error began, as a sentence; "" if no trace failed, or no span says where."""
        if not self.summary.failed or not self.kinds:
            return ""
        first = self.kinds[0]
        message = f" ({one_line(first.message, 60)})" if first.message else ""
        number, latest = len(first.trace_ids), len(self._source.chosen.latest)
        of = counted(number, "trace") if latest == self._total else f"{number:,} of the latest {latest:,} traces"
        return f"The most frequent error began in {one_line(first.span_name, 60)}{message}, in {of}."

    def sentences(self) -> list[str]:
        """The traces in words, and what could not be read."""
        summary, names = self.summary, self._source.experiments
        if not self._total:
            return [NO_TRACES]
        ids = pc.unique(self._source.tables.traces.column("experiment_id")).to_pylist()
        of = and_more([one_line(names.get(one or "", one or ""), 60) for one in ids], _NAMED)
        sentence = f"{counted(summary.traces, 'trace')} of {of}, {summary.failed:,} of them failed"
        sentence += f", {summary.unfinished:,} not finished." if summary.unfinished else "."
        sentences = [sentence]
        latest, whole = len(self._source.chosen.latest), len(self._source.chosen.whole)
        if self._total > latest:
            sentences.append(f"Statistics of spans are over the latest {latest:,} traces.")
        if self._total > whole:
            sentences.append(
                f"Inputs and outputs of spans are read of {whole:,} traces: telling ones, the latest that failed, the "
                "slowest, and the latest."
            )
        problems = self._source.tables.problems
        sentences += [
            f"Not read: {one_line(row['subject'] or '', 80)}: {one_line(row['reason'] or '', 200)}"
            for row in problems.slice(0, 5).to_pylist()
        ]
        if problems.num_rows > 5:
            sentences.append(f"Not read: showing 5 of {problems.num_rows:,}.")
        return sentences

    @property
    def _total(self) -> int:
        return len(self._source.tables.traces)
