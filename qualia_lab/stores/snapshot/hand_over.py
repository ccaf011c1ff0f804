"""The hand-over: an executing command leaves its kernel the runs, as a temporary snapshot; `load_runs` takes them.

The snapshot's folder is locked for as long as the command lives. What a killed command left behind is not, and is
removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.counts import counted
from qualia_lab.errors import StoreError
from qualia_lab.masking.tables import Masker
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.place import open_place
from qualia_lab.stores.snapshot.store import SnapshotStore, write_snapshot
from qualia_lab.stores.uri import lasting_uri, split_uri, with_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables

# Where the executing kernel finds the runs that the command has read already, and the tracking URI, without secrets,
# by which the notebook names their store.
SNAPSHOT_VARIABLE = "QUALIA_LAB_SNAPSHOT"
NAMED_VARIABLE = "QUALIA_LAB_SNAPSHOT_OF"

_PREFIX = "qualia-lab-runs-"
_FOLDER = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")


@contextlib.contextmanager
def handed_over(
    store: TrackingStore, tables: RunTables, *, named: str, artifacts_of: Iterable[str]
) -> Iterator[dict[str, str]]:
    """A temporary snapshot of these runs for one kernel; yields the environment variables by which it is found.

    Args:
        store: where the runs are.
        tables: the runs.
        named: the tracking URI by which the notebook names the store.
        artifacts_of: the runs whose artifacts go along, see `write_snapshot`.
    """
    remove_left_behind()
    with _locked_folder() as folder:
        write_snapshot(folder, store, tables, source_uri=lasting_uri(store.uri), artifacts_of=artifacts_of)
        del tables  # the kernel has them now: of very many runs once is enough in memory
        yield {SNAPSHOT_VARIABLE: str(folder), NAMED_VARIABLE: split_uri(named).safe}


def read_runs(tracking_uri: str, run_ids: Sequence[str], rules: MaskRules) -> tuple[TrackingStore, RunTables]:
    """The runs and the store that has them: the snapshot that was handed over, or the store at the URI.

    Where a run is asked for that was not handed over, the store is asked for all of them. What looks like a secret is
    masked by these rules.
    Raises StoreError: the store cannot be read; under an executing command it says which runs that is about.
    """
    handed = _handed_over(tracking_uri)
    if handed is None:
        store = open_store(with_credentials(tracking_uri), rules=rules)
        return store, store.read(run_ids)
    others = handed.unknown(run_ids)
    if not others:
        # Its tables were written masked; the texts of artifacts that lie on this machine are not.
        return MaskedStore(handed, Masker(rules), tables=False), handed.read(run_ids)
    try:
        store = open_store(with_credentials(handed.source_uri), rules=rules)
        return store, store.read(run_ids)
    except StoreError as error:
        few = ", ".join(others[:3]) + (f" and {len(others) - 3:,} more" if len(others) > 3 else "")
        verb = "was" if len(others) == 1 else "were"
        raise type(error)(
            f"{counted(len(others), 'run')} of {len(run_ids):,} {verb} not handed over "
            f"to this execution ({few}), and the store cannot be read from its kernel: {error.message}",
            "Run the cell in Jupyter, or name the runs in RUN_IDS of the cell tagged parameters.",
        ) from error


def _handed_over(tracking_uri: str) -> SnapshotStore | None:
    """The snapshot that was left for this kernel, if it is of the store at that URI."""
    folder = os.environ.get(SNAPSHOT_VARIABLE)
    if not folder or os.environ.get(NAMED_VARIABLE) != split_uri(tracking_uri).safe:
        return None
    return SnapshotStore(Path(folder))


@contextlib.contextmanager
def _locked_folder() -> Iterator[Path]:
    """A new temporary folder, locked until it is removed at the end."""
    folder, lock = _make_locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _make_locked() -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            lock = _lock(folder, wait=True)
        except OSError:  # where a folder cannot be locked, nothing is taken for left behind either
            return folder, None
        if lock is None or folder.is_dir():
            return folder, lock
        os.close(lock)  # another command saw it before it was locked, and has removed it


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder for this process, however it ends; None where the system has no such locks. Raises OSError."""
    if os.name != "posix":
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remove_left_behind() -> None:
    """Remove the folders of commands of this user that were killed; nothing else, and none that is in use."""
    if os.name != "posix":
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not _FOLDER.fullmatch(folder.name) or folder.lstat().st_uid != os.getuid():
                continue
            lock = _lock(folder, wait=False)
            if lock is None:
                continue
            try:
                if not open_place(folder).holds_others():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
