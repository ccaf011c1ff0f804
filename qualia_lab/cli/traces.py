"""`qualia traces`: list the traces of a store, as a table for people or as rows for programs, and show single ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.cli.genai import GenAIStore
    from qualia_lab.genai_tables import TracePart, TraceQuery, TraceTables

SHOWN = 20  # default number of rows in a table
_OF_A_TABLE: tuple[TracePart, ...] = ("traces", "assessments")  # what its rows show


@click.command(
    "traces",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia traces --experiment support",
        "qualia traces --filter \"status = 'ERROR' AND execution_time > 2 s\"",
        "qualia traces --filter 'feedback.correctness = false' --order-by 'execution_time DESC'",
        "qualia traces --trace tr-0123456789abcdef0123456789abcdef",
        "qualia traces --run RUN_ID --csv --no-content > traces.csv",
    ),
)
@options.tracking_uri
@options.experiments
@options.run_ids
@click.option("--trace", "trace_ids", multiple=True, metavar="TRACE_ID", help="Show this trace whole. Repeatable.")
@click.option(
    "--filter",
    "filter_",
    default="",
    metavar="FILTER",
    help="MLflow's filter for traces: \"status = 'ERROR' AND execution_time > 2 s\".",
)
@click.option(
    "--order-by", multiple=True, metavar="FIELD", help="'execution_time DESC'. Repeatable. Default: latest first."
)
@options.limit_of_rows(SHOWN)
@options.privacy
@options.data_format
@options.show_secrets
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str | None,
    experiments: tuple[str, ...],
    run_ids: tuple[str, ...],
    trace_ids: tuple[str, ...],
    filter_: str,
    order_by: tuple[str, ...],
    limit: int | None,
    data_format: str | None,
    show_secrets: bool,
    redact: bool | None,
    content: bool | None,
) -> None:
    """List traces, the latest first, with their assessments; or show single ones with their spans."""
    from qualia_lab.choosing_traces import raise_no_traces
    from qualia_lab.cli import trace_rows
    from qualia_lab.cli.genai import experiments_named, open_genai, without_empty
    from qualia_lab.cli.output import show_csv, show_json
    from qualia_lab.genai_tables import TraceQuery
    from qualia_lab.query.traces import parse_trace_filter, parse_trace_order

    parse_trace_filter(filter_)
    parse_trace_order(order_by)
    with open_genai(tracking_uri, show_secrets=show_secrets, redact=redact, content=content) as store:
        rows = limit if limit is not None or data_format or trace_ids else SHOWN
        with console.waiting(f"reading {store.uri}"):
            experiment_ids, names = experiments_named(store, experiments)
            # One trace more than is shown tells whether there are more.
            query = TraceQuery(experiment_ids, run_ids, trace_ids, filter_, order_by, rows and rows + 1)
            tables = store.read_traces(query, None if data_format or trace_ids else _OF_A_TABLE)
            if not tables.traces.num_rows:
                raise_no_traces(store, query)
            has_more = rows is not None and tables.traces.num_rows > rows
            tables = _first(tables, rows)
        if data_format == "csv":
            show_csv(*trace_rows.flat_rows(tables, names))
        elif trace_ids:
            traces, spans = list(trace_rows.nested_rows(tables, names)), _spans(store, tables)
            if data_format == "json":
                show_json(row | {"spans": spans.get(row["trace_id"], [])} for row in traces)
            else:
                _show_traces(traces, spans)
        elif data_format == "json":
            show_json(trace_rows.nested_rows(tables, names))
        else:
            columns, cells, left_out = trace_rows.table_of(tables, names)
            console.table(*without_empty(columns, cells))
            console.say(_count(store, query, tables, has_more=has_more))
            if left_out:
                console.say(f"{counted(left_out, 'assessment')} of other names: --json shows them.")
        notes.print_left_out(store)
        _print_notes(tables, trace_ids)


def _show_traces(traces: list[dict[str, Any]], spans: Mapping[str, list[dict[str, Any]]]) -> None:
    from qualia_lab.cli.trace_tree import show_trace

    for place, trace in enumerate(traces):
        if place:
            console.show("")
        show_trace(trace, spans.get(trace["trace_id"], ()))


def _spans(store: GenAIStore, tables: TraceTables) -> dict[str, list[dict[str, Any]]]:
    """The spans of these traces as dicts, by trace."""
    spans: dict[str, list[dict[str, Any]]] = {}
    with console.waiting(f"reading spans from {store.uri}"):
        for batch in store.read_spans(tables.traces.column("trace_id").to_pylist()):
            for row in batch.to_pylist():
                spans.setdefault(row["trace_id"], []).append(row)
    return spans


def _first(tables: TraceTables, rows: int | None) -> TraceTables:
    """The first rows of the traces, and what the other tables hold of them."""
    from qualia_lab.genai_tables import trace_tables
    from qualia_lab.tables import rows_with

    if rows is None or tables.traces.num_rows <= rows:
        return tables
    traces = tables.traces.slice(0, rows)
    ids = traces.column("trace_id").to_pylist()
    others = {
        name: rows_with(getattr(tables, name), "trace_id", ids) for name in ("tags", "metadata", "links", "assessments")
    }
    return trace_tables(traces=traces, problems=tables.problems, **others)


def _count(store: GenAIStore, query: TraceQuery, tables: TraceTables, *, has_more: bool) -> str:
    """`showing 20 of 216 traces in …, 9 of them with errors; qualia traces --trace … shows one whole`."""
    shown = tables.traces.num_rows
    states = tables.traces.column("state").to_pylist()
    failed = states.count("ERROR")
    if not has_more:
        total = counted(shown, "trace")
    elif query.filter or query.run_ids:
        total = f"more than {counted(shown, 'trace')}"
    else:
        total = counted(sum(store.count_traces(query.experiment_ids).values()), "trace")
    errors = f", {failed:,} of them with {'an error' if failed == 1 else 'errors'}" if failed else ""
    failed_ids = [
        trace_id
        for trace_id, state in zip(tables.traces.column("trace_id").to_pylist(), states, strict=True)
        if state == "ERROR"
    ]
    example = (failed_ids or tables.traces.column("trace_id").to_pylist())[0]
    return f"showing {shown:,} of {total} in {store.uri}{errors}; one with its spans: qualia traces --trace {example}"


def _print_notes(tables: TraceTables, trace_ids: tuple[str, ...]) -> None:
    """Print what the output does not show: masked values, and what could not be read."""
    from qualia_lab.masking.tables import masked_columns

    missing = len(set(trace_ids)) - tables.traces.num_rows
    if missing > 0:
        console.say(f"The store does not have {missing:,} of the traces named.")
    masked = masked_columns({name: table for name, table in vars(tables).items() if name != "problems"})
    notes.print_masked(masked, "traces")
    notes.print_problems(tables.problems)
