"""`qualia new`, which is also `create-observation-notebook`: from a store to an executed notebook."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.cli.asking import ask, choose_runs
from qualia_lab.console_table import Column
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.notebook.plan import NotebookPlan
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

# A notebook of more runs than this is slow to make and to read: a person is asked first.
MANY = 200


@click.command(
    "new",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "create-observation-notebook",
        "create-observation-notebook --experiment churn --top 12 --by val_auc --execute --to html",
        "create-observation-notebook --run 1f0c… --run 77ab… --output notebooks/two.ipynb",
        "create-observation-notebook --experiment 'churn*' --status FAILED --since '7 days ago' --dry-run",
    ),
)
@options.tracking_uri
@options.which_runs
@options.limit
@options.how_to_look
@options.explain
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE",
              help="The notebook. Default: notebooks/EXPERIMENT_DATE.ipynb")  # fmt: skip
@click.option("--title", help="The notebook's title.")
@click.option("--template", metavar="NAME|FILE",
              help="What the notebook says: observe, select, debug, report, aggregate, or a file of yours. Default: "
                   "observe, or aggregate with --engine.")  # fmt: skip
@click.option("--engine", metavar="ENGINE",
              help="Aggregate the runs of a snapshot, and read none: duckdb, spark, spark://…, sc://…")  # fmt: skip
@click.option("--execute", is_flag=True, help="Run the notebook's cells.")
@options.timeout
@options.to
@click.option("--dry-run", is_flag=True, help="Show the cells, and what is left out and why; write nothing.")
@click.option("--force", is_flag=True, help="Replace an output that is already there.")
@click.option("--yes", is_flag=True, help=f"Do not ask, not even past {MANY} runs; with no other flag: all runs.")
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str | None,
    conditions: Conditions,
    limit: int | None,
    settings: StudySettings,
    output: Path | None,
    title: str | None,
    template: str | None,
    engine: str | None,
    execute: bool,
    timeout: float,
    formats: tuple[str, ...],
    dry_run: bool,
    force: bool,
    yes: bool,
    explain: bool,
) -> None:
    """Make a notebook that says what happened in some runs of an MLflow tracking store.

    Without flags that say which runs, it asks. The store is only read. `create-observation-notebook` and `qualia new`
    are the same.
    """
    from qualia_lab.cli.explanation import show_explanation

    conditions = replace(conditions, limit=limit)
    asking = not (yes or conditions.restricts)
    replacing = force or dry_run
    if output is not None:
        from qualia_lab.chooser.questions import notebook_path

        output = notebook_path(output)
        replacing = _may_replace(output, formats, replace=replacing, ask=not yes)

    explaining = show_explanation if explain else None
    if asking:
        runs_it = execute or bool(formats) or dry_run
        asked = ask(
            tracking_uri, conditions, settings, explaining, output=output, title=title, runs_it=runs_it, many=MANY
        )
        generator, selection, output, title = asked.generator, asked.selection, asked.output, asked.title
        formats = (*formats, "html") if asked.run_it else formats
        replacing = _may_replace(output, formats, replace=replacing)
        _check_engine(engine, generator)
    else:
        generator = _open(tracking_uri)
        _check_engine(engine, generator)
        selection = choose_runs(generator, conditions, settings, explaining)
        if output is None:
            from qualia_lab.generator import default_output

            output = default_output(selection)
            replacing = _may_replace(output, formats, replace=replacing, ask=not yes)
        if not (yes or dry_run or engine):
            _confirm_many(len(selection.run_ids))
    with console.waiting(f"reading {generator.tracking_uri}"):
        plan = generator.plan(selection, settings=settings, template=template, title=title, engine=engine)
    if engine is None:
        options.say_unread(generator.read(selection))
    if dry_run:
        show_plan(plan, output)
        return
    executing = console.progress("executing", "cells") if execute or formats else nullcontext()
    with executing as advance:
        generator.make(
            plan, output, force=replacing, execute=execute, formats=formats, timeout=timeout, on_cell=advance
        )
    show_made(output, formats)


def show_made(notebook: Path, formats: Sequence[str]) -> None:
    """The files that were made, on stdout: bare paths for programs, with a word for a person; then what to do next."""
    made = [(notebook, "the notebook")]
    made += [(notebook.with_suffix(f".{fmt}"), "one file, works offline") for fmt in formats]
    width = max(len(str(path)) for path, _ in made)
    for path, what in made:
        console.show(f"{path!s:{width}}    {what}" if sys.stdout.isatty() else str(path))
    console.say(f"next: {_next_step(notebook, formats)}")


def _next_step(path: Path, formats: Sequence[str]) -> str:
    """How to see the notebook, also where there is no JupyterLab."""
    from qualia_lab.escaping import for_shell

    notebook = for_shell(str(path))
    if find_spec("jupyterlab") is not None or shutil.which("jupyter-lab") is not None:
        return f"jupyter lab {notebook}"
    if "html" in formats:
        page = path.with_suffix(".html")
        return f"open {page} in a browser, or pip install jupyterlab, then jupyter lab {notebook}"
    return f"pip install jupyterlab, then jupyter lab {notebook}; or for a page: qualia execute {notebook} --to html"


def show_plan(plan: NotebookPlan, output: Path) -> None:
    """What would be written: a line for each cell, then what is left out and why."""
    from qualia_lab.escaping import for_terminal

    console.show(f"{output}: {for_terminal(plan.title)}")
    console.show(
        f"template {plan.template}, {counted(len(plan.selection.run_ids), 'run')}, {counted(len(plan.cells), 'cell')}"
    )
    console.table(
        [Column("", right=True), Column("cell"), Column("key"), Column("begins")],
        [
            (str(place), cell.kind, cell.key, next(iter(cell.source.strip().splitlines()), ""))
            for place, cell in enumerate(plan.cells, start=1)
        ],
    )
    for section, reason in plan.left_out:
        console.show(f"left out: {for_terminal(section)}: {for_terminal(reason)}")
    console.say("Nothing was written.")


def _open(tracking_uri: str | None) -> NotebookGenerator:
    """The store, with a word on where its URI came from and on what is in it."""
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.stores.open import find_tracking_uri

    uri, why = find_tracking_uri(tracking_uri)
    generator = NotebookGenerator(uri)
    with console.step(f"reading {generator.tracking_uri}" + (f" ({why})" if tracking_uri is None else "")) as done:
        experiments = generator.read_experiments(counted=False)
        done(counted(experiments.num_rows, "experiment"))
        counts = experiments.column("run_count").to_pylist()
        if None not in counts:  # counting those of a server takes as long as reading them
            done(counted(sum(counts), "run"))
    return generator


def _check_engine(engine: str | None, generator: NotebookGenerator) -> None:
    """Raise EngineError where the engine cannot aggregate this store."""
    if engine is not None:
        from qualia_lab.engines.open import check_engine

        check_engine(engine, generator.tracking_uri)


def _may_replace(output: Path, formats: Sequence[str], *, replace: bool, ask: bool = True) -> bool:
    """Whether to replace what is there, asked before any work is done. Raises OutputExists, OutputNotWritable."""
    from qualia_lab.generator import check_output

    taken = [path for path in (output, *(output.with_suffix(f".{fmt}") for fmt in formats)) if path.exists()]
    if taken and not replace and ask and console.is_interactive():
        replace = console.confirm(
            f"{' and '.join(map(str, taken))} is there already, with whatever was written in it. Replace it?"
        )
    for path in (output, *taken):
        check_output(path, force=replace)
    return replace


def _confirm_many(count: int) -> None:
    if count <= MANY or not console.is_interactive():
        return
    if not console.confirm(f"{counted(count, 'run')}, go on?"):
        from qualia_lab.errors import NothingChosen

        raise NothingChosen("Nothing was written.", "Take fewer runs with --top N --by METRIC, --limit N or --filter.")
