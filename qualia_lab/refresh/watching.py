"""Watch a notebook: refresh it when its store was written to, and say what happened to its runs or traces."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Literal

from qualia_lab.analysis.run_events import RunEvent, events_between, first_events
from qualia_lab.analysis.trace_events import (
    SeenTraces,
    TraceEvent,
    first_trace_events,
    see_traces,
    trace_events_between,
)
from qualia_lab.counts import counted
from qualia_lab.errors import ExecutionFailed, KernelNotStarted, NotebookError, QualiaLabError, StoreError
from qualia_lab.notebook.export import export_notebook
from qualia_lab.notebook.formats.format import Options
from qualia_lab.notebook.page.render import seconds_to_reload
from qualia_lab.refresh.opened import open_notebook
from qualia_lab.refresh.refreshing import files_of, refresh_notebook
from qualia_lab.refresh.seen import findings_in_traces, look_at
from qualia_lab.settings import open_given_store
from qualia_lab.stores.snapshot.ended_histories import keep_ended_histories

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from qualia_lab.analysis.findings.finding import Finding
    from qualia_lab.analysis.run_events import SeenRuns
    from qualia_lab.genai_tables import TraceQuery
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.refresh.refreshing import Refreshed
    from qualia_lab.selection import Selection
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.ended_histories import EndedHistories
    from qualia_lab.study.study import Study

# Some stores do not tell of every write, see TrackingStore.change_token.
SECONDS_BETWEEN_READS = 600.0
_PAGE = ("html",)


@dataclass(frozen=True)
class WatchEvent:
    """Something that happened to the watch itself.

    Attributes:
        kind: the notebook was refreshed, a cell failed, the store does not answer or answers again, or something else
            prevented a refresh.
        sentence: plain text, with names from the store.
    """

    kind: Literal["refreshed", "cell_failed", "store_gone", "store_back", "not_refreshed"]
    sentence: str


@dataclass(frozen=True)
class Watching:
    """How to watch.

    Attributes:
        every: the least number of seconds between two questions to the store.
        until_finished: whether to end when no run is running or scheduled.
        forbidden: returns those of some findings that end the watch.
        rules: the rules whose findings it needs; None for all.
        timeout: the maximum number of seconds for each cell.
    """

    every: float = 30.0
    until_finished: bool = False
    forbidden: Callable[[Collection[Finding]], tuple[Finding, ...]] = lambda _: ()
    rules: Collection[str] | None = ()
    timeout: float = 600.0


def watch_notebook(
    path: Path,
    watching: Watching,
    tell: Callable[[RunEvent | TraceEvent | WatchEvent], object],
    tracking_uri: str | None = None,
) -> tuple[Finding, ...]:
    """Refresh a notebook, then again whenever its store was written to, until the watch ends.

    Its page opens itself again every so often, until the watch ends. `undo` gives back the files as they were before.

    Args:
        path: the file of the notebook.
        watching: how to watch.
        tell: called with each event.
        tracking_uri: the tracking URI of its runs; None for that in the notebook.

    Returns:
        The findings that ended it; none if no run is running any more.

    Raises:
        NotebookError: an engine aggregates the runs of the notebook, or it is about traces and the watch is to end
            when no run is running.
        QualiaLabError: the first refresh is not possible. Later ones that fail are told, and tried again.
    """
    opened = open_notebook(path)
    if opened.parameters.get("ENGINE") is not None:
        raise NotebookError(
            f"{path} aggregates its runs with an engine, and a watch tells of single runs, which it does not read.",
            f"When its snapshot was updated: qualia refresh {path}",
        )
    if opened.traces is not None and watching.until_finished:
        raise NotebookError(
            f"{path} is about traces, and --until finished waits for runs.",
            "Leave it out: Ctrl-C or --fail-on RULE ends the watch.",
        )
    with open_given_store(tracking_uri or opened.tracking_uri) as store, keep_ended_histories() as histories:
        watch = _Watch(
            path,
            watching,
            tell,
            store=store,
            histories=histories,
            tracking_uri=tracking_uri,
            before=files_of(opened),
        )
        del opened
        try:
            watch.refresh(store.change_token(), is_first=True)
            watch.show_page(reload=watching.every)
            while not watch.has_ended:
                watch.wait()
                watch.poll()
        finally:
            watch.show_page(reload=0.0)
        return watch.found


class _Watch:
    """A watch in progress.

    Attributes:
        has_ended: whether it has to end.
        found: the findings that end it.
    """

    def __init__(
        self,
        path: Path,
        watching: Watching,
        tell: Callable[[RunEvent | TraceEvent | WatchEvent], object],
        *,
        store: TrackingStore,
        histories: EndedHistories,
        tracking_uri: str | None,
        before: Mapping[Path, bytes],
    ) -> None:
        self.has_ended = False
        self.found: tuple[Finding, ...] = ()
        self._path, self._watching, self._tell, self._store = path, watching, tell, store
        self._tracking_uri, self._histories = tracking_uri, histories
        self._kept = before  # what `undo` gives back, until it is written
        self._seen: SeenRuns | None = None
        self._seen_traces: SeenTraces | None = None
        self._looked_at = ""  # the digest of the tables at the last look
        self._experiment_ids: tuple[str, ...] = ()
        self._token: str | None = None  # None: refresh at the next poll
        self._polled = self._read = self._read_whole = monotonic()
        self._trouble = ""  # what was told last of what does not work

    def wait(self) -> None:
        """Wait until the store may be asked again."""
        sleep(max(0.0, self._polled + self._watching.every - monotonic()))

    def poll(self) -> None:
        """Ask the store whether it was written to, and refresh if it was."""
        self._polled = monotonic()
        try:
            token = self._ask()
        except StoreError as error:
            self._tell_trouble("store_gone", error)
            return
        if self._trouble and self._token is not None:
            self._tell_works_again()
        if token != self._token or monotonic() - self._read > SECONDS_BETWEEN_READS:
            self.refresh(token)

    def _ask(self) -> str:
        """Return the change token; a connection that was cut since the last question is opened again."""
        try:
            return self._store.change_token(self._experiment_ids)
        except StoreError:
            self._store.close()
            return self._store.change_token(self._experiment_ids)

    def refresh(self, token: str, *, is_first: bool = False) -> None:
        """Refresh the notebook and tell what happened; what fails is told, and the watch goes on.

        Args:
            token: the change token, asked for before anything is read.
            is_first: whether errors are raised, except for a cell that failed.
        """
        self._token = None
        is_changed = False
        if monotonic() - self._read_whole > SECONDS_BETWEEN_READS:
            self._histories.forget()
            self._read_whole = monotonic()
        try:
            result = refresh_notebook(
                self._path,
                tracking_uri=self._tracking_uri,
                formats=_PAGE,
                timeout=self._watching.timeout,
                on_read=self._look,
                options=Options(reload=self._watching.every),
                kept=self._kept,
                opening=lambda uri, **privacy: self._histories.of(open_given_store(uri, **privacy)),
            )
        except KernelNotStarted as error:
            if is_first:
                raise
            self._tell_trouble("not_refreshed", error)
            return
        except ExecutionFailed as error:
            self._kept, self._token = {}, token
            self._tell_works_again()
            self._tell(WatchEvent("cell_failed", error.message))
        except QualiaLabError as error:
            if is_first:
                raise
            self._tell_trouble("store_gone" if isinstance(error, StoreError) else "not_refreshed", error)
            return
        else:
            self._token, is_changed = token, result.is_changed
            self._tell_works_again()
            if is_changed:
                self._kept = {}
                self._tell(WatchEvent("refreshed", _refreshed(result)))
                if result.of_traces:
                    for one in result.changes.new:
                        self._tell(TraceEvent("finding", f"{one.rule}: {one.sentence}", rule=one.rule))
        self._read = monotonic()
        is_finished = self._watching.until_finished and self._seen is not None and not self._seen.unfinished
        if is_finished and is_changed:  # values may have been logged after they were read, and before the status was
            self._token = None
        self.has_ended = bool(self.found) or (is_finished and not is_changed)

    def show_page(self, *, reload: float) -> None:
        """Write the page of the notebook as it is, with a timer or without, unless it is so already.

        Args:
            reload: after how many seconds the page opens itself again; 0 for never, if it did until now.
        """
        page = self._path.with_suffix(".html")
        now = seconds_to_reload(page.read_bytes()) if page.is_file() else None
        if now != reload and (reload or now is not None):
            with suppress(QualiaLabError):  # which the next refresh tells
                export_notebook(self._path, _PAGE, options=Options(reload=reload))

    def _look(self, generator: NotebookGenerator, selection: Selection, study: Study) -> None:
        """Tell what happened to the runs or traces since the last look; called before the cells run."""
        if selection.traces is not None:
            self._look_at_traces(generator, selection, selection.traces)
            return
        tables = generator.read(selection)
        digest = tables.digest
        if digest == self._looked_at:  # so that no history has to be read
            return
        seen, findings = look_at(generator.store_of(selection), tables, study, self._watching.rules)
        self._looked_at = digest
        events = first_events(seen) if self._seen is None else events_between(self._seen, seen)
        self._seen = seen
        conditions = selection.conditions
        ids = tables.experiments.column("experiment_id").to_pylist()
        self._experiment_ids = tuple(ids) if conditions.experiments or conditions.run_ids else ()
        self.found = self._watching.forbidden(findings)
        for event in events:
            self._tell(event)

    def _look_at_traces(self, generator: NotebookGenerator, selection: Selection, query: TraceQuery) -> None:
        tables = generator.read_traces(query)
        digest = tables.digest
        if digest == self._looked_at:
            return
        seen, before = see_traces(tables), self._seen_traces
        self.found = self._watching.forbidden(
            findings_in_traces(generator.load_traces(selection), self._watching.rules)
        )
        self._looked_at, self._seen_traces, self._experiment_ids = digest, seen, query.experiment_ids
        for event in first_trace_events(seen) if before is None else trace_events_between(before, seen):
            self._tell(event)

    def _tell_trouble(self, kind: Literal["store_gone", "not_refreshed"], error: QualiaLabError) -> None:
        if error.message != self._trouble:
            self._trouble = error.message
            self._tell(WatchEvent(kind, f"{error.message} Trying again every {self._watching.every:g} s."))

    def _tell_works_again(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._tell(WatchEvent("store_back", "It works again."))


def _refreshed(result: Refreshed) -> str:
    values = len(result.changes.values)
    return f"refreshed {result.path.name}" + (f": {counted(values, 'run')} with new values" if values else "")
