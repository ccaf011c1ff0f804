"""Flags that several commands share."""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qualia_lab import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.generator import NotebookGenerator

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
Command = TypeVar("Command", bound="Callable[..., Any]")

_CACHE = "QUALIA_LAB_CACHE"
STATUSES = ("FINISHED", "FAILED", "RUNNING", "KILLED", "SCHEDULED")
FORMATS = ("html", "pdf", "md", "py")


def _debug(_context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        console.debug()


def _no_cache(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Set QUALIA_LAB_CACHE=off for the duration of the command."""
    before = os.environ.get(_CACHE)
    if wanted:
        os.environ[_CACHE] = "off"
        context.call_on_close(lambda: os.environ.pop(_CACHE) if before is None else os.environ.update({_CACHE: before}))


def _show_secrets(context: click.Context, _parameter: click.Parameter, wanted: bool) -> bool:
    """Refuse to write secrets anywhere but to a terminal."""
    if wanted and not sys.stdout.isatty():
        raise click.UsageError("--show-secrets works on a terminal only, and the output goes elsewhere.", context)
    return wanted


tracking_uri = click.option(
    "--tracking-uri",
    metavar="URI",
    help="Where the runs are: sqlite:///mlflow.db, a path, postgresql://…, http://…, snapshot:PATH  "
    "Default: MLFLOW_TRACKING_URI, then mlflow.db or mlruns in this folder.",
)
debug = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_debug, is_eager=True, help="Show the traceback of an error."
)
no_cache = click.option(
    "--no-cache",
    is_flag=True,
    expose_value=False,
    callback=_no_cache,
    help="Read all histories from the server; neither use nor fill the cache on this machine.",
)
show_secrets = click.option(
    "--show-secrets",
    is_flag=True,
    callback=_show_secrets,
    help="Show values that look like secrets as they are stored. Works on a terminal only.",
)
_redact = click.option(
    "--redact",
    is_flag=True,
    help="Replace e-mail addresses, phone numbers and the patterns of [tool.qualia.privacy]: ‹email 1›.",
)
_no_content = click.option(
    "--no-content",
    is_flag=True,
    help="Leave out what people and models wrote: previews, inputs, outputs, messages, rationales, expected answers.",
)


def privacy(command: Command) -> Command:
    """Add `--redact` and `--no-content`, as the arguments `redact` and `content`: None where a flag is not given."""

    @wraps(command)
    def with_privacy(**arguments: Any) -> Any:
        redact, no_content = arguments.pop("redact"), arguments.pop("no_content")
        if arguments.get("show_secrets") and (redact or no_content):
            raise click.UsageError(
                "--show-secrets shows everything as it is stored: omit it, or --redact and --no-content.",
                click.get_current_context(),
            )
        return command(redact=redact or None, content=False if no_content else None, **arguments)

    decorated: Command = _with_options(with_privacy, _redact, _no_content)
    return decorated


timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of one cell.",
)


def to(help_text: str, *, required: bool = False) -> Callable[[Command], Command]:
    """The option `--to`: formats of exports, separated by commas or given several times."""
    return click.option(
        "--to",
        "formats",
        multiple=True,
        required=required,
        metavar="FORMAT[,FORMAT]",
        callback=_formats,
        help=f"{help_text}: {', '.join(FORMATS)}.",
    )


def _formats(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(one.strip() for value in values for one in value.split(",") if one.strip()))
    unknown = [one for one in formats if one not in FORMATS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(FORMATS)}.")
    return formats


experiments = click.option(
    "--experiment",
    "experiments",
    multiple=True,
    metavar="NAME",
    help="Name, id or glob ('churn*'). Repeatable.",
)
run_ids = click.option("--run", "run_ids", multiple=True, metavar="RUN_ID", help="Only this run. Repeatable.")


def _keys(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of `--metrics a,b --metrics c`; MLflow does not allow commas in keys."""
    return tuple(key.strip() for text in texts for key in text.split(",") if key.strip())


metric_keys = click.option(
    "--metrics", multiple=True, callback=_keys, metavar="KEY,…", help="Show these metrics as columns."
)
param_keys = click.option(
    "--params", multiple=True, callback=_keys, metavar="KEY,…", help="Show these params as columns."
)


def selection_options(command: Command) -> Command:
    """Add the flags that select runs, as the argument `conditions`; they have the same meaning in all commands.

    All conditions must hold.
    """
    names = ("experiments", "run_ids", "filter", "where", "since", "status", "order_by", "by", "top")

    @wraps(command)
    def with_conditions(**arguments: Any) -> Any:
        from qualia_lab.selection import Conditions

        conditions = {name: arguments.pop(name) for name in names}
        if arguments.pop("deleted"):
            conditions["view"] = "deleted"
        if conditions["top"] is not None and conditions["by"] is None:
            raise click.UsageError("--top needs --by, the metric to rank the runs by.", click.get_current_context())
        return command(conditions=Conditions.of(**conditions), **arguments)

    decorated: Command = _with_options(
        with_conditions,
        experiments,
        run_ids,
        click.option(
            "--filter",
            default="",
            metavar="FILTER",
            help="MLflow's filter: \"metrics.val_auc > 0.8 AND params.model = 'mlp'\".",
        ),
        click.option(
            "--where",
            multiple=True,
            metavar="KEY=VALUE",
            help="A param, metric, tag or attribute by its name: lr=0.1, 'val_auc>0.8'. Repeatable.",
        ),
        click.option("--since", metavar="WHEN", help="Started since a date or an age: 2026-11-01, '7 days ago'."),
        click.option(
            "--status",
            multiple=True,
            type=click.Choice(STATUSES, case_sensitive=False),
            metavar="STATUS",
            help=f"Only runs of this status: {', '.join(STATUSES)}. Repeatable.",
        ),
        click.option(
            "--order-by",
            multiple=True,
            metavar="FIELD",
            help="'metrics.val_auc DESC'. Repeatable. Default: newest first.",
        ),
        click.option("--by", metavar="METRIC[:max|min]", help="The metric to rank by, the best run first."),
        click.option("--top", type=click.IntRange(min=1), metavar="N", help="The N best runs by the metric of --by."),
        click.option("--deleted", is_flag=True, help="Select deleted runs instead of active ones."),
    )
    return decorated


def _given_seeds(seeds: tuple[str, ...]) -> tuple[str, ...] | None:
    """The params of `--seeds`; () for `--seeds ''`; None, to infer them, if the flag is not given."""
    return tuple(filter(None, seeds)) if seeds else None


limit = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="The N newest runs, or the first N by --by or --order-by."
)


def limit_of_rows(shown: int) -> Callable[[Command], Command]:
    """The flag --limit of a command that lists rows, of which a table shows so many by default."""
    return click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help=f"N rows. Default: {shown} in a table, else all."
    )


def study_options(command: Command) -> Command:
    """Add the flags that say how to interpret runs, as the argument `settings`.

    They override [tool.qualia], which overrides what is inferred. The primary metric is that of --metric, else of --by.
    """
    names = ("metric", "seeds", "factors", "labels", "baseline", "pool", "smallest_difference")

    @wraps(command)
    def with_settings(**arguments: Any) -> Any:
        from qualia_lab.settings import settings_from_arguments

        values = {name: arguments.pop(name) for name in names}
        study_settings = settings_from_arguments(**values | {"seeds": _given_seeds(values["seeds"])})
        return command(settings=study_settings, **arguments)

    decorated: Command = _with_options(
        with_settings,
        click.option(
            "--metric", metavar="METRIC[:max|min]", help="The primary metric. Default: that of --by, else by name."
        ),
        click.option(
            "--seeds",
            multiple=True,
            metavar="PARAM",
            help="A param that differs only between repeats. Repeatable; '' for none. Default: seed, fold, …",
        ),
        click.option(
            "--factor",
            "factors",
            multiple=True,
            metavar="PARAM",
            help="A param or tag that distinguishes configurations, whatever it looks like. Repeatable.",
        ),
        click.option(
            "--label",
            "labels",
            multiple=True,
            metavar="PARAM",
            help="A param or tag that is only a name, a location or a time. Repeatable.",
        ),
        click.option(
            "--baseline",
            multiple=True,
            metavar="RUN|PARAM=VALUE",
            help="What the others are compared with: a run's id or name, or params. Repeatable for several params.",
        ),
        click.option("--pool", is_flag=True, help="Treat all experiments as one task, and compare runs across them."),
        click.option(
            "--smallest-difference",
            type=click.FloatRange(min=0, min_open=True),
            metavar="NUMBER",
            help="The smallest difference of the primary metric that matters. Default: one deviation between seeds.",
        ),
    )
    return decorated


def open_generator(
    tracking_uri: str | None,
    *,
    show_secrets: bool = False,
    redact: bool | None = None,
    content: bool | None = None,
) -> NotebookGenerator:
    """Open a store; values that look like secrets are masked by default."""
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.settings import open_given_store

    store = open_given_store(tracking_uri, show_secrets=show_secrets, redact=redact, content=content)
    return NotebookGenerator(store=store)


def _with_options(command: Any, *options: Callable[[Any], Any]) -> Any:
    """Add options to a command, in the order in which the help page lists them."""
    for option in reversed(options):
        command = option(command)
    return command


explain = click.option(
    "--explain",
    is_flag=True,
    help="Show which part of the query the store evaluates, and which part is evaluated here.",
)


def data_format(command: Command) -> Command:
    """Add `--json` and `--csv`, the same for all listings."""
    for name, words in (
        ("csv", "CSV for programs; text that a spreadsheet would run as a formula gets a leading '."),
        (
            "json",
            "JSON for programs: values as the store has them, secrets masked; times in ms since 1970 UTC.",
        ),
    ):
        command = click.option(f"--{name}", "data_format", flag_value=name, default=None, help=words)(command)
    return command


def examples(*lines: str) -> str:
    """Command lines for the end of a help page, one per line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
