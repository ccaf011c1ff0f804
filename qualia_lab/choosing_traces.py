"""Select traces: conditions to a query for traces, and to a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from qualia_lab.counts import and_more, counted
from qualia_lab.errors import EmptyStore, NoTraceMatches, SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.masking.text import masked
from qualia_lab.query.sugar import since_filter
from qualia_lab.query.traces import parse_trace_filter, parse_trace_order
from qualia_lab.selection import Selection, match_experiments
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.protocol import ReadsGenAI
from qualia_lab.stores.uri import absolute_uri

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.selection import Conditions
    from qualia_lab.stores.protocol import TrackingStore

# Traces that are read if no limit is given; the memory that they need grows with their number.
MOST_TRACES = 100_000


def trace_query_of(store: TrackingStore, conditions: Conditions, experiments: pa.Table) -> TraceQuery:
    """Translate conditions to a query for traces.

    Args:
        store: the store of the traces.
        conditions: the conditions; `filter` and `order_by` are those of the query language for traces.
        experiments: the active experiments of the store.

    Returns:
        The query; without a limit in the conditions, its limit is 100,000.

    Raises:
        SelectionError: a condition is about runs, or the filter compares with a secret.
        UnknownExperiment: no experiment matches a name.
        FilterError: the filter, the order or the time is invalid.
    """
    _check(conditions)
    parse_trace_filter(conditions.filter)
    parse_trace_order(conditions.order_by)
    if isinstance(store, MaskedStore) and masked(conditions.filter, store.masker.rules) != conditions.filter:
        raise SelectionError(
            "The filter compares with a value that looks like a secret, which would be written into the notebook.",
            "Compare with something else.",
        )
    rows = match_experiments(conditions.experiments, experiments) if conditions.experiments else []
    since = since_filter(conditions.since, "request_time")
    # The filter that a person wrote comes last: a backslash before its closing quote would escape a later quote.
    written = f"({conditions.filter})" if since and conditions.filter.strip() else conditions.filter
    return TraceQuery(
        experiment_ids=tuple(row["experiment_id"] for row in rows),
        run_ids=conditions.run_ids,
        filter=" AND ".join(part for part in (since, written) if part.strip()),
        order_by=conditions.order_by,
        limit=conditions.limit or MOST_TRACES,
    )


def selection_of_traces(
    store: TrackingStore, conditions: Conditions, query: TraceQuery, traces: pa.Table, experiments: pa.Table
) -> Selection:
    """The selection of traces that a query found.

    Args:
        store: the store of the traces.
        conditions: the conditions as they were given.
        query: the result of `trace_query_of` for them.
        traces: what it found (schema.TRACES).
        experiments: the experiments of the store.

    Raises:
        NoTraceMatches: the query found nothing.
        EmptyStore: the store has no traces.
    """
    if not traces.num_rows:
        raise_no_traces(store, query)
    names = dict(zip(*(experiments.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
    found = traces.column("experiment_id").unique().to_pylist()
    return Selection(
        tracking_uri=absolute_uri(store.uri),
        run_ids=(),
        conditions=conditions,
        experiments=tuple(sorted(names.get(one) or one or "" for one in found)),
        traces=query,
    )


def raise_no_traces(store: TrackingStore, query: TraceQuery) -> NoReturn:
    """Raise an error that explains why no trace was found."""
    counts = store.count_traces() if isinstance(store, ReadsGenAI) else {}
    if query.trace_ids:
        ids = " or ".join(one_line(trace_id, 40) for trace_id in query.trace_ids[:3])
        raise NoTraceMatches(f"No trace has the id {ids} in {store.uri}.", "List them with: qualia traces")
    total = sum(counts.values())
    if not total:
        raise EmptyStore(f"There are no traces in {store.uri}.", "List its runs with: qualia runs")
    ids_searched = query.experiment_ids or tuple(counts)
    these = sum(counts.get(experiment_id, 0) for experiment_id in ids_searched)
    if not these:
        raise NoTraceMatches("These experiments have no traces.", "List experiments with: qualia experiments")
    conditions = [one_line(query.filter, 200)] if query.filter.strip() else []
    conditions += [f"run {' or '.join(one_line(run_id, 40) for run_id in query.run_ids[:3])}"] if query.run_ids else []
    raise NoTraceMatches(
        f"None of the {counted(these, 'trace')} matches {' and '.join(conditions)}.",
        "Relax the filter, or list the traces with: qualia traces",
    )


def _check(conditions: Conditions) -> None:
    """Raise SelectionError for conditions that only runs have."""
    given = {
        "--by": conditions.by,
        "--top": conditions.top,
        "--where": conditions.where,
        "--status": conditions.status,
        "--deleted": conditions.view == "deleted",
    }
    flags = [flag for flag, value in given.items() if value]
    if flags:
        verb = "selects" if len(flags) == 1 else "select"
        raise SelectionError(
            f"{and_more(flags, len(flags))} {verb} runs, and this is about traces.",
            "Use --experiment, --run, --since, --order-by, --limit and --filter, as in \"status = 'ERROR' AND "
            'execution_time > 2 s".',
        )
