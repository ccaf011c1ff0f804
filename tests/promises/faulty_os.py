"""A disk that refuses the nth call: the calls by which files are written, below one folder, in this process."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from qualia_lab.stores.snapshot.location import SnapshotLocation

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Disk:
    """Counts the calls, and at one of them raises, or ends this process.

    Args:
        folder: calls for files elsewhere are not counted.
        fail_at: the call, from 0 on, that fails; None for none.
        error: the error number that it fails with; None for the end of the process by SIGKILL.
        lasting: whether all calls after it fail too.
    """

    def __init__(
        self, folder: Path, fail_at: int | None = None, error: int | None = errno.ENOSPC, *, lasting: bool = False
    ) -> None:
        self.folder = os.path.realpath(folder)
        self.fail_at = fail_at
        self.error = error
        self.lasting = lasting
        self.calls: list[str] = []
        self._descriptors: set[int] = set()

    def call(self, what: str) -> None:
        """One call: it is counted, and may fail."""
        place = len(self.calls)
        self.calls.append(what)
        if self.fail_at is not None and (place == self.fail_at or (self.lasting and place > self.fail_at)):
            if self.error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self.error, os.strerror(self.error))

    def is_here(self, path: Any) -> bool:
        """Whether a path or a descriptor is one of a file below the folder."""
        if isinstance(path, int):
            return path in self._descriptors
        return os.path.abspath(path).startswith(self.folder)  # noqa: PTH100 - of text as of paths

    @contextlib.contextmanager
    def refusing(self) -> Iterator[Disk]:
        """For as long as this lasts, `os` and the files of snapshots are those of this disk."""
        begin, really_open, really_fdopen, really_close = SnapshotLocation.__init__, os.open, os.fdopen, os.close

        def counted(name: str) -> Any:
            really = getattr(os, name)

            def call(path: Any, *arguments: Any, **named: Any) -> Any:
                if self.is_here(path):
                    self.call(name)
                    if name == "fsync":  # waiting for the disk itself would be most of the time
                        return None
                return really(path, *arguments, **named)

            return call

        def open_counted(path: Any, *arguments: Any, **named: Any) -> int:
            here = self.is_here(path)
            if here:
                self.call("open")
            descriptor = really_open(path, *arguments, **named)
            if here:
                self._descriptors.add(descriptor)
            return descriptor

        def close_counted(descriptor: int) -> None:
            self._descriptors.discard(descriptor)
            really_close(descriptor)

        def fdopen_counted(descriptor: int, *arguments: Any, **named: Any) -> Any:
            file = really_fdopen(descriptor, *arguments, **named)
            if not self.is_here(descriptor):
                return file
            return _File(self, file)

        def begin_counted(place: SnapshotLocation, *arguments: Any, **named: Any) -> None:
            begin(place, *arguments, **named)
            place._filesystem = _Filesystem(self, place._filesystem)

        calls = {name: counted(name) for name in ("mkdir", "fsync", "chmod", "replace", "rename", "link")}
        calls |= {"open": open_counted, "fdopen": fdopen_counted, "close": close_counted}
        with patch.multiple(os, **calls), patch.object(SnapshotLocation, "__init__", begin_counted):
            yield self


class _Wrapped:
    def __init__(self, disk: Disk, inner: Any) -> None:
        self._disk = disk
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _File(_Wrapped):
    """A file being written. One that cannot be closed is closed all the same, as by the system."""

    def write(self, data: bytes) -> Any:
        self._disk.call("write")
        return self._inner.write(data)

    def flush(self) -> None:
        self._disk.call("flush")
        self._inner.flush()

    def close(self) -> None:
        self._inner.close()
        self._disk.call("close")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Filesystem(_Wrapped):
    """Arrow's, of which a snapshot writes its files."""

    def create_dir(self, path: str) -> None:
        if self._disk.is_here(path):
            self._disk.call("mkdir")
        self._inner.create_dir(path)

    def open_output_stream(self, path: str) -> Any:
        if not self._disk.is_here(path):
            return self._inner.open_output_stream(path)
        self._disk.call("open")
        return _File(self._disk, self._inner.open_output_stream(path))
