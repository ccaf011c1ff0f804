"""`qualia watch`: refresh a notebook while training goes on, and say what happens."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import options

if TYPE_CHECKING:
    from qualia_lab.analysis.run_events import RunEvent
    from qualia_lab.analysis.trace_events import TraceEvent
    from qualia_lab.refresh.watching import WatchEvent
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings


@click.command(
    "watch",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia watch notebooks/churn_2026-11-23.ipynb",
        "qualia watch notebooks/churn_2026-11-23.ipynb --every 60 --until finished",
        "qualia watch --experiment churn --output notebooks/live.ipynb --fail-on diverged",
    ),
)
@click.argument("notebook", type=click.Path(path_type=Path), required=False)
@options.tracking_uri
@options.selection_options
@options.limit
@options.study_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The notebook to make, without NOTEBOOK. Default: notebooks/EXPERIMENT_DATE.ipynb",
)
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Ask the store at most this often; it is read only after something was written.",
)
@click.option(
    "--until", type=click.Choice(["finished"]), help="End when no run is running or scheduled, after a last refresh."
)
@click.option(
    "--fail-on",
    "fail_on",
    multiple=True,
    metavar="RULE",
    help="End with exit code 55 when this rule finds something; also: problem, or warning (and worse). Repeatable.",
)
@click.option("--json", "is_json", is_flag=True, help="Print each event as a line of JSON, for programs.")
@options.timeout
@options.no_cache
@options.debug
def command(
    *,
    notebook: Path | None,
    tracking_uri: str | None,
    conditions: Conditions,
    limit: int | None,
    settings: StudySettings,
    output: Path | None,
    every: float,
    until: str | None,
    fail_on: tuple[str, ...],
    is_json: bool,
    timeout: float,
) -> None:
    """Refresh NOTEBOOK and its page whenever its store was written to, and say what happened to its runs or traces.

    Without NOTEBOOK, the notebook is made first, of the runs that the flags select. The page opens itself again by a
    timer until the watch ends, and keeps the place, the chosen runs, folds, filter and order. Ctrl-C ends the watch.
    `qualia refresh NOTEBOOK --undo` gives back the files as they were before it.
    """
    from dataclasses import replace

    from qualia_lab.cli.findings import check_rules, forbidden, refuse, rules_needed
    from qualia_lab.refresh.watching import Watching, watch_notebook

    check_rules(fail_on)
    path = _notebook(notebook, tracking_uri, replace(conditions, limit=limit), settings, output, timeout=timeout)
    watching = Watching(
        every=every,
        until_finished=until is not None,
        forbidden=lambda findings: forbidden(findings, fail_on),
        rules=rules_needed(fail_on),
        timeout=timeout,
    )
    console.say(f"watching {path}, asking every {every:g} s; Ctrl-C ends it")
    try:
        found = watch_notebook(path, watching, _show_json if is_json else _show, tracking_uri)
    finally:
        _show_files(path, is_json=is_json)
    refuse(found)


def _notebook(
    notebook: Path | None,
    tracking_uri: str | None,
    conditions: Conditions,
    settings: StudySettings,
    output: Path | None,
    *,
    timeout: float,
) -> Path:
    """Return the notebook to watch; without one, make it of the runs that the conditions select."""
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

    context = click.get_current_context()
    if notebook is not None:
        if conditions != Conditions() or settings != StudySettings() or output is not None:
            raise click.UsageError("The flags that select and interpret runs are those of NOTEBOOK already.", context)
        return notebook
    if not conditions.restricts:
        raise click.UsageError("Name a NOTEBOOK, or select runs, for example with --experiment NAME.", context)
    from qualia_lab.chooser.questions import notebook_path
    from qualia_lab.cli.prompts import choose_runs
    from qualia_lab.generator import NotebookGenerator, default_output
    from qualia_lab.stores.open import find_tracking_uri

    if output is not None:
        output = _new(notebook_path(output))
    with NotebookGenerator(find_tracking_uri(tracking_uri)[0]) as generator:
        selection = choose_runs(generator, conditions, settings, None)
        path = output or _new(default_output(selection))
        with console.waiting(f"reading {generator.tracking_uri}"):
            plan = generator.plan(selection, settings=settings)
        with console.progress("executing", "cells") as advance:
            return generator.make(plan, path, formats=("html",), timeout=timeout, on_cell=advance)


def _new(path: Path) -> Path:
    """Return the path of a notebook to make. Raises OutputExists or OutputNotWritable."""
    from qualia_lab.errors import OutputExists
    from qualia_lab.files import check_writable

    for file in (path, path.with_suffix(".html")):
        check_writable(file)
        if file.exists():
            raise OutputExists(f"{file} already exists.", f"Watch it: qualia watch {path}, or name another --output.")
    return path


def _show_files(path: Path, *, is_json: bool) -> None:
    """Print where the notebook and its page are, as far as there are any."""
    files = {name: str(one) for name, one in (("notebook", path), ("page", path.with_suffix(".html"))) if one.is_file()}
    if is_json:
        console.show(json.dumps({"kind": "ended", **files}))
    elif files:
        console.show("\n".join(files.values()))


def _show(event: RunEvent | TraceEvent | WatchEvent) -> None:
    """Print an event after the time: what happened to runs and traces on stdout, to the watch itself on stderr."""
    from qualia_lab.refresh.watching import WatchEvent

    now = datetime.now().astimezone().strftime("%H:%M:%S")
    console.sentence(event.sentence, now, "grey", 9, is_message=isinstance(event, WatchEvent))


def _show_json(event: RunEvent | TraceEvent | WatchEvent) -> None:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    facts = {name: value for name, value in asdict(event).items() if value not in ("", None)}
    console.show(json.dumps({"time": now, **facts}, allow_nan=False))
