"""Refresh a notebook: select, describe and generate again, merge with the edits of the user, execute and export."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.changes import Changes, RunResult, compare_results
from qualia_lab.files import check_writable
from qualia_lab.generator import NotebookGenerator
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.changes_cell import PREFIX, changes_cell, changes_text, earlier_cells, number_of
from qualia_lab.notebook.execute import Edit
from qualia_lab.notebook.export_paths import page_paths
from qualia_lab.notebook.formats.format import EVERYTHING
from qualia_lab.notebook.generated import (
    NAMESPACE,
    Generated,
    cell_key,
    digest,
    digest_of_sources,
    generated_as_metadata,
    read_generated,
)
from qualia_lab.notebook.merge import Merged, merge_cells
from qualia_lab.notebook.page.sections import section_name
from qualia_lab.notebook.parameters import privacy_in
from qualia_lab.notebook.results import read_results
from qualia_lab.notebook.undo import remove_old_steps, undo_step
from qualia_lab.refresh.opened import open_notebook
from qualia_lab.settings import open_given_store
from qualia_lab.stores.masked import left_out_of
from qualia_lab.study.left_out import names_of
from qualia_lab.study.statuses import statuses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from qualia_lab.analysis.changes import Results
    from qualia_lab.notebook.formats.format import Options
    from qualia_lab.notebook.plan import NotebookPlan
    from qualia_lab.refresh.opened import OpenedNotebook
    from qualia_lab.selection import Conditions, Selection
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Study

    OnCell = Callable[[int, int], None]

# What changed stands after the first of these sections that the notebook has.
_BEFORE_CHANGES = ("headline", "findings", "title")


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        path: the notebook.
        is_changed: whether files were written or, with a dry run, would be.
        changes: what changed in the runs and in what the notebook says.
        merged: what happened to the cells.
        formats: the exports that were made.
        notes: sentences on what could not be repeated as it was, and on people's words that were left out.
        of_traces: whether the notebook is about traces, so that `changes` says nothing of runs.
    """

    path: Path
    is_changed: bool
    changes: Changes = field(default_factory=Changes)
    merged: Merged = field(default_factory=lambda: Merged((), {}))
    formats: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    of_traces: bool = False


def refresh_notebook(
    path: Path,
    *,
    tracking_uri: str | None = None,
    template: str | None = None,
    formats: Sequence[str] = (),
    timeout: float = 600,
    restore: bool = False,
    dry_run: bool = False,
    reading: Callable[[str], AbstractContextManager[object]] = nullcontext,
    executing: Callable[[], AbstractContextManager[OnCell | None]] = nullcontext,
    on_read: Callable[[NotebookGenerator, Selection, Study], object] | None = None,
    options: Options = EVERYTHING,
    kept: Mapping[Path, bytes] | None = None,
    opening: Callable[..., TrackingStore] = open_given_store,
) -> Refreshed:
    """Bring a notebook up to date with its store, and keep everything that the user wrote in it.

    The runs are selected as they were before: new ones may match, and runs that were picked stay. If neither the runs
    nor the notebook changed since it was executed, nothing is written. Otherwise the notebook, its exports and a copy
    of them for `undo` are written together, after all cells ran.

    Args:
        path: the file of the notebook.
        tracking_uri: the tracking URI of its runs; None for that in the notebook.
        template: another template; None for that of the notebook.
        formats: exports to make besides those that were made before.
        timeout: the maximum number of seconds for each cell.
        restore: whether generated cells that the user deleted come back.
        dry_run: whether to write and execute nothing.
        reading: called with the tracking URI; entered while the store is read and the cells are generated.
        executing: entered while the cells run; may give a function that is called with (cells done, number of cells)
            from another thread.
        on_read: called with what was read, before cells run; not with an engine, where no runs are read.
        options: what the exports contain.
        kept: what `undo` gives back; None for the files as they are now, {} to keep none.
        opening: opens the store with this tracking URI, to be read once and closed; called like `open_given_store`.

    Returns:
        What was done. With `dry_run`, `changes` is about runs alone, and empty for traces.

    Raises:
        NotebookError: the file is not a notebook of this package, was changed meanwhile, or has invalid parameters.
        StoreError: the store cannot be read.
        SelectionError: the conditions select no run.
        TemplateError: the template does not exist or is invalid.
        ExecutionFailed: a cell failed; the notebook is written with the outputs so far, and can be undone.
        ExportFailed: an export failed.
    """
    opened = open_notebook(path)
    exports = tuple(dict.fromkeys((*opened.generated.exports, *formats)))
    for file in (path, *page_paths(path, exports).values()):
        check_writable(file)
    conditions, notes = opened.conditions()
    notes = (*opened.notes, *notes)
    settings, of_traces = opened.settings(), opened.traces is not None
    engine = opened.parameters.get("ENGINE")
    store = opening(tracking_uri or opened.tracking_uri, **privacy_in(opened.parameters))
    with NotebookGenerator(store=store) as generator:
        with reading(generator.tracking_uri):
            selection = _choose_again(generator, opened, conditions, settings)
            if tracking_uri is None:  # the notebook may name the store by a relative path
                selection = replace(selection, tracking_uri=opened.named_uri)
            if isinstance(engine, str):
                selection = replace(selection, engine=engine)
                notes = (*notes, "An engine does not tell whether its runs changed, so its cells run each time.")

            def planned(date: object) -> NotebookPlan:
                title = opened.generated.given.get("title")
                return generator.plan(
                    selection,
                    settings=settings,
                    template=template or opened.template,
                    title=title if isinstance(title, str) else None,
                    engine=selection.engine,
                    written=date if isinstance(date, str) else None,
                )

            # With the date of before, to see whether anything else changed; an engine computes, and is asked once.
            plan = planned(opened.generated.given.get("date") if selection.engine is None else None)
            if on_read is not None and selection.engine is None:
                on_read(generator, selection, plan.study)
            unchanged = merge_plan(opened, plan, restore=restore, changes=False)
            if _is_same(opened, unchanged, exports, generator, selection):
                return Refreshed(
                    path, is_changed=False, merged=unchanged, formats=exports, notes=notes, of_traces=of_traces
                )
            if plan.given["date"] != datetime.now().astimezone().date().isoformat():
                plan = planned(None)
            refreshing = Refreshing(opened, plan, merge_plan(opened, plan, restore=restore, changes=True), kept)
            if dry_run:
                changes = compare_results(refreshing.before, _runs_alone(generator, selection, refreshing.before))
                return Refreshed(path, True, changes, refreshing.merged, exports, notes, of_traces)
        try:
            with executing() as on_cell:
                edit = Edit(refreshing.data(exports), opened.data, refreshing.finish, options)
                generator.execute(path, plan, formats=exports, timeout=timeout, on_cell=on_cell, edit=edit)
        finally:
            remove_old_steps(path)
        notes = (*notes, *left_out_of(generator.store))
        return Refreshed(path, True, refreshing.changes, refreshing.merged, exports, notes, of_traces)


class Refreshing:
    """A refresh while its cells run: they have to run before it is known what the notebook says now.

    Attributes:
        merged: the merged cells, with one that will say what changed.
        before: what the notebook said before.
        changes: what changed; known when the cells have run.
    """

    def __init__(
        self, opened: OpenedNotebook, plan: NotebookPlan, merged: Merged, kept: Mapping[Path, bytes] | None = None
    ) -> None:
        """Take a notebook, the plan of its new cells, and both merged with a cell for what changed.

        Args:
            opened: the notebook.
            plan: the plan.
            merged: both, merged.
            kept: what `undo` gives back; None for the files as they are, {} to keep none.
        """
        self.merged = merged
        self.before = read_results(opened.notebook, opened.run_ids)
        self.changes = Changes()
        self._opened, self._plan, self._kept = opened, plan, kept

    def data(self, exports: Sequence[str]) -> bytes:
        """Return the notebook to execute."""
        notebook = self._opened.notebook
        generated = Generated(
            template=self._plan.template,
            base=self.merged.base,
            given=self._plan.given,
            deleted=self.merged.deleted,
            exports=tuple(exports),
        )
        metadata = {**notebook["metadata"], "title": self._plan.title, NAMESPACE: generated_as_metadata(generated)}
        minor = max(5, int(notebook.get("nbformat_minor", 5)))
        return notebook_bytes(
            {**notebook, "cells": list(self.merged.cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}
        )

    def finish(self, notebook: dict[str, Any], results: Results) -> dict[Path, bytes]:
        """Say in the notebook what changed; return the files that keep what was there before.

        Args:
            notebook: the notebook after its cells ran, which is modified.
            results: what its outputs say.
        """
        self.changes = compare_results(self.before, results)
        generated = read_generated(notebook) or Generated()
        key = f"{PREFIX}{_next_number(self._opened)}"
        base = {name: source for name, source in generated.base.items() if name != key}
        if self.changes.is_empty:
            self.merged = replace(self.merged, added=tuple(name for name in self.merged.added if name != key))
            notebook["cells"] = [cell for cell in notebook["cells"] if cell_key(cell) != key]
        else:
            base[key] = changes_text(self.changes, [base[name] for name in base if number_of(name)])
            for cell in notebook["cells"]:
                if cell_key(cell) == key:
                    cell["source"] = base[key]
                    cell["metadata"][NAMESPACE]["digest"] = digest(base[key])
        notebook["metadata"][NAMESPACE] = generated_as_metadata(replace(generated, base=base))
        kept = files_of(self._opened) if self._kept is None else self._kept
        return undo_step(self._opened.path, kept) if kept else {}


def files_of(opened: OpenedNotebook) -> dict[Path, bytes]:
    """Return the content of a notebook and its exports, to be given back by `undo`."""
    exports = page_paths(opened.path, opened.generated.exports).values()
    return {opened.path: opened.data, **{path: path.read_bytes() for path in exports if path.is_file()}}


def merge_plan(opened: OpenedNotebook, plan: NotebookPlan, *, restore: bool, changes: bool) -> Merged:
    """Merge the planned cells into a notebook.

    Args:
        opened: the notebook.
        plan: the plan of the new cells.
        restore: whether cells that the user deleted come back.
        changes: whether a cell is added that will say what changed, and earlier ones are folded.
    """
    new = [_as_text(cell) for cell in build_notebook(plan)["cells"]]
    edited = [
        cell_key(cell)
        for cell in opened.notebook["cells"]
        if cell["source"] != opened.generated.base.get(cell_key(cell))
    ]
    base = {key: source for key, source in opened.generated.base.items() if key not in edited}
    further = earlier_cells(base, folded=changes)
    if changes:
        further = [changes_cell(_next_number(opened), "## What changed"), *further]
    names = [section_name(cell) for cell in new]
    last = next((name for name in _BEFORE_CHANGES if name in names), names[0])
    place = len(names) - names[::-1].index(last)
    return merge_cells(
        opened.notebook["cells"],
        [*new[:place], *further, *new[place:]],
        opened.generated.base,
        deleted=opened.generated.deleted,
        restore=restore,
    )


def _choose_again(
    generator: NotebookGenerator, opened: OpenedNotebook, conditions: Conditions, settings: StudySettings
) -> Selection:
    """Select the runs or traces of a notebook as before; the traces that the user wrote into it count."""
    if opened.traces is None:
        return generator.choose(conditions, settings)
    return generator.choose_traces(conditions, opened.traces if "TRACES" in opened.changed_parameters() else None)


def _is_same(
    opened: OpenedNotebook, merged: Merged, exports: Sequence[str], generator: NotebookGenerator, selection: Selection
) -> bool:
    """Whether neither the runs nor the notebook changed since its cells ran, so that nothing has to be done."""
    generated, cells = opened.generated, opened.notebook["cells"]
    has_run = all(cell.get("execution_count") for cell in cells if cell["cell_type"] == "code" and cell["source"])
    return (
        list(merged.cells) == cells
        and has_run
        and selection.engine is None  # an engine aggregates what may have changed
        and generated.sources == digest_of_sources(opened.notebook)
        and set(exports) == set(generated.exports)
        and all(page.is_file() for page in page_paths(opened.path, exports).values())
        and generated.data == generator.digest_of(selection)
    )


def _runs_alone(generator: NotebookGenerator, selection: Selection, before: Results) -> Results:
    """Return what is known of the selected runs without executing the notebook."""
    if selection.engine is not None:  # the notebook names its runs only if they were picked or limited
        ids = selection.run_ids if before.runs else ()
        return replace(before, runs={run_id: RunResult(run_id[:8]) for run_id in ids}, lead=None)
    if selection.traces is not None:
        return replace(before, runs={}, lead=None, findings=None)
    tables = generator.read(selection)
    names, statuses = names_of(tables), statuses_of(tables)
    runs = {run_id: RunResult(names[run_id], statuses[run_id]) for run_id in tables.run_ids}
    return replace(before, runs=runs, lead=None, findings=None)


def _next_number(opened: OpenedNotebook) -> int:
    """Return the number of the next refresh, from 1; the record of earlier ones may have been removed."""
    keys = (*opened.generated.base, *opened.generated.deleted, *map(cell_key, opened.notebook["cells"]))
    return max(map(number_of, keys), default=0) + 1


def _as_text(cell: dict[str, Any]) -> dict[str, Any]:
    return {**cell, "source": "".join(cell["source"])}
