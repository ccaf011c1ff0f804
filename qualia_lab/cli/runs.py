"""`qualia runs`: list the runs of a store, as a table for people or as rows for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.console_table import Column
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.selection import Conditions
    from qualia_lab.tables import RunTables

SHOWN = 50  # default number of rows in a table


@click.command(
    "runs",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia runs --experiment churn",
        "qualia runs --filter 'metrics.val_auc > 0.8' --order-by 'metrics.val_auc DESC' --params lr,depth",
        "qualia runs --experiment churn --top 5 --by val_auc",
        "qualia runs --where model=mlp --where 'val_auc>0.8' --explain",
        "qualia runs --experiment 'churn*' --csv > runs.csv",
    ),
)
@options.tracking_uri
@options.selection_options
@options.limit_of_rows(SHOWN)
@options.metric_keys
@options.param_keys
@options.explain
@options.data_format
@options.show_secrets
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str | None,
    conditions: Conditions,
    limit: int | None,
    metrics: tuple[str, ...],
    params: tuple[str, ...],
    explain: bool,
    data_format: str | None,
    show_secrets: bool,
) -> None:
    """List runs, newest first, with their main metrics."""
    from qualia_lab.choosing import metrics_of_order
    from qualia_lab.cli.explanation import show_explanation

    generator = options.open_generator(tracking_uri, show_secrets=show_secrets)
    rows = limit if limit is not None or data_format else SHOWN
    # Read one run more than is shown, to know whether there are more. With --explain and --run, read all.
    is_limited = rows is not None and not conditions.run_ids and not explain
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(
            replace(conditions, limit=rows + 1) if rows is not None and is_limited else conditions,
            explain=show_explanation if explain else None,
        )
    with console.waiting(f"reading {generator.tracking_uri}"):
        tables = generator.store.read(selection.run_ids[:rows])
    if data_format == "json":
        from qualia_lab.cli.output import show_json

        show_json(nested_rows(tables, metrics, params))
    elif data_format == "csv":
        from qualia_lab.cli.output import show_csv

        show_csv(*flat_rows(tables, metrics, params))
    else:
        _show_table(tables, metrics, params, metrics_of_order(selection.query))
        count = len(selection.run_ids) - selection.missing
        has_more = is_limited and rows is not None and count > rows
        total = f"more than {rows:,} runs" if has_more else counted(count, "run")
        console.say(f"showing {tables.runs.num_rows:,} of {total} in {generator.tracking_uri}")
    columns = {"run name", "experiment name", *(f"param {key}" for key in params)}
    notes.print_notes(selection, tables, None if data_format else columns.__contains__)


def nested_rows(tables: RunTables, metrics: Sequence[str], params: Sequence[str]) -> list[dict[str, Any]]:
    """A dict per run with its `params`, `metrics` and `tags` as dicts, of the requested keys or, if none, of all."""
    names = dict(zip(*(tables.experiments.column(name).to_pylist() for name in ("experiment_id", "name")), strict=True))
    rows = {
        row["run_id"]: {"experiment": names.get(row["experiment_id"])} | row | {"params": {}, "metrics": {}, "tags": {}}
        for row in tables.runs.to_pylist()
    }
    requested = {"params": set(params), "metrics": set(metrics), "tags": set()}
    is_everything_requested = not (params or metrics)
    for kind, keys in requested.items():
        columns = (getattr(tables, kind).column(name).to_pylist() for name in ("run_id", "key", "value"))
        for run_id, key, value in zip(*columns, strict=True):
            if is_everything_requested or key in keys:
                rows[run_id][kind][key] = value
    return list(rows.values())


def flat_rows(
    tables: RunTables, metrics: Sequence[str], params: Sequence[str]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows without nesting: `params.lr`, `metrics.val_auc`, `tags.team`."""
    flat: list[dict[str, Any]] = []
    columns: dict[str, set[str]] = {"params": set(), "metrics": set(), "tags": set()}
    for row in nested_rows(tables, metrics, params):
        keyed = {kind: row.pop(kind) for kind in columns}
        for kind, values in keyed.items():
            columns[kind] |= values.keys()
            row |= {f"{kind}.{key}": value for key, value in values.items()}
        flat.append(row)
    columns |= {kind: set(keys) for kind, keys in (("params", params), ("metrics", metrics)) if keys}
    keys = [f"{kind}.{key}" for kind, keys in columns.items() for key in sorted(keys)]
    return ["experiment", *tables.runs.column_names, *keys], flat


def _show_table(tables: RunTables, metrics: Sequence[str], params: Sequence[str], ordered_by: Sequence[str]) -> None:
    """Print a table; metrics in `ordered_by` come before the others."""
    from qualia_lab.chooser.formatting import age, duration, number, status_sign
    from qualia_lab.chooser.listing import main_metrics

    keys = metrics or (() if params else main_metrics(tables))
    keys = tuple(dict.fromkeys((*ordered_by, *keys)))
    nested = nested_rows(tables, (), ())
    several = tables.experiments.num_rows > 1
    columns = [Column(""), Column("run", name=True), Column("run id", short=8)]
    columns += [Column("experiment")] if several else []
    columns += [Column("started", early=True), Column("took", right=True, early=True)]
    columns += [Column(key, right=_all_numbers(row["params"].get(key) for row in nested)) for key in params]
    columns += [Column(key, right=True) for key in keys]
    rows = []
    for row in nested:
        cells = [status_sign(row["status"]), row["run_name"] or "", row["run_id"]]
        cells += [row["experiment"] or row["experiment_id"]] if several else []
        cells += [age(row["start_time"]), duration(row["start_time"], row["end_time"])]
        cells += [row["params"].get(key) or "" for key in params]
        rows.append([*cells, *(number(row["metrics"].get(key)) for key in keys)])
    console.table(columns, rows)


def _all_numbers(values: Iterable[str | None]) -> bool:
    """Whether all values that are not missing are numbers."""
    try:
        return bool([float(value) for value in values if value is not None])
    except ValueError:
        return False
