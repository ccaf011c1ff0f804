"""`qualia models`: list logged models with their metrics, and what they are registered as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.cli.genai import GenAIStore
    from qualia_lab.genai_tables import ModelTables

SHOWN = 20  # default number of rows in a table


@click.command(
    "models",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia models --experiment churn",
        "qualia models --run RUN_ID --metrics val_auc",
        "qualia models --filter \"metrics.val_auc > 0.9 AND params.optimizer = 'adam'\" --by val_auc",
        "qualia models --filter \"registered_name = 'churn' AND alias = 'champion'\"",
        "qualia models --experiment 'churn*' --csv > models.csv",
    ),
)
@options.tracking_uri
@options.experiments
@options.run_ids
@click.option(
    "--filter",
    "filter_",
    default="",
    metavar="FILTER",
    help="MLflow's filter for logged models: \"metrics.val_auc > 0.9 AND name LIKE 'net%'\".",
)
@click.option("--by", metavar="METRIC[:max|min]", help="The metric to rank by, the best model first.")
@options.metric_keys
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
    filter_: str,
    by: str | None,
    metrics: tuple[str, ...],
    limit: int | None,
    data_format: str | None,
    show_secrets: bool,
    redact: bool | None,
    content: bool | None,
) -> None:
    """List the logged models and the versions of registered models, the latest or the best first."""
    from qualia_lab.choosing_models import matching_models
    from qualia_lab.cli import model_rows
    from qualia_lab.cli.genai import experiments_named, open_genai, without_empty
    from qualia_lab.cli.output import show_csv, show_json
    from qualia_lab.masking.tables import masked_columns
    from qualia_lab.query.models import parse_model_filter

    condition = parse_model_filter(filter_)
    with open_genai(tracking_uri, show_secrets=show_secrets, redact=redact, content=content) as store:
        with console.waiting(f"reading {store.uri}"):
            experiment_ids, names = experiments_named(store, experiments)
            tables, has_any = matching_models(store, condition, experiment_ids=experiment_ids, run_ids=run_ids)
        rows = model_rows.nested_rows(tables, names)
        if not rows:
            _raise_no_models(store, filter_ if has_any else "", named=bool(experiment_ids or run_ids))
        title = None
        if by is not None:
            title, rows = model_rows.ranked(rows, by)
        shown = rows[: limit if limit is not None or data_format else SHOWN]
        if data_format == "json":
            show_json(shown)
        elif data_format == "csv":
            show_csv(*model_rows.flat_rows(shown))
        else:
            columns, cells, left_out = model_rows.table_of(rows, len(shown), metrics, first=title)
            console.table(*without_empty(columns, cells))
            console.say(f"{_count(tables, len(shown), len(rows))} in {store.uri}")
            if left_out:
                console.say(f"{counted(left_out, 'more metric')}: --metrics KEY shows one as a column, --json all.")
        masked = masked_columns({name: table for name, table in vars(tables).items() if name != "problems"})
        notes.print_left_out(store)
        notes.print_masked(masked, "models")
        notes.print_problems(tables.problems)


def _count(tables: ModelTables, shown: int, rows: int) -> str:
    """`showing 8 of 8: 6 models, 4 versions of registered models (2 without a logged model)`."""
    models, versions = tables.models.num_rows, tables.versions.num_rows
    without = f" ({rows - models:,} without a logged model)" if rows > models else ""
    registered = f", {counted(versions, 'version')} of registered models{without}" if versions else ""
    return f"showing {shown:,} of {rows:,}: {counted(models, 'model')}{registered}"


def _raise_no_models(store: GenAIStore, filter_: str, *, named: bool) -> None:
    """Raise an error that says where there are none, or that none matches the filter, if there are some."""
    from qualia_lab.errors import EmptyStore, NoTraceMatches

    if filter_:
        raise NoTraceMatches(
            f"None of the models matches {one_line(filter_, 200)}.",
            "Relax the filter, or list the models with: qualia models",
        )
    if named:
        raise NoTraceMatches("These experiments and runs have no models.", "List all of them with: qualia models")
    raise EmptyStore(f"There are no models in {store.uri}.", "List its runs with: qualia runs")
