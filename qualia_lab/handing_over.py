"""`hand_over`: what is selected, as a temporary snapshot for the kernel that executes the notebook."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.genai_tables import TraceQuery
    from qualia_lab.read_data import ReadData
    from qualia_lab.selection import Selection
    from qualia_lab.stores.snapshot.genai import GenAIChoice


@contextlib.contextmanager
def hand_over(data: ReadData, selection: Selection, named: str) -> Iterator[tuple[dict[str, str], str]]:
    """Write a temporary snapshot for the kernel; it is deleted at the end.

    Args:
        data: the data of the store, which are freed while the kernel runs.
        selection: the selected runs or traces.
        named: the tracking URI in the notebook.

    Yields:
        The environment variables for the kernel, and a digest of the data.
    """
    import pyarrow as pa

    from qualia_lab.notebook.artifact_runs import genai_of_runs, runs_with_artifacts
    from qualia_lab.stores.snapshot.hand_over import hand_over_runs

    if selection.traces is not None:
        digest = data.digest(selection)
        with _hand_over_traces(data, selection.traces, named) as variables:
            yield variables, digest
        return
    if selection.engine is not None or not selection.run_ids:
        yield {}, ""  # an engine already has a snapshot; without runs the cells read the store
        return
    tables, digest = data.runs(selection).stored, data.digest(selection)  # the kernel splits metrics itself
    models, traces = data.genai(selection)
    genai = _with_spans_read(genai_of_runs(tables, models, traces))
    del models, traces
    with hand_over_runs(
        data.store, tables, named=named, artifacts_of=runs_with_artifacts(tables), genai=genai
    ) as variables:
        del tables, genai
        data.forget()
        pa.default_memory_pool().release_unused()
        yield variables, digest


@contextlib.contextmanager
def _hand_over_traces(data: ReadData, query: TraceQuery, named: str) -> Iterator[dict[str, str]]:
    """Write a temporary snapshot of traces for the kernel; yields its environment variables.

    Of the spans it holds those that the cells read, with inputs and outputs of a few.
    """
    import pyarrow as pa

    from qualia_lab.stores.snapshot.genai import GenAIChoice
    from qualia_lab.stores.snapshot.hand_over import hand_over_runs
    from qualia_lab.stores.trace_names import beside_traces

    tables = data.traces(query)
    runs, models = beside_traces(data.store, tables)
    choice = _with_spans_read(GenAIChoice(traces=query, trace_tables=tables, model_tables=models, only_traces=True))
    with hand_over_runs(data.store, runs, named=named, artifacts_of=(), genai=choice) as variables:
        del tables, choice
        data.forget()
        pa.default_memory_pool().release_unused()
        yield variables


def _with_spans_read(choice: GenAIChoice) -> GenAIChoice:
    """The choice with those spans that the cells of a notebook read, see `spans_read`."""
    from qualia_lab.analysis.spans_read import spans_read

    assert choice.trace_tables is not None
    chosen = spans_read(choice.trace_tables)
    return replace(choice, spans_of=chosen.whole, few_inputs_of=chosen.inputs, bare_spans_of=chosen.bare)
