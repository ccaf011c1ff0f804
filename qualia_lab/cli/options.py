"""Flags that several commands share, declared once."""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qualia_lab import console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.selection import Selection
    from qualia_lab.tables import RunTables

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
Command = TypeVar("Command", bound="Callable[..., Any]")

_CACHE = "QUALIA_LAB_CACHE"
STATUSES = ("FINISHED", "FAILED", "RUNNING", "KILLED", "SCHEDULED")
FORMATS = ("html",)
SAID = 5  # runs and values that are named as missing before the rest is only counted


def _debug(_context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        console.debug()


def _no_cache(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """For as long as the command runs, what QUALIA_LAB_CACHE=off says."""
    before = os.environ.get(_CACHE)
    if wanted:
        os.environ[_CACHE] = "off"
        context.call_on_close(lambda: os.environ.pop(_CACHE) if before is None else os.environ.update({_CACHE: before}))


def _show_secrets(context: click.Context, _parameter: click.Parameter, wanted: bool) -> bool:
    """What a person asked for stays on their screen."""
    if wanted and not sys.stdout.isatty():
        raise click.UsageError("--show-secrets shows them on a terminal only, and the output goes elsewhere.", context)
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
    help="Read histories from the server, also those kept on this machine; keep none.",
)
show_secrets = click.option(
    "--show-secrets",
    is_flag=True,
    callback=_show_secrets,
    help="On a terminal: values as they are stored, also those that look like secrets.",
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
    """The flags that say which runs, as `conditions`: they mean the same on every command, and all must hold."""
    names = ("experiments", "run_ids", "filter", "where", "since", "status", "order_by", "by", "top")

    @wraps(command)
    def choosing(**words: Any) -> Any:
        from qualia_lab.selection import Conditions

        said = {name: words.pop(name) for name in names}
        if words.pop("deleted"):
            said["view"] = "deleted"
        if said["top"] is not None and said["by"] is None:
            raise click.UsageError("--top needs --by, the metric to rank the runs by.", click.get_current_context())
        return command(conditions=Conditions.of(**said), **words)

    asking: Command = _with_options(
        choosing,
        click.option(
            "--experiment",
            "experiments",
            multiple=True,
            metavar="NAME",
            help="Name, id or glob ('churn*'). Repeatable.",
        ),
        click.option("--run", "run_ids", multiple=True, metavar="RUN_ID", help="Only this run. Repeatable."),
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
        click.option("--deleted", is_flag=True, help="Of the deleted runs instead of the active ones."),
    )
    return asking


def _said_seeds(seeds: tuple[str, ...]) -> tuple[str, ...] | None:
    """The params of `--seeds`; none of them for `--seeds ''`, and None, to be inferred, where it is not there."""
    return tuple(filter(None, seeds)) if seeds else None


limit = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="The N newest runs, or the first by --by or --order-by."
)


def how_to_look(command: Command) -> Command:
    """The flags that say how to look at the runs, as `settings`: over [tool.qualia], which is over what is inferred.

    The primary metric is that of --metric, else that of --by.
    """
    names = ("metric", "seeds", "factors", "labels", "baseline", "pool", "smallest_difference")

    @wraps(command)
    def looking(**words: Any) -> Any:
        from qualia_lab.settings import settings_from_arguments

        said = {name: words.pop(name) for name in names}
        return command(settings=settings_from_arguments(**said | {"seeds": _said_seeds(said["seeds"])}), **words)

    asking: Command = _with_options(
        looking,
        click.option(
            "--metric", metavar="METRIC[:max|min]", help="The primary metric. Default: that of --by, else by name."
        ),
        click.option(
            "--seeds",
            multiple=True,
            metavar="PARAM",
            help="A param that only repeats a run. Repeatable; '' for none. Default: seed, fold and the like.",
        ),
        click.option(
            "--factor",
            "factors",
            multiple=True,
            metavar="PARAM",
            help="A param or tag that sets runs apart, whatever it looks like. Repeatable.",
        ),
        click.option(
            "--label",
            "labels",
            multiple=True,
            metavar="PARAM",
            help="A param or tag that is only a name, a place or a time. Repeatable.",
        ),
        click.option(
            "--baseline",
            multiple=True,
            metavar="RUN|PARAM=VALUE",
            help="What the others are compared with: a run's id or name, or params. Repeatable for several params.",
        ),
        click.option("--pool", is_flag=True, help="Compare runs across experiments: they are one task."),
        click.option(
            "--smallest-difference",
            type=click.FloatRange(min=0, min_open=True),
            metavar="NUMBER",
            help="Of the primary metric, the smallest that matters. Default: a standard deviation between seeds.",
        ),
    )
    return asking


def say_named(selection: Selection) -> None:
    """How many of the runs that were named are not among those chosen, and why; and how the filter was read."""
    from qualia_lab.choosing import describe_named_runs

    for note in selection.query.notes:
        console.say(note)
    if selection.excluded or selection.missing:
        console.say(describe_named_runs(selection))


def open_generator(tracking_uri: str | None, *, show_secrets: bool = False) -> NotebookGenerator:
    """The runs of a store, by default with what looks like a secret masked."""
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.stores.open import find_tracking_uri, open_store

    if not show_secrets:
        return NotebookGenerator(tracking_uri)
    return NotebookGenerator(store=open_store(find_tracking_uri(tracking_uri)[0], show_secrets=True))


def say_masked(masked: Sequence[str]) -> None:
    """Which names are masked in what was shown, and how to see them."""
    from qualia_lab.escaping import for_terminal

    if masked:
        shown = ", ".join(map(for_terminal, masked[:10])) + (
            f" and {len(masked) - 10} more" if len(masked) > 10 else ""
        )
        console.say(f"masked, as they look like secrets: {shown}; qualia runs --show-secrets shows them on a terminal")


def say_unread(tables: RunTables) -> None:
    """Name the runs that are missing and what could not be read, so that nothing is gone without a word."""
    from qualia_lab.escaping import for_terminal

    lines = [f"run {row['run_id']} is missing: {row['reason']}" for row in tables.missing.to_pylist()]
    for row in tables.problems.to_pylist():
        of_run = "" if row["run_id"] is None else f"run {row['run_id']}: "
        lines.append(f"{of_run}{row['subject']}: {row['reason']}")
    for line in lines[:SAID]:
        console.say(for_terminal(line))
    if len(lines) > SAID:
        console.say(f"and {len(lines) - SAID:,} more that could not be read.")


def _with_options(command: Any, *options: Callable[[Any], Any]) -> Any:
    """The command with these options, in this order on its help page."""
    for option in reversed(options):
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
        (
            "json",
            "JSON for programs: values as the store has them, secrets masked; times in ms since 1970 UTC.",
        ),
    ):
        command = click.option(f"--{name}", "data_format", flag_value=name, default=None, help=words)(command)
    return command


def examples(*lines: str) -> str:
    """Command lines for the end of a help page, each kept on its own line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
