"""`qualia new`, also installed as `create-observation-notebook`: from a store to an executed notebook."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.cli.outputs import show_outputs
from qualia_lab.cli.prompts import ask, check_engine, check_traces_alone, choose_runs, choose_traces
from qualia_lab.console_table import Column
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.notebook.plan import NotebookPlan
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

# A notebook of more runs than this is slow to make and to read: ask for confirmation first.
CONFIRM_ABOVE = 200


@click.command(
    "new",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "create-observation-notebook",
        "create-observation-notebook --experiment churn --top 12 --by val_auc --execute --to html",
        "create-observation-notebook --run 1f0c… --run 77ab… --output notebooks/two.ipynb",
        "create-observation-notebook --experiment 'churn*' --status FAILED --since '7 days ago' --dry-run",
        "create-observation-notebook --template traces --experiment support --since 7d --to html",
    ),
)
@options.tracking_uri
@options.selection_options
@options.limit
@options.study_options
@options.explain
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE",
              help="The notebook. Default: notebooks/EXPERIMENT_DATE.ipynb")  # fmt: skip
@click.option("--title", help="The notebook's title.")
@click.option("--template", metavar="NAME|FILE",
              help="The template: observe, select, debug, report, evaluate, traces, aggregate, or a file of yours; "
                   "`qualia templates` lists all. Default: observe, or aggregate with --engine.")  # fmt: skip
@click.option("--engine", metavar="ENGINE",
              help="Aggregate the runs of a snapshot, reading none: duckdb, spark, spark://…, sc://…")  # fmt: skip
@click.option("--execute", is_flag=True, help="Run the notebook's cells.")
@options.timeout
@options.to("Also export, after executing")
@click.option("--dry-run", is_flag=True, help="Show the cells, and which sections are left out and why; write nothing.")
@click.option("--force", is_flag=True, help="Replace an output that already exists.")
@click.option(
    "--yes", is_flag=True, help=f"Do not ask, not even above {CONFIRM_ABOVE} runs; without other flags: all runs."
)
@options.privacy
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
    redact: bool | None,
    content: bool | None,
) -> None:
    """Make a notebook that says what happened in some runs of an MLflow tracking store.

    Without flags that select runs, it asks. The store is only read. `create-observation-notebook` and `qualia new` are
    the same.
    """
    from qualia_lab.cli.explanation import show_explanation

    check_engine(engine)
    if formats:
        from qualia_lab.notebook.export import check_formats

        check_formats(formats)
    conditions = replace(conditions, limit=limit)
    of_traces = template is not None and _is_of_traces(template)
    if of_traces:
        check_traces_alone(settings, engine=engine, explain=explain)
    ask_questions = not (yes or of_traces or conditions.restricts)
    may_replace = force or dry_run
    if output is not None:
        from qualia_lab.chooser.questions import notebook_path

        output = notebook_path(output)
        may_replace = _may_replace(output, formats, replace=may_replace, ask=not yes)

    explain_with = show_explanation if explain else None
    if ask_questions:
        is_output_given = execute or bool(formats) or dry_run
        answers = ask(
            tracking_uri,
            conditions,
            settings,
            explain_with,
            engine=engine,
            output=output,
            title=title,
            is_output_given=is_output_given,
            confirm_above=CONFIRM_ABOVE,
            redact=redact,
            content=content,
        )
        generator, selection, output, title = answers.generator, answers.selection, answers.output, answers.title
        formats = (*formats, "html") if answers.execute else formats
        may_replace = _may_replace(output, formats, replace=may_replace)
    else:
        generator = _open(tracking_uri, redact=redact, content=content)
        check_engine(engine, generator.tracking_uri)
        selection = (
            choose_traces(generator, conditions)
            if of_traces
            else choose_runs(generator, conditions, settings, explain_with)
        )
        if output is None:
            from qualia_lab.generator import default_output

            output = default_output(selection)
            may_replace = _may_replace(output, formats, replace=may_replace, ask=not yes)
        if not (yes or dry_run or engine or of_traces):
            _confirm_many(len(selection.run_ids))
    with console.waiting(f"reading {generator.tracking_uri}"):
        plan = generator.plan(selection, settings=settings, template=template, title=title, engine=engine)
    if selection.traces is not None:
        notes.print_problems(generator.read_traces(selection.traces).problems)
    elif engine is None:
        notes.print_unread(generator.read(selection))
    if dry_run:
        show_plan(plan, output)
        return
    executing = console.progress("executing", "cells") if execute or formats else nullcontext()
    with executing as advance:
        generator.make(
            plan, output, force=may_replace, execute=execute, formats=formats, timeout=timeout, on_cell=advance
        )
    notes.print_left_out(generator.store)
    show_outputs(output, formats)


def show_plan(plan: NotebookPlan, output: Path) -> None:
    """Print what would be written: a line per cell, then the sections that are left out, and why."""
    from qualia_lab.escaping import for_terminal

    console.show(f"{output}: {for_terminal(plan.title)}")
    runs = f"{counted(len(plan.selection.run_ids), 'run')}, " if plan.selection.traces is None else ""
    console.show(f"template {plan.template}, {runs}{counted(len(plan.cells), 'cell')}")
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


def _is_of_traces(template: str) -> bool:
    from qualia_lab.notebook.plan import is_of_traces
    from qualia_lab.notebook.template import read_template

    return is_of_traces(read_template(template))


def _open(tracking_uri: str | None, *, redact: bool | None, content: bool | None) -> NotebookGenerator:
    """Open the store, and print where its URI came from and what it holds."""
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.stores.open import find_tracking_uri

    uri, why = find_tracking_uri(tracking_uri)
    generator = NotebookGenerator(uri, redact=redact, content=content)
    with console.step(f"reading {generator.tracking_uri}" + (f" ({why})" if tracking_uri is None else "")) as done:
        experiments = generator.read_experiments(counted=False)
        done(counted(experiments.num_rows, "experiment"))
        counts = experiments.column("run_count").to_pylist()
        if None not in counts:  # a server does not count runs; counting takes as long as reading them
            done(counted(sum(counts), "run"))
    return generator


def _may_replace(output: Path, formats: Sequence[str], *, replace: bool, ask: bool = True) -> bool:
    """Whether to replace existing outputs; asked before any work is done. Raises OutputExists or OutputNotWritable."""
    from qualia_lab.generator import check_output
    from qualia_lab.notebook.export_paths import page_paths

    existing = [path for path in (output, *page_paths(output, formats).values()) if path.exists()]
    if existing and not replace and ask and console.is_interactive():
        replace = console.confirm(f"{' and '.join(map(str, existing))} already exists, perhaps with edits. Replace it?")
    for path in (output, *existing):
        check_output(path, force=replace)
    return replace


def _confirm_many(count: int) -> None:
    if count <= CONFIRM_ABOVE or not console.is_interactive():
        return
    if not console.confirm(f"{counted(count, 'run')}, go on?"):
        from qualia_lab.errors import NothingChosen

        raise NothingChosen(
            "Nothing was written.", "Select fewer runs with --top N --by METRIC, --limit N or --filter."
        )
