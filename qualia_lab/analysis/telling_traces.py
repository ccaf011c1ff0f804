"""A few traces that tell most: failures of each kind, the slowest, the lowest scored, and where judges disagree."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.analysis.assessments import HUMAN, assessments_that_count, first_opinions
from qualia_lab.analysis.evaluations import judgement_of
from qualia_lab.analysis.judges import judges_against_humans
from qualia_lab.analysis.scorers import read_scorers
from qualia_lab.analysis.trace_summary import FAILED, finished_durations
from qualia_lab.columns import whole
from qualia_lab.escaping import one_line
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from qualia_lab.analysis.assessments import Assessment
    from qualia_lab.analysis.trace_errors import ErrorKind
    from qualia_lab.genai_tables import TraceTables

_WIDTH = 80  # characters of a message in a reason


@dataclass(frozen=True)
class TellingTrace:
    """A trace and why it was chosen, as plain text; several reasons are joined."""

    trace_id: str
    reasons: tuple[str, ...]


def telling_traces(
    tables: TraceTables, errors: Sequence[ErrorKind] = (), *, per_reason: int = 3, most: int = 12
) -> tuple[TellingTrace, ...]:
    """Choose traces, one for each reason in turn, until there are enough.

    Args:
        tables: the traces with their assessments.
        errors: the kinds of errors, as `trace_errors.error_kinds` returns them; () where spans were not read.
        per_reason: how many traces are chosen at most as failures, as slow, for low scores, and for disagreements.
        most: how many traces are chosen at most.

    Returns:
        The traces, failures first.
    """
    candidates = (_failures(tables, errors), _slowest(tables), _lowest(tables), _disagreements(tables))
    ranked = [list(islice(of_kind, per_reason)) for of_kind in candidates]
    chosen: dict[str, list[str]] = {}
    for place in range(per_reason):
        for of_kind in ranked:
            if place < len(of_kind) and (of_kind[place][0] in chosen or len(chosen) < most):
                chosen.setdefault(of_kind[place][0], []).append(of_kind[place][1])
    in_order = dict.fromkeys(trace_id for of_kind in ranked for trace_id, _ in of_kind)
    return tuple(TellingTrace(trace_id, tuple(chosen[trace_id])) for trace_id in in_order if trace_id in chosen)


def _failures(tables: TraceTables, errors: Sequence[ErrorKind]) -> Iterator[tuple[str, str]]:
    """One trace of each kind of error, the most frequent kind first; without spans, failed traces by name."""
    known = set(tables.traces.column("trace_id").to_pylist())
    for kind in errors:
        trace_id = next((one for one in kind.trace_ids if one in known), None)
        if trace_id is not None:
            message = f": {one_line(kind.example, _WIDTH)}" if kind.example else ""
            others = f" (1 of {len(kind.trace_ids):,} traces with such an error)" if len(kind.trace_ids) > 1 else ""
            yield trace_id, f"{one_line(kind.span_name, _WIDTH)} failed{message}{others}"
    if not errors:
        names = set()
        for row in tables.traces.select(["trace_id", "name", "state"]).to_pylist():
            if row["state"] == FAILED and row["name"] not in names:
                names.add(row["name"])
                yield row["trace_id"], f"{one_line(row['name'] or 'it', _WIDTH)} failed"


def _slowest(tables: TraceTables) -> Iterator[tuple[str, str]]:
    """The finished traces that take longer than half of them do, the slowest first."""
    durations = finished_durations(tables.traces)
    ids = tables.traces.column("trace_id").to_pylist()
    finite = np.isfinite(durations)
    rows = np.flatnonzero(finite & (durations > np.median(durations[finite]))) if finite.any() else ()
    for rank, row in enumerate(sorted(rows, key=lambda row: -durations[row]), 1):
        word = "the slowest" if rank == 1 else "among the slowest"
        yield ids[row], f"{word}: {durations[row] / 1000:,.3g} s"


def _lowest(tables: TraceTables) -> Iterator[tuple[str, str]]:
    """The worst value of each scorer with a known direction, scorer by scorer."""
    by_name: dict[str, dict[str, list[Assessment]]] = defaultdict(lambda: defaultdict(list))
    values: dict[str, list[Any]] = defaultdict(list)
    for one in assessments_that_count(tables.assessments):
        by_name[one.name][one.trace_id].append(one)
        values[one.name].append(one.value)
    ranked = []
    for name, scorer in read_scorers(values).items():
        if scorer.greater_is_better is None:
            continue
        numbers = {trace_id: judgement_of(them).number(scorer) for trace_id, them in by_name[name].items()}
        known = {trace_id: number for trace_id, number in numbers.items() if number is not None}
        if len(set(known.values())) < 2:
            continue  # nothing is lower than anything else
        worst = sorted(known, key=lambda trace_id: known[trace_id] * (1 if scorer.greater_is_better else -1))
        word = "lowest" if scorer.greater_is_better else "highest"
        shown = f"{known[worst[0]]:.4g}" if scorer.kind == "number" else "true" if known[worst[0]] else "false"
        reason = f"{one_line(name, _WIDTH)}: {shown}" + (f", the {word}" if scorer.kind == "number" else "")
        as_bad = [trace_id for trace_id in worst if known[trace_id] == known[worst[0]]]
        ranked += [(rank, name, trace_id, reason) for rank, trace_id in enumerate(as_bad)]
    for _, _, trace_id, reason in sorted(ranked):
        yield trace_id, reason


def _disagreements(tables: TraceTables) -> Iterator[tuple[str, str]]:
    feedback = rows_with(tables.assessments, "kind", ["feedback"])
    by_humans = whole(rows_with(feedback, "source_type", [HUMAN]).column("trace_id"))
    of_both = feedback.filter(pc.is_in(feedback.column("trace_id"), value_set=by_humans))
    for agreement in judges_against_humans(first_opinions(of_both)):
        for trace_id in agreement.disagreements:
            yield trace_id, f"judge and human disagree on {one_line(agreement.scorer.name, _WIDTH)}"
