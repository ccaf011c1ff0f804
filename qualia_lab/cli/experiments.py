"""`qualia experiments`: list the experiments of a store."""

from __future__ import annotations

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.console_table import Column
from qualia_lab.counts import counted


@click.command(
    "experiments",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia experiments",
        "qualia experiments --tracking-uri http://localhost:5000 --json",
    ),
)
@options.tracking_uri
@click.option("--deleted", is_flag=True, help="List the deleted experiments instead of the active ones.")
@options.data_format
@options.show_secrets
@options.debug
def command(tracking_uri: str | None, deleted: bool, data_format: str | None, show_secrets: bool) -> None:
    """List the experiments of a store, with their runs and last activity."""
    from qualia_lab.chooser.formatting import age
    from qualia_lab.cli.output import show_csv, show_json
    from qualia_lab.settings import open_given_store

    store = open_given_store(tracking_uri, show_secrets=show_secrets)
    with store, console.waiting(f"reading {store.uri}"):
        table = store.read_experiments("deleted" if deleted else "active")
    rows = table.to_pylist()
    if data_format == "json":
        show_json(rows)
    elif data_format == "csv":
        show_csv(table.column_names, rows)
    else:
        console.table(
            [
                Column("experiment", name=True),
                Column("id", whole=True),
                Column("runs", right=True),
                Column("last activity"),
            ],
            [
                (row["name"] or "", row["experiment_id"], f"{row['run_count']:,}", age(row["last_activity"]))
                for row in rows
            ],
        )
        console.say(f"{counted(len(rows), 'experiment')} in {store.uri}")
