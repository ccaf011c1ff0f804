"""Passes the runs that a command has read to the kernel that it starts, as a temporary snapshot for `load_runs`.

The snapshot's folder is locked while the command runs. Folders of killed commands are no longer locked, and the next
command removes them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.counts import and_more, counted
from qualia_lab.errors import QualiaLabError, StoreError
from qualia_lab.files import lock_folder
from qualia_lab.interruptions import defer_signals
from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.masking.tables import Masker
from qualia_lab.stores.masked_genai import mask_store
from qualia_lab.stores.open import open_store
from qualia_lab.stores.series_store import in_series
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.store import SnapshotStore, snapshot_below, write_snapshot
from qualia_lab.stores.uri import absolute_uri, split_uri, with_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qualia_lab.genai_tables import TraceQuery
    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.genai import GenAIChoice
    from qualia_lab.tables import RunTables

# Environment variables of the kernel: the folder of the temporary snapshot, and the tracking URI, without secrets, by
# which the notebook names the store.
SNAPSHOT_VARIABLE = "QUALIA_LAB_SNAPSHOT"
NAMED_VARIABLE = "QUALIA_LAB_SNAPSHOT_OF"

_PREFIX = "qualia-lab-runs-"
_FOLDER = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")


@contextlib.contextmanager
def hand_over_runs(
    store: TrackingStore,
    tables: RunTables,
    *,
    named: str,
    artifacts_of: Iterable[str],
    genai: GenAIChoice | None = None,
) -> Iterator[dict[str, str]]:
    """Write a temporary snapshot of these runs for one kernel, and remove it at the end of the `with` block.

    Args:
        store: the store of the runs.
        tables: the tables of the runs.
        named: the tracking URI by which the notebook names the store.
        artifacts_of: the runs whose artifacts are included, see `write_snapshot`.
        genai: the models and traces that are included.

    Returns:
        The environment variables with which the kernel finds the snapshot.
    """
    remove_stale_snapshots()
    with temporary_folder() as folder:
        write_snapshot(
            folder, store, tables, source_uri=absolute_uri(store.uri), artifacts_of=artifacts_of, genai=genai
        )
        del tables  # free the memory: the kernel loads its own copy
        del genai
        yield {SNAPSHOT_VARIABLE: str(folder), NAMED_VARIABLE: split_uri(named).safe}


def read_runs(
    tracking_uri: str, run_ids: Sequence[str], rules: MaskRules, privacy: Privacy = EVERYTHING_SHOWN
) -> tuple[TrackingStore, RunTables]:
    """Read runs from the snapshot that was handed over to this kernel, or else from the store.

    If any of the runs was not handed over, all of them are read from the store. Secrets are masked, and metrics of
    several models or datasets are split, see `in_series`.

    Args:
        tracking_uri: the tracking URI in the notebook.
        run_ids: the runs.
        rules: the project's own rules for masking.
        privacy: what of people's words is left out.

    Returns:
        The store that was read, and the tables of the runs.

    Raises:
        StoreError: the store cannot be read. In a kernel with a snapshot, the message names the runs not in it.
    """
    handed_over = _snapshot_from_environment(tracking_uri)
    if handed_over is None:
        return _read(open_store(with_credentials(tracking_uri), rules=rules, privacy=privacy), run_ids)
    others = handed_over.unknown(run_ids)
    if not others:
        # Its tables are masked already, but text artifacts on this machine are not.
        return _read(mask_store(handed_over, Masker(rules), tables=False, privacy=privacy), run_ids)
    try:
        return _read(open_store(with_credentials(handed_over.source_uri), rules=rules, privacy=privacy), run_ids)
    except StoreError as error:
        verb = "was" if len(others) == 1 else "were"
        error.message = (
            f"{counted(len(others), 'run')} of {len(run_ids):,} {verb} not handed over "
            f"to this execution ({and_more(others, 3)}), and the store cannot be read from its kernel: {error.message}"
        )
        error.hint = "Run the cell in Jupyter, or name the runs in RUN_IDS of the cell tagged parameters."
        raise


def _read(store: TrackingStore, run_ids: Sequence[str]) -> tuple[TrackingStore, RunTables]:
    return in_series(store, store.read(run_ids))


def find_traces(tracking_uri: str, query: TraceQuery, rules: MaskRules, privacy: Privacy) -> tuple[TrackingStore, bool]:
    """The snapshot that was handed over to this kernel if it is of this query, or else the store.

    Args:
        tracking_uri: the tracking URI in the notebook.
        query: the query.
        rules: the project's own rules for masking.
        privacy: what is left out of people's words.

    Returns:
        The store, in which secrets are masked, and whether it is a snapshot that holds exactly these traces.

    Raises:
        StoreError: there is no such store.
    """
    handed_over = _snapshot_from_environment(tracking_uri)
    if handed_over is not None and handed_over.traces_of == query.as_data():
        return mask_store(handed_over, Masker(rules), tables=False, privacy=privacy), True
    uri = tracking_uri if handed_over is None else handed_over.source_uri
    store = open_store(with_credentials(uri), rules=rules, privacy=privacy)
    snapshot = snapshot_below(store)
    return store, snapshot is not None and snapshot.traces_of == query.as_data()


def _snapshot_from_environment(tracking_uri: str) -> SnapshotStore | None:
    """The snapshot that was handed over to this kernel, if it is of the store with this URI."""
    folder = os.environ.get(SNAPSHOT_VARIABLE)
    if not folder or os.environ.get(NAMED_VARIABLE) != split_uri(tracking_uri).safe:
        return None
    return SnapshotStore(Path(folder))


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a temporary folder, which is locked until it is removed at the end of the `with` block.

    If the command is killed, the next `hand_over_runs` removes it, unless it has other files than those of a snapshot.
    """
    folder: Path | None = None
    lock: int | None = None
    try:
        with defer_signals():  # a folder that was made is always removed
            folder, lock = _create_locked_folder()
        yield folder
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _create_locked_folder() -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            lock = lock_folder(folder, wait=True)
        except OSError:  # where folders cannot be locked, stale ones are not removed either
            return folder, None
        if lock is None or folder.is_dir():
            return folder, lock
        os.close(lock)  # another command removed the folder before it was locked


def remove_stale_snapshots() -> None:
    """Remove the temporary snapshots of this user's commands that were killed, but none that is in use."""
    if os.name != "posix":
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, QualiaLabError):
            if not _FOLDER.fullmatch(folder.name) or folder.lstat().st_uid != os.getuid():
                continue
            lock = lock_folder(folder, wait=False)
            if lock is None:
                continue
            try:
                if not open_location(folder).has_other_files():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
