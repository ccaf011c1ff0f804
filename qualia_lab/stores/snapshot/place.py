"""Where a snapshot lies: a folder, or whatever fsspec opens by its URL."""

from __future__ import annotations

import contextlib
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
from qualia_lab.files import why_not_writable, write_atomically
from qualia_lab.stores.file.store import path_of_uri
from qualia_lab.stores.uri import TrackingUri, split_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

# All files of a snapshot but its manifest are in here.
PARTS = "parts"

# The names that snapshots give, also to what a killed command leaves behind: no other file is ever removed.
_OURS = re.compile(r"[0-9a-f]{32}(-\d+)?(\.parquet|\.json)?|\.[0-9a-f]{32}\.json\.\w+\.tmp")
_OURS_ABOVE = re.compile(r"parts|manifest\.json|\.manifest\.json\.\w+\.tmp")


def open_place(where: str | Path) -> SnapshotPlace:
    """The place that a path, a `file:` URI or an fsspec URL such as `s3://bucket/folder` means; nothing is touched.

    Raises ExtraMissing without fsspec or its part for that scheme, and StoreNotFound for a scheme it does not know.
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
            f"There is no way to {uri.safe}: {one_line(uri.redact(str(error)), 200)}.",
            "OUT is a folder, or a URL that fsspec knows, such as s3://bucket/folder.",
        ) from None
    if "file" in (filesystem.protocol, *filesystem.protocol):
        return _in_folder(Path(root))
    return SnapshotPlace(uri, root.rstrip("/"), remote=filesystem)


def _in_folder(folder: Path) -> SnapshotPlace:
    folder = folder.absolute()
    return SnapshotPlace(TrackingUri(str(folder), str(folder)), folder.as_posix(), folder=folder)


class SnapshotPlace:
    """The files of one snapshot, by names relative to it.

    shown: the place without secrets.  Reading raises FileNotFoundError or StoreUnreachable; writing OutputNotWritable.
    """

    def __init__(self, uri: TrackingUri, root: str, *, folder: Path | None = None, remote: Any = None) -> None:
        """root: the place as its filesystem names it, that of this machine (`folder`) or fsspec's (`remote`)."""
        self.shown = uri.safe
        self._filesystem = fs.LocalFileSystem() if remote is None else fs.PyFileSystem(fs.FSSpecHandler(remote))
        self._root = root
        self._folder = folder
        self._remote = remote
        self._redact = uri.redact

    def address(self) -> tuple[str, Any]:
        """What stands before the names of its files for other programs, and fsspec's filesystem where it is a URL."""
        if self._remote is None:
            return self._root, None
        return self._remote.unstrip_protocol(self._root), self._remote

    def read_bytes(self, name: str) -> bytes:
        """All of one file."""
        with self.open(name) as file:
            data: bytes = file.read()
        return data

    def open(self, name: str) -> Any:
        """One file for reading at any place of it, as Arrow wants it.

        Somebody else's snapshot leads to no other file of this machine, and to nothing that would be waited for.
        """
        with self._reading():
            if self._folder is not None and not stat.S_ISREG((self._folder / name).lstat().st_mode):
                raise StoreUnreadable(
                    f"{name} of the snapshot in {self.shown} is no file of its own.", "Copy it whole."
                )
            return self._filesystem.open_input_file(f"{self._root}/{name}")

    def sizes(self) -> dict[str, int]:
        """{name: bytes} of the files of PARTS; empty when there is no such place."""
        return {f"{PARTS}/{one.base_name}": one.size for one in self._entries(PARTS) if _OURS.fullmatch(one.base_name)}

    def check_writable(self) -> None:
        """Raise OutputNotWritable when nothing can be written there, before any work is done; make nothing."""
        with self._writing():
            if self._folder is None:
                self._filesystem.get_file_info(self._root)
                return
            reason = why_not_writable(self._folder / PARTS / "part")
            if reason is not None:
                raise OutputNotWritable(f"Cannot write {self.shown}: {reason}.", "Choose another place.")

    def holds_others(self) -> bool:
        """Whether something is there that no snapshot has made. Raises OutputNotWritable when it is a file."""
        with self._reading():
            found = self._filesystem.get_file_info(self._root)
        if found.type == fs.FileType.File:
            raise self._not_writable(FileExistsError("it is a file"))
        return not all(_OURS_ABOVE.fullmatch(one.base_name) for one in self._entries("")) or not all(
            _OURS.fullmatch(one.base_name) for one in self._entries(PARTS)
        )

    def _entries(self, folder: str) -> list[Any]:
        """What stands in a folder of the place; nothing when it is not there."""
        if self._remote is not None:
            self._remote.invalidate_cache()
        with self._reading():
            selector = fs.FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True)
            found: list[Any] = self._filesystem.get_file_info(selector)
        return found

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make the place, and keep other commands on this machine from writing to it meanwhile."""
        with self._writing():
            self._filesystem.create_dir(f"{self._root}/{PARTS}")
        if self._folder is None:
            yield
            return
        # The lock is the system's: it goes with the process, however that ends.
        descriptor = os.open(self._folder / PARTS, os.O_RDONLY) if os.name == "posix" else None
        try:
            if descriptor is not None:
                _lock(descriptor, self.shown)
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @contextlib.contextmanager
    def create(self, name: str, *, lasting: bool = True) -> Iterator[HashedFile]:
        """A new file; when this ends it is whole, and with `lasting` also after a power cut."""
        with self._writing():
            stream = self._filesystem.open_output_stream(f"{self._root}/{name}")
            file = HashedFile(stream)
            try:
                yield file
            finally:
                stream.close()
            if lasting and self._folder is not None:
                _sync(self._folder / name)

    def replace(self, name: str, data: bytes) -> None:
        """Put a file in the place of an older one: a reader sees the one or the other.

        Where there are no folders but only objects, one request does that.
        """
        if self._folder is not None:
            write_atomically(self._folder / name, data)
            return
        with self._writing():
            self._remote.pipe_file(f"{self._root}/{name}", data)

    def remove_all_but(self, names: set[str]) -> None:
        """Remove the files of snapshots that are not among these, as far as that can be done."""
        above = [one.base_name for one in self._entries("") if one.base_name.endswith(".tmp")]
        for name in (*self.sizes(), *filter(_OURS_ABOVE.fullmatch, above)):
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
                f"The snapshot in {self.shown} cannot be read: {self._reason(error)}.", "Check the place, and who may."
            ) from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise self._not_writable(error) from None
        except Exception as error:
            # Object stores have errors of their own, which are none of ours only when they come from their package.
            if type(error).__module__.partition(".")[0] in ("qualia_lab", "builtins"):
                raise
            raise self._not_writable(error) from None

    def _not_writable(self, error: Exception) -> OutputNotWritable:
        return OutputNotWritable(f"Cannot write {self.shown}: {self._reason(error)}.", "Choose another place.")

    def _reason(self, error: Exception) -> str:
        # Arrow's text names its function, the file and the number; the system's own words are enough.
        known = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else None
        return one_line(self._redact(known or str(error) or type(error).__name__), 200).rstrip(".")


class HashedFile:
    """A file being written, of which size and SHA-256 are known in the end."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Write what comes next."""
        self._stream.write(data)
        self._sum.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits in here."""

    @property
    def sha256(self) -> str:
        """The sum of what was written so far."""
        return self._sum.hexdigest()


def _lock(descriptor: int, shown: str) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise OutputNotWritable(f"Another command is writing to {shown}.", "Wait for it to end.") from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
