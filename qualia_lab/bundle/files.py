"""The files of a bundle that somebody else made: a folder or a zip file, which is not trusted."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from qualia_lab.bundle.manifest import MANIFEST, MAX_BYTES, MAX_FILES, is_safe_name
from qualia_lab.bundle.place import write_zip
from qualia_lab.errors import BundleUnreadable
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HINT = "Ask for another copy of the bundle."
# The last record of a zip file without a comment: signature, disks, entries, size and position of the directory.
_END = struct.Struct("<4s4H2LH")
_ENTRY_BYTES = 1200  # the largest entry of the directory, with a path of a bundle
_ZIP64 = b"PK\x06\x07"
_UTF8_NAME = 0x800  # the only flag of an entry that `write_zip` sets


class BundleFiles(Protocol):
    """The regular files of a bundle.

    Attributes:
        names: {name: size in bytes}.
        others: names of what is neither a file nor a folder, such as links.
    """

    names: Mapping[str, int]
    others: list[str]

    def open(self, name: str) -> IO[bytes]:
        """Open one of the names."""
        ...

    def damage(self, copy: Path) -> str | None:
        """What is wrong with the container, apart from the files. `copy`: a folder with a copy of all files."""
        ...


@contextmanager
def open_bundle(path: Path) -> Iterator[BundleFiles]:
    """Open a bundle; nothing is written.

    Args:
        path: a folder or a zip file.

    Returns:
        Its files, by names relative to the folder with the manifest.

    Raises:
        BundleUnreadable: it is no bundle, or not safe to read.
    """
    with ExitStack() as stack:
        try:
            if (path / MANIFEST).is_file():
                files: BundleFiles | None = _Folder(path)
            elif path.is_file():
                files = _Zip(path, stack.enter_context(path.open("rb")))
            else:
                files = None
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise _unreadable(path, one_line(str(error) or type(error).__name__, 200)) from error
        if files is None or MANIFEST not in files.names:
            raise BundleUnreadable(f"There is no bundle at {path}.", "Make one: qualia bundle NOTEBOOK.")
        yield files


def copy_file(files: BundleFiles, name: str, folder: Path) -> str:
    """Copy a file of a bundle into a folder; return its SHA-256, "" if its end cannot be read."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as copy:
        try:
            with files.open(name) as source:
                while block := source.read(1 << 20):
                    digest.update(block)
                    copy.write(block)
        except (zipfile.BadZipFile, EOFError):
            return ""
    return digest.hexdigest()


class _Folder:
    """A bundle in a folder. Links are not followed."""

    def __init__(self, folder: Path) -> None:
        names: dict[str, int] = {}
        self.others: list[str] = []
        self._folder = folder
        for directory, _, _ in os.walk(folder, followlinks=False):
            for entry in os.scandir(directory):
                name = Path(entry.path).relative_to(folder).as_posix()
                if entry.is_file(follow_symlinks=False):
                    names[name] = entry.stat(follow_symlinks=False).st_size
                elif not entry.is_dir(follow_symlinks=False):
                    self.others.append(name)
                if len(names) + len(self.others) > MAX_FILES:
                    raise _unreadable(folder, f"it has more than {MAX_FILES:,} files")
        if sum(names.values()) > MAX_BYTES:
            raise _unreadable(folder, f"it is larger than {MAX_BYTES / 1e6:,.0f} MB")
        self.names: Mapping[str, int] = names

    def open(self, name: str) -> IO[bytes]:
        """See BundleFiles."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self._folder / name, flags), "rb")

    def damage(self, copy: Path) -> str | None:  # noqa: ARG002 - for zip files
        """See BundleFiles."""
        return None


class _Zip:
    """A bundle in a zip file as `qualia bundle` writes it: uncompressed files in one folder, and nothing else."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.others: list[str] = []
        self._file = file
        size = path.stat().st_size
        entries = _check_end(path, file, size)
        self._archive = zipfile.ZipFile(file)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._top = self._archive.namelist()[0].partition("/")[0] if entries else ""
        for entry in self._archive.infolist():
            top, _, name = entry.orig_filename.partition("/")
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if top != self._top or not is_safe_name(top) or not is_safe_name(name) or name in self._entries:
                raise _unreadable(path, f"it has a file with the name {one_line(entry.orig_filename, 80)}")
            if kind not in (0, stat.S_IFREG) or entry.flag_bits & ~_UTF8_NAME:
                raise _unreadable(path, f"{one_line(name, 80)} in it is no ordinary file")
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise _unreadable(
                    path,
                    "it was not written by qualia bundle, which does not compress",
                    "Unpack it, and verify the folder.",
                )
            self._entries[name] = entry
        self.names: Mapping[str, int] = {name: entry.file_size for name, entry in self._entries.items()}
        if len({name.casefold() for name in self.names}) < len(self.names):
            raise _unreadable(path, "two of its files have the same name on some systems")
        if len(self._entries) != entries or sum(self.names.values()) > size:
            raise _unreadable(path, "its files overlap")

    def open(self, name: str) -> IO[bytes]:
        """See BundleFiles."""
        return self._archive.open(self._entries[name])

    def damage(self, copy: Path) -> str | None:
        """See BundleFiles."""
        same = copy.with_name(f"{copy.name}.zip")
        with same.open("xb+") as file:
            write_zip(file, copy, sorted(self.names), top=self._top)
            place = _first_difference(file, self._file)
        same.unlink()
        if place is None:
            return None
        before = [name for name, entry in self._entries.items() if entry.header_offset <= place]
        where = f"before {before[-1]}" if before and place < self._archive.start_dir else "in its list of files"
        return f"its byte {place:,}, {where}, is not as qualia bundle writes it; the files in it are as recorded"


def _check_end(path: Path, file: IO[bytes], size: int) -> int:
    """Check the last record of a zip file, before zipfile reads the directory; return the number of entries."""
    if not _END.size <= size <= MAX_BYTES + MAX_FILES * _ENTRY_BYTES:
        raise _unreadable(path, "it is too small or too large")
    file.seek(max(size - _END.size - 20, 0))
    tail = file.read()
    before, end = tail[: -_END.size], tail[-_END.size :]
    signature, _, _, _, entries, length, position, comment = _END.unpack(end)
    if signature != b"PK\x05\x06" or comment or before.startswith(_ZIP64) or position + length + _END.size != size:
        raise _unreadable(path, "it is no zip file that qualia bundle has written, or its end is missing")
    if entries > MAX_FILES or length > entries * _ENTRY_BYTES:
        raise _unreadable(path, f"it has more than {MAX_FILES:,} files, or too long names")
    return int(entries)


def _first_difference(first: IO[bytes], second: IO[bytes]) -> int | None:
    """The position of the first byte that differs, from 0; None if the files are equal."""
    place = 0
    first.seek(0)
    second.seek(0)
    while True:
        one, other = first.read(1 << 20), second.read(1 << 20)
        if one != other:
            shorter = min(len(one), len(other))
            return place + next((i for i in range(shorter) if one[i] != other[i]), shorter)
        if not one:
            return None
        place += len(one)


def _unreadable(path: Path, reason: str, hint: str = _HINT) -> BundleUnreadable:
    return BundleUnreadable(f"{path} cannot be read as a bundle: {reason.rstrip('.')}.", hint)
