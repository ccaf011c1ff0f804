"""Flags that several commands share, declared once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qualia_lab import console

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
Command = TypeVar("Command", bound="Callable[..., Any]")

_CACHE = "QUALIA_LAB_CACHE"
STATUSES = ("FINISHED", "FAILED", "RUNNING", "KILLED", "SCHEDULED")
FORMATS = ("html",)


def _debug(_context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        console.debug()


def _no_cache(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """For as long as the command runs, what QUALIA_LAB_CACHE=off says."""
    before = os.environ.get(_CACHE)
    if wanted:
        os.environ[_CACHE] = "off"
        context.call_on_close(lambda: os.environ.pop(_CACHE) if before is None else os.environ.update({_CACHE: before}))


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
    help="Read histories from the server, also those kept on this machine; keep none.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of one cell.",
)
to = click.option(
    "--to", "formats", multiple=True, type=click.Choice(FORMATS), help="Also export; executes first. Repeatable."
)


def which_runs(command: Command) -> Command:
    """The flags that say which runs, but for limits: they mean the same on every command."""
    for option in (
        click.option(
            "--where",
            multiple=True,
            metavar="KEY=VALUE",
            help="A param, metric, tag or attribute by its name: lr=0.1, 'val_auc>0.8'. Repeatable.",
        ),
        click.option("--since", metavar="WHEN", help="Started since a date or an age: 2026-11-01, '7 days ago'."),
        click.option(
            "--status",
            "statuses",
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
        click.option(
            "--filter",
            "condition",
            default="",
            metavar="FILTER",
            help="MLflow's filter: \"metrics.val_auc > 0.8 AND params.model = 'mlp'\".",
        ),
        click.option(
            "--experiment",
            "experiments",
            multiple=True,
            metavar="NAME",
            help="Name, id or glob ('churn*'). Repeatable.",
        ),
    ):
        command = option(command)
    return command


explain = click.option(
    "--explain",
    is_flag=True,
    help="Say which part of the question the store answers, and which part is evaluated here.",
)


def data_format(command: Command) -> Command:
    """`--json` and `--csv`: the same on every listing."""
    for name, words in (
        ("csv", "CSV for programs; text that a spreadsheet would run as a formula gets a leading '."),
        ("json", "JSON for programs: every value exactly as the store has it; times in ms since 1970 UTC."),
    ):
        command = click.option(f"--{name}", "data_format", flag_value=name, default=None, help=words)(command)
    return command


def examples(*lines: str) -> str:
    """Command lines for the end of a help page, each kept on its own line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
