"""`qualia refresh`: bring notebooks up to date with their store, and keep what the user wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.counts import and_more, counted
from qualia_lab.errors import NotebookError, QualiaLabError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qualia_lab.notebook.merge import Merged
    from qualia_lab.refresh.refreshing import Refreshed

_NAMED = 5  # cells that a line names


@click.command(
    "refresh",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia refresh notebooks/churn_2026-11-23.ipynb",
        "qualia refresh notebooks/churn_2026-11-23.ipynb --dry-run",
        "qualia refresh notebooks/churn_2026-11-23.ipynb --undo",
        "qualia refresh --all notebooks --json",
    ),
)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--all", "is_folder", is_flag=True, help="Refresh every generated notebook in the folder NOTEBOOK.")
@click.option("--tracking-uri", metavar="URI", help="The tracking URI of its runs. Default: that in the notebook.")
@click.option("--template", metavar="NAME|FILE", help="Move to another template. Default: that of the notebook.")
@options.to("Also export; what was exported before is exported again")
@click.option("--restore", is_flag=True, help="Bring back generated cells that you deleted.")
@click.option("--undo", "is_undo", is_flag=True, help="Give back the files as they were before the last refresh.")
@click.option("--dry-run", is_flag=True, help="Say which runs and cells would change; execute and write nothing.")
@click.option("--json", "is_json", is_flag=True, help="Print what changed as JSON, for programs.")
@options.timeout
@options.no_cache
@options.debug
def command(
    *,
    notebook: Path,
    is_folder: bool,
    tracking_uri: str | None,
    template: str | None,
    formats: tuple[str, ...],
    restore: bool,
    is_undo: bool,
    dry_run: bool,
    is_json: bool,
    timeout: float,
) -> None:
    """Bring NOTEBOOK up to date with its store, and keep every word that you wrote in it.

    The runs are selected as they were before, so new ones may come in; ids that you picked stay. Cells that you edited
    are merged, or stay as they are with the new version offered beside them; your own cells are never touched. What
    changed is said here and in the notebook. The last 10 versions are kept in .qualia beside it.
    """
    from qualia_lab.notebook.export import check_formats

    check_formats(formats)
    if is_undo:
        if is_folder or dry_run:
            raise click.UsageError("--undo takes one notebook and no --dry-run.", click.get_current_context())
        _undo(notebook)
        return

    def refreshed(path: Path) -> Refreshed:
        return _refresh(
            path, tracking_uri, template=template, formats=formats, timeout=timeout, restore=restore, dry_run=dry_run
        )

    if is_folder:
        _refresh_all(notebook, refreshed, is_json=is_json, dry_run=dry_run)
        return
    result = refreshed(notebook)
    if is_json:
        _show_json([result])
    else:
        _show(result, dry_run=dry_run)


def _refresh(path: Path, tracking_uri: str | None, **arguments: Any) -> Refreshed:
    from qualia_lab.refresh.refreshing import refresh_notebook

    return refresh_notebook(
        path,
        tracking_uri=tracking_uri,
        reading=lambda uri: console.waiting(f"reading {uri}"),
        executing=lambda: console.progress(f"executing {path.name}", "cells"),
        **arguments,
    )


def _refresh_all(folder: Path, refreshed: Callable[[Path], Refreshed], *, is_json: bool, dry_run: bool) -> None:
    """Refresh each generated notebook of a folder; one that fails does not stop the others."""
    paths = _generated_notebooks(folder)
    results: list[Refreshed] = []
    failed: list[QualiaLabError] = []
    for path in paths:
        try:
            results.append(refreshed(path))
        except QualiaLabError as error:
            console.print_error(error)
            failed.append(error)
            continue
        if not is_json:
            _show(results[-1], dry_run=dry_run)
    if is_json:
        _show_json(results)
    console.say(f"{counted(len(results), 'notebook')} refreshed, {len(failed):,} failed")
    if failed:
        raise NotebookError(
            f"{len(failed):,} of {counted(len(paths), 'notebook')} could not be refreshed, as said above."
        )


def _generated_notebooks(folder: Path) -> list[Path]:
    """Return the notebooks of a folder that were generated, by name.

    Raises:
        NotebookError: it is no folder, or has none.
    """
    from qualia_lab.refresh.opened import is_generated

    if not folder.is_dir():
        raise NotebookError(f"{folder} is not a folder.", "Leave out --all to refresh one notebook.")
    paths = [path for path in sorted(folder.glob("*.ipynb")) if is_generated(path)]
    if not paths:
        raise NotebookError(f"No notebook in {folder} was made by qualia-lab.", "Make one with qualia new.")
    return paths


def _show(result: Refreshed, *, dry_run: bool) -> None:
    """Print what changed, for people: sentences on stderr, the files that were written on stdout."""
    from qualia_lab.cli.changes import say_changes
    from qualia_lab.cli.outputs import show_outputs

    for note in result.notes:
        console.say(note)
    if not result.is_changed:
        what = "trace" if result.of_traces else "run"
        console.say(f"{result.path}: no {what} and no cell changed since its cells ran. Nothing was written.")
        return
    say_changes(result.changes, dry_run=dry_run)
    for line in _cell_lines(result.merged):
        console.say(line)
    if dry_run:
        console.say(f"Nothing was written. To do it: qualia refresh {result.path}")
        return
    show_outputs(result.path, result.formats, headline=False)
    console.say(f"undo: qualia refresh {result.path} --undo")


def _cell_lines(merged: Merged) -> list[str]:
    """Say what happened to the cells."""
    kinds = (
        ("replaced by their new version", merged.keys("replaced")),
        ("added", merged.added),
        ("removed, as they are generated no longer", merged.removed),
        ("merged with your edits", merged.keys("merged")),
        ("kept as you edited them", merged.keys("kept")),
        ("kept as you edited them, with a new version offered below", merged.keys("offered")),
        ("yours from now on, as they are generated no longer", merged.owned),
        ("deleted by you, which --restore brings back", merged.deleted),
    )
    lines = [f"cells {words}: {len(keys):,} ({and_more(list(keys), _NAMED)})" for words, keys in kinds if keys]
    return [*lines, f"cells of your own, untouched: {merged.own:,}"] if merged.own else lines


def _show_json(results: Sequence[Refreshed]) -> None:
    """Print a JSON array with an object for each notebook."""
    from qualia_lab.cli.changes import changes_as_data
    from qualia_lab.cli.output import show_json

    rows = [
        {
            "notebook": str(result.path),
            "changed": result.is_changed,
            **changes_as_data(result.changes),
            "cells": {
                **{word: list(result.merged.keys(word)) for word in ("same", "replaced", "kept", "merged", "offered")},
                "added": list(result.merged.added),
                "removed": list(result.merged.removed),
                "yours_now": list(result.merged.owned),
                "deleted_by_you": list(result.merged.deleted),
                "your_own": result.merged.own,
            },
            "exports": list(result.formats),
            "notes": list(result.notes),
        }
        for result in results
    ]
    show_json(rows)


def _undo(notebook: Path) -> None:
    from qualia_lab.notebook.export_paths import page_paths
    from qualia_lab.notebook.undo import undo

    undone = undo(notebook, page_paths(notebook, options.FORMATS).values())
    for path in undone.files:
        console.show(str(path))
    console.say(f"given back as before the last refresh; what was there until now is in {undone.kept}")
    console.say(f"{counted(undone.left, 'earlier version')} can still be given back")
