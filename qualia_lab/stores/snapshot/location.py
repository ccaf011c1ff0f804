"""The location of a snapshot: a local folder, or a URL that fsspec can open."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import fs

from qualia_lab.errors import ExtraMissing, OutputNotWritable, StoreNotFound, StoreUnreachable, StoreUnreadable
from qualia_lab.escaping import one_line
from qualia_lab.files import lock_folder, why_not_writable, write_atomically
from qualia_lab.stores.file.store import path_of_uri
from qualia_lab.stores.uri import TrackingUri, split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

# The folder for all files of a snapshot except its manifest.
PARTS = "parts"

# File names that this package generates, including those left by a killed command. No other file is ever removed.
_FILE_IN_PARTS = re.compile(r"[0-9a-f]{32}(-\d+)?(\.parquet|\.json)?|\.[0-9a-f]{32}\.json\.\w+\.tmp")
_FILE_IN_ROOT = re.compile(r"parts|manifest\.json|\.manifest\.json\.\w+\.tmp")


# The errors of flock on a file system without locks, such as some network file systems.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOLCK, errno.EBADF)


def open_location(where: str | Path) -> SnapshotLocation:
    """The location named by a path, a `file:` URI or an fsspec URL such as `s3://bucket/folder`. No I/O.

    Args:
        where: the path or URL.

    Raises:
        ExtraMissing: fsspec, or the package that it needs for this scheme, is not installed.
        StoreNotFound: fsspec does not know the scheme.
    """
    text = str(where)
    scheme, separator, _ = text.partition("://")
    if isinstance(where, Path) or not separator or scheme.lower() == "file":
        return _in_folder(path_of_uri(text) if not isinstance(where, Path) else where)
    uri = split_uri(text)
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ExtraMissing(
            f"To open {uri.safe}, fsspec is needed and is not installed.", "Install it: pip install fsspec"
        ) from error
    try:
        filesystem, root = url_to_fs(uri.full)
    except ImportError as error:
        raise ExtraMissing(
            f"To open {uri.safe}, fsspec needs a package: {one_line(uri.redact(str(error)), 200)}.",
            "Install that package.",
        ) from None
    except Exception as error:
        raise StoreNotFound(
            f"{uri.safe} cannot be opened: {one_line(uri.redact(str(error)), 200)}.",
            "OUT is a folder, or a URL that fsspec knows, such as s3://bucket/folder.",
        ) from None
    if "file" in (filesystem.protocol, *filesystem.protocol):
        return _in_folder(Path(root))
    return SnapshotLocation(uri, root.rstrip("/"), remote=filesystem)


def _in_folder(folder: Path) -> SnapshotLocation:
    folder = folder.absolute()
    return SnapshotLocation(TrackingUri(str(folder), str(folder)), folder.as_posix(), folder=folder)


class SnapshotLocation:
    """Reads and writes the files of one snapshot, by names relative to its root.

    Reading raises FileNotFoundError or StoreUnreachable, writing OutputNotWritable.

    Attributes:
        shown: the location without secrets.
        note: a remark for the user, once it is written to; "" for none.
    """

    def __init__(self, uri: TrackingUri, root: str, *, folder: Path | None = None, remote: Any = None) -> None:
        """Prepare access; no I/O.

        Args:
            uri: the location with and without its secrets.
            root: the path within its filesystem.
            folder: the folder, for a location on this machine.
            remote: the fsspec filesystem, for any other location.
        """
        self.shown = uri.safe
        self.note = ""
        self._filesystem = fs.LocalFileSystem() if remote is None else fs.PyFileSystem(fs.FSSpecHandler(remote))
        self._root = root
        self._folder = folder
        self._remote = remote
        self._redact = uri.redact

    def address(self) -> tuple[str, Any]:
        """The root under which other programs find the files, and the fsspec filesystem (None for a local folder)."""
        if self._remote is None:
            return self._root, None
        return self._remote.unstrip_protocol(self._root), self._remote

    def read_bytes(self, name: str) -> bytes:
        """All of one file."""
        if self._remote is not None:  # open files of some filesystems, such as `memory:`, share their position
            with self._reading():
                return bytes(self._remote.cat_file(f"{self._root}/{name}"))
        with self.open(name) as file:
            data: bytes = file.read()
        return data

    def open(self, name: str) -> Any:
        """Open one file for reading with random access, as Arrow needs it.

        Only regular files are opened: an untrusted snapshot may contain links to other files, or pipes that block.
        """
        with self._reading():
            if self._folder is not None and not stat.S_ISREG((self._folder / name).lstat().st_mode):
                raise StoreUnreadable(
                    f"{name} of the snapshot in {self.shown} is not a regular file.", "Copy the whole snapshot."
                )
            return self._filesystem.open_input_file(f"{self._root}/{name}")

    def sizes(self) -> dict[str, int]:
        """{name: size in bytes} of the files in PARTS; empty if the location does not exist."""
        entries = self._entries(PARTS)
        return {
            f"{PARTS}/{entry.base_name}": entry.size for entry in entries if _FILE_IN_PARTS.fullmatch(entry.base_name)
        }

    def check_writable(self) -> None:
        """Raise OutputNotWritable if the location is not writable, before any work is done. Creates nothing."""
        with self._writing():
            if self._folder is None:
                self._filesystem.get_file_info(self._root)
                return
            reason = why_not_writable(self._folder / PARTS / "part")
            if reason is not None:
                raise self._not_writable(OSError(reason))

    def has_other_files(self) -> bool:
        """Whether there are files that are not a snapshot's. Raises OutputNotWritable if the location is a file."""
        with self._reading():
            info = self._filesystem.get_file_info(self._root)
        if info.type == fs.FileType.File:
            raise self._not_writable(FileExistsError("it is a file"))
        return not all(_FILE_IN_ROOT.fullmatch(entry.base_name) for entry in self._entries("")) or not all(
            _FILE_IN_PARTS.fullmatch(entry.base_name) for entry in self._entries(PARTS)
        )

    def _entries(self, folder: str) -> list[Any]:
        """The entries of a folder of the location; none if it does not exist."""
        if self._remote is not None:
            self._remote.invalidate_cache()
        with self._reading():
            selector = fs.FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True)
            entries: list[Any] = self._filesystem.get_file_info(selector)
        return entries

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Create the location, and lock it against other commands on this machine, where locks are supported."""
        with self._writing():
            self._filesystem.create_dir(f"{self._root}/{PARTS}")
        if self._folder is None:
            yield
            return
        lock = self._lock((self._folder / PARTS).resolve())
        try:
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def _lock(self, folder: Path) -> int | None:
        """Lock the folder; without locks return None and set the note. Raises OutputNotWritable."""
        try:
            return lock_folder(folder, wait=False)
        except BlockingIOError:
            raise OutputNotWritable(f"Another command is writing to {self.shown}.", "Wait for it to end.") from None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                self.note = (
                    f"The file system of {self.shown} does not support locks: "
                    "let no other command write to it at the same time."
                )
                return None
            raise self._not_writable(error) from error

    @contextlib.contextmanager
    def create(self, name: str, *, durable: bool = True) -> Iterator[HashedFile]:
        """Write a new file, which is complete after the `with` block, and synced to disk if `durable`."""
        with self._writing():
            stream = self._filesystem.open_output_stream(f"{self._root}/{name}")
            file = HashedFile(stream)
            try:
                yield file
            finally:
                stream.close()
            if durable and self._folder is not None:
                _sync(self._folder / name)

    def replace(self, name: str, data: bytes) -> None:
        """Replace a file atomically: a reader sees the old one or the new one.

        In an object store, a single request is atomic.
        """
        if self._folder is not None:
            write_atomically(self._folder / name, data)
            return
        with self._writing():
            self._remote.pipe_file(f"{self._root}/{name}", data)

    def remove_all_but(self, names: set[str]) -> None:
        """Remove all files of snapshots except these; errors are ignored."""
        temporary = [entry.base_name for entry in self._entries("") if entry.base_name.endswith(".tmp")]
        for name in (*self.sizes(), *filter(_FILE_IN_ROOT.fullmatch, temporary)):
            if name not in names:
                with contextlib.suppress(Exception):
                    self._filesystem.delete_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, StoreUnreadable):
            raise
        except Exception as error:
            raise StoreUnreachable(
                f"The snapshot in {self.shown} cannot be read: {self._reason(error)}.",
                "Check the location and its permissions.",
            ) from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise self._not_writable(error) from None
        except Exception as error:
            # Clients of object stores raise their own exceptions; those of this package or of Python are bugs.
            if type(error).__module__.partition(".")[0] in ("qualia_lab", "builtins"):
                raise
            raise self._not_writable(error) from None

    def _not_writable(self, error: Exception) -> OutputNotWritable:
        return OutputNotWritable(f"Cannot write {self.shown}: {self._reason(error)}.", "Choose another location.")

    def _reason(self, error: Exception) -> str:
        # Arrow's message contains internals such as function names; the system's message for the errno is enough.
        system_message = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else None
        return one_line(self._redact(system_message or str(error) or type(error).__name__), 200).rstrip(".")


class HashedFile:
    """A file being written, whose size and SHA-256 are computed on the way."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Append data."""
        self._stream.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of the data written so far."""
        return self._hash.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
