"""`Traces`: how many failed and why, what took long, tokens and cost, and the traces that tell most."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from qualia_lab.analysis.trace_headline import failed_of, headline_of_traces
from qualia_lab.analysis.trace_summary import FAILED, finished_durations
from qualia_lab.analysis.trace_text import took
from qualia_lab.charts.findings_card import FindingsCard
from qualia_lab.charts.headline_card import HeadlineCard
from qualia_lab.charts.trace_card import TraceCard, TraceCards
from qualia_lab.charts.trace_times import latency_chart, traces_over_time
from qualia_lab.charts.waterfall import waterfall
from qualia_lab.counts import counted
from qualia_lab.errors import NoTraceMatches
from qualia_lab.escaping import for_html, one_line
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.runs import trace_frames
from qualia_lab.runs.finding_charts import trace_finding_charts
from qualia_lab.runs.findings import finding_table
from qualia_lab.runs.message import Message
from qualia_lab.runs.namespace import public_names
from qualia_lab.runs.trace_facts import NO_TRACES, TraceFacts
from qualia_lab.runs.trace_findings import examined
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.charts.chart import Chart
    from qualia_lab.genai_tables import TraceTables
    from qualia_lab.runs.trace_source import TraceSource

_NO_SPANS = "No spans of these traces are in the store."
_NOT_HANDED_OVER = (
    "Its spans were not handed over to this execution, or without inputs and outputs: run the cell in Jupyter to see "
    "them."
)


class Traces:
    """Traces of experiments or of runs, as tables, charts and cards.

    Statistics of spans are over the 20,000 latest traces; inputs and outputs are read of 200: failed, slow, low scored
    and late ones. Each result says over how many it is. A method that has nothing to show returns a `Message`.

    Example:
        >>> traces = load_traces("sqlite:///mlflow.db", {"experiment_ids": ["1"], "filter": "status = 'ERROR'"})
        >>> traces.errors()
    """

    def __init__(self, source: TraceSource) -> None:
        """Wrap traces; `load_traces` and `runs.traces` do it."""
        self._source = source
        self._facts = TraceFacts(source)

    def __len__(self) -> int:
        return len(self.tables.traces)

    def __dir__(self) -> list[str]:
        return [*public_names(type(self)), "tables"]

    def __repr__(self) -> str:
        return "\n".join(self._facts.sentences())

    def _repr_html_(self) -> str:
        first, *others = self._facts.sentences()
        return f"<p><b>{for_html(first)}</b></p>" + "".join(f"<p>{for_html(one)}</p>" for one in others)

    @property
    def tables(self) -> TraceTables:
        """The Arrow tables of the traces and their assessments."""
        return self._source.tables

    def answer(self) -> Message:
        """What went wrong most, and how long traces took, in a few sentences."""
        summary = self._facts.summary
        if not len(self):
            return Message(NO_TRACES)
        sentences = [failed_of(summary), *filter(None, (self._facts.most_frequent_error(),))]
        if summary.latency:
            latency = summary.latency
            of = f"{latency.n:,}, failed ones included" if summary.failed else f"{latency.n:,}"
            sentences.append(f"Half took up to {took(latency.p50)}, 95 % up to {took(latency.p95)} (n = {of}).")
        return Message(" ".join(sentences))

    def headline(self, **thresholds: Any) -> HeadlineCard:
        """How many traces failed, what went wrong, and what to do next, in a few sentences.

        Args:
            **thresholds: as in `findings`.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere; `.headline` has its parts.

        Raises:
            QualiaLabError: there is no such rule or threshold.
        """
        findings = self.find(thresholds) if len(self) else ()
        over = examined(self._source)
        return HeadlineCard(headline_of_traces(self._facts.summary, findings, self._facts.most_frequent_error(), over))

    def findings(self, **thresholds: Any) -> pd.DataFrame:
        """What stands out among the latest 20,000 of these traces, a row per finding, the most important first.

        Args:
            **thresholds: by the name of a rule, its thresholds, `errors_began={"ratio": 3}`; `judge_always_same=False`
                disables a rule.

        Returns:
            The columns of `runs.findings()`. `trace_ids` are the traces that a finding can be traced to.

        Raises:
            QualiaLabError: there is no such rule or threshold.
        """
        return finding_table(self.find(thresholds))

    def show_findings(self, *, limit: int = 8, **thresholds: Any) -> FindingsCard:
        """What stands out among the latest 20,000 of these traces, as sentences, some with a small chart.

        Args:
            limit: how many findings are shown in full; the others are folded.
            **thresholds: as in `findings`.

        Returns:
            A card that displays as HTML in a notebook and as text elsewhere.

        Raises:
            QualiaLabError: there is no such rule or threshold.
        """
        from qualia_lab.sections.added import section_titles

        findings = self.find(thresholds)
        titles = section_titles({one.section for one in findings if one.section.startswith("trace")})
        charts = trace_finding_charts(findings[:limit])
        return FindingsCard(findings, titles, len(self), limit, charts, of="traces", over=examined(self._source))

    def find(self, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
        """The findings as values.

        Args:
            thresholds: thresholds by the name of a rule, as in `findings`.

        Raises:
            QualiaLabError: there is no such rule or threshold.
        """
        return self._facts.findings(thresholds)

    def summary(self) -> pd.DataFrame | Message:
        """How many traces there are, how many failed, how long they took, and what they used.

        Returns:
            A row per experiment.

            - `traces`, `failed`, `unfinished`: numbers of traces.
            - `median (s)`, `p95 (s)`, `longest (s)`: of the finished ones, failed ones included; `timed` is their
              number if it is another.
            - `tokens`, `USD`: sums over the traces that record them; `with tokens`, `with cost` are their numbers if
              they are others.
            - `first (UTC)`, `last (UTC)`: the times of requests.
        """
        return trace_frames.summary(self.tables, self._source.experiments) if len(self) else Message(NO_TRACES)

    def errors(self, limit: int = 20) -> pd.DataFrame | Message:
        """The errors by the span in which they began and the kind of their message, those of most traces first.

        Args:
            limit: the most rows.

        Returns:
            The index is the name of the span.

            - `traces`: how many have such an error. `spans`: how many spans failed with it.
            - `message`: without what differs between messages, such as numbers and quoted texts.
            - `last (UTC)`: the time of the latest of these traces. `example`: one message. `trace_id`: its trace.

            `attrs["showing"]` says how many kinds of how many, `attrs["over"]` of how many traces spans were read.
        """
        if not len(self):
            return Message(NO_TRACES)
        if not (kinds := self._facts.kinds):
            failed = sum(state == FAILED for state in self.tables.traces.column("state").to_pylist())
            if failed:
                return Message(f"{counted(failed, 'trace')} failed, but no span of the {self._facts.over} says where.")
            return Message(f"No trace failed, and no span of the {self._facts.over}.")
        return trace_frames.errors(kinds[:limit], self.tables, len(kinds), self._facts.over)

    def examples(self, limit: int = 12) -> pd.DataFrame | Message:
        """The traces that tell most: failures of each kind, the slowest, the lowest scored, where judges disagree.

        Args:
            limit: the most rows.

        Returns:
            The index is the name of the trace.

            - `why`: the reasons. `state`, `took (s)`, `tokens`, `USD`, `requested (UTC)`.
            - `request`, `response`: their starts. `trace_id`.
        """
        if not len(self):
            return Message(NO_TRACES)
        telling = self._facts.telling(limit)
        if not telling:
            return Message("No trace failed, took longer than others, or was judged lower than others.")
        rows = self._rows([one.trace_id for one in telling])
        return trace_frames.traces(rows, {one.trace_id: "; ".join(one.reasons) for one in telling})

    def show_examples(self, limit: int = 3) -> TraceCards | Message:
        """The first traces of `examples` as trees of spans with inputs and outputs, folded but for the first.

        Args:
            limit: the most traces.
        """
        telling = self._facts.telling(12)[:limit] if len(self) else ()
        if not telling:
            return Message("There is no trace that failed, took long or was judged low.")
        return TraceCards(
            [
                replace(self.show(one.trace_id), reasons=one.reasons, folded=place > 0)
                for place, one in enumerate(telling)
            ]
        )

    def slowest(self, limit: int = 10) -> pd.DataFrame | Message:
        """The finished traces that took longest.

        Args:
            limit: the most rows.

        Returns:
            Columns as in `examples`, without `why`.
        """
        durations = finished_durations(self.tables.traces)
        if not np.isfinite(durations).any():
            return Message("No trace has finished with a duration.")
        order = np.argsort(-np.nan_to_num(durations, nan=-1.0), kind="stable")
        rows = [int(row) for row in order[:limit] if np.isfinite(durations[row])]
        frame = trace_frames.traces(self.tables.traces.take(rows), None)
        frame.attrs["showing"] = f"{len(rows)} of {int(np.isfinite(durations).sum())}"
        return frame

    def by_model(self) -> pd.DataFrame | Message:
        """Tokens and cost by the language model that spans name, the most expensive first.

        Returns:
            The index is the model.

            - `calls`: spans; a span below another one that records the same call is not counted. `traces`.
            - `input tokens`, `output tokens`, `USD`: sums. `calls without cost`, if there are any.

            `attrs["over"]` says of how many traces spans were read.
        """
        frame = trace_frames.by_model(self._source.latest_spans, self._facts.over)
        return Message("No span of these traces names a model with tokens or a cost.") if frame is None else frame

    def time_by_type(self) -> pd.DataFrame | Message:
        """The time that spans of each type took themselves, without their children.

        Returns:
            The index is the type.

            - `spans`; `time (s)`: the sum. `share (%)`: of the time of all spans.
            - `untimed`: spans without an end, if there are any.

            `attrs["over"]` says of how many traces spans were read.
        """
        spans = self._source.latest_spans
        return trace_frames.time_by_type(spans, self._facts.over) if spans.num_rows else Message(_NO_SPANS)

    def repeated_calls(self, fewest: int = 3, limit: int = 20) -> pd.DataFrame | Message:
        """Tools that a trace calls again with the same input: retries and loops.

        Args:
            fewest: the smallest number of equal calls in a trace.
            limit: the most rows.

        Returns:
            The index is the tool.

            - `calls`, `failed`; `is`: retry if all calls but at most one failed, else loop.
            - `input`: its start. `trace_id`.

            `attrs["showing"]` says how many of how many, `attrs["over"]` in how many traces inputs were read.
        """
        spans = self._source.whole_spans
        read = len(pc.unique(spans.column("trace_id")))
        frame = trace_frames.repeated_calls(spans, fewest, limit, f"{read:,} of {counted(len(self), 'trace')}")
        if frame is None:
            return Message(
                f"No tool is called {fewest} times with the same input in the {counted(read, 'trace')} whose inputs "
                "were read."
            )
        return frame

    def table(self, filter: str = "", *, order_by: Sequence[str] = (), limit: int = 50) -> pd.DataFrame | Message:  # noqa: A002
        """The traces that match a filter, the latest first.

        Args:
            filter: a filter of the query language for traces: `status = 'ERROR' AND execution_time > 2000`.
            order_by: sort keys such as `execution_time DESC`.
            limit: the most rows.

        Returns:
            Columns as in `examples`, without `why`. `attrs["showing"]` says how many of how many.

        Raises:
            FilterError: the filter or the order is invalid.
        """
        found = self._source.matching(TraceQuery(filter=filter, order_by=tuple(order_by)))
        if not found.traces.num_rows:
            return Message(f"None of the {counted(len(self), 'trace')} matches." if len(self) else NO_TRACES)
        frame = trace_frames.traces(found.traces.slice(0, limit), None)
        frame.attrs["showing"] = f"{len(frame)} of {found.traces.num_rows}"
        return frame

    def show(self, trace_id: str) -> TraceCard:
        """One trace in full: its spans as a tree with inputs and outputs, and its assessments.

        Args:
            trace_id: its id.

        Returns:
            The trace, displayed as HTML or text.

        Raises:
            NoTraceMatches: it is not among these traces.
        """
        tables, spans = self._of(trace_id), self._source.spans_of(trace_id)
        trace = tables.traces.to_pylist()[0]
        has_content = trace_id in self._source.chosen.whole or not self._source.is_handed_over
        return TraceCard(
            trace,
            self._source.experiments.get(trace["experiment_id"] or "", ""),
            {row["key"]: row["value"] or "" for row in tables.tags.to_pylist() if not row["key"].startswith("mlflow.")},
            spans.to_pylist(),
            tables.assessments.to_pylist(),
            note="" if has_content else _NOT_HANDED_OVER,
        )

    def plot_over_time(self) -> Chart | Message:
        """The number of traces over time, and how many of them failed."""
        summary = self._facts.summary
        return traces_over_time(summary) if summary.periods else Message("No trace has a known time.")

    def plot_latency(self) -> Chart | Message:
        """How long traces took: over time as median and 95th percentile, and as a distribution."""
        summary = self._facts.summary
        if summary.latency is None:
            return Message("No trace has finished with a duration.")
        durations = finished_durations(self.tables.traces)
        failed = np.array([state == FAILED for state in self.tables.traces.column("state").to_pylist()], np.bool_)
        known = np.isfinite(durations)
        return latency_chart(summary, {"finished": durations[known & ~failed], "failed": durations[known & failed]})

    def plot_waterfall(self, trace_id: str | None = None) -> Chart | Message:
        """The spans of one trace as bars from start to end.

        Args:
            trace_id: its id; by default that of the slowest trace.

        Raises:
            NoTraceMatches: it is not among these traces.
        """
        if trace_id is None:
            durations = np.nan_to_num(finished_durations(self.tables.traces), nan=-1.0)
            if not len(durations) or durations.max() < 0:
                return Message("No trace has finished with a duration.")
            trace_id = str(self.tables.traces.column("trace_id")[int(durations.argmax())].as_py())
        name = self._of(trace_id).traces.column("name").to_pylist()[0]
        spans = self._source.spans_of(trace_id).to_pylist()
        timed = [span for span in spans if None not in (span["start_ns"], span["end_ns"])]
        if not any(span["end_ns"] >= span["start_ns"] for span in timed):
            return Message(_NOT_HANDED_OVER if self._source.is_handed_over else "No span of the trace has a duration.")
        return waterfall(f"{name or 'trace'} {trace_id}", spans)

    def _of(self, trace_id: str) -> TraceTables:
        """The tables of one trace. Raises NoTraceMatches."""
        tables = self._source.of([trace_id])
        if not tables.traces.num_rows:
            raise NoTraceMatches(
                f"No trace of these has the id {one_line(trace_id, 60)}.", "traces.table() lists the ids."
            )
        return tables

    def _rows(self, trace_ids: Sequence[str]) -> Any:
        """The rows of these traces, in this order."""
        found = {row["trace_id"]: row for row in rows_with(self.tables.traces, "trace_id", trace_ids).to_pylist()}
        from qualia_lab import schema
        from qualia_lab.tables import table_of

        return table_of(schema.TRACES, [found[trace_id] for trace_id in trace_ids])
