"""Put a bundle in its place, whole or not at all: a folder, or a zip file with the same bytes for the same files."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from qualia_lab.bundle.manifest import FORMAT, MANIFEST
from qualia_lab.errors import OutputExists, OutputNotWritable
from qualia_lab.files import check_writable, umask
from qualia_lab.interruptions import defer_signals

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_place(target: Path, *, force: bool) -> None:
    """Raise OutputExists or OutputNotWritable, before any work is done, if no bundle can be put there.

    Args:
        target: the folder or the zip file.
        force: replace a file, or a folder that is a bundle.
    """
    check_writable(target / MANIFEST if not _is_zip(target) else target)
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not force:
        raise OutputExists(f"{target} already exists.", "Add --force to replace it, or choose another --output.")
    if target.is_dir() and not _is_bundle(target):
        raise OutputExists(f"{target} is a folder and no bundle.", "Choose another --output.")


def put_bundle(folder: Path, target: Path) -> None:
    """Copy the files of a bundle to its place, which `check_place` has accepted; an old bundle is replaced at the end.

    Args:
        folder: the files.
        target: the folder or the zip file.

    Raises:
        OutputNotWritable: it cannot be written; what was there is unchanged.
    """
    target = Path(os.path.realpath(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name[:40]}.", ignore_cleanup_errors=True
        ) as temporary:
            new = Path(temporary) / "new"
            if _is_zip(target):
                with new.open("xb") as file:
                    write_zip(file, folder, _names(folder), top=folder.name)
                    file.flush()
                    os.fsync(file.fileno())
            else:
                shutil.copytree(folder, new)
            new.chmod((0o777 if new.is_dir() else 0o666) & ~umask())
            with defer_signals():
                _replace(new, target, Path(temporary) / "old")
    except OSError as error:
        raise OutputNotWritable(
            f"Cannot write {target}: {error.strerror or error}.", "Choose another --output, or check the permissions."
        ) from error


def write_zip(file: IO[bytes], folder: Path, names: Iterable[str], *, top: str) -> None:
    """Write a zip file of these files below the folder `top`, uncompressed, all with the same time.

    Parquet is compressed already; deflate differs between versions of its library, and its padding could be changed
    unnoticed.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in names:
            entry = zipfile.ZipInfo(f"{top}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(entry, "w") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _replace(new: Path, target: Path, old: Path) -> None:
    """Rename the new file or folder to its place; one that is there is put aside, and put back if that fails."""
    if not target.is_dir():
        new.replace(target)
        return
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _is_bundle(folder: Path) -> bool:
    with suppress(OSError), (folder / MANIFEST).open("rb") as file:
        return f'"format": "{FORMAT}"'.encode() in file.read(1000)
    return False
