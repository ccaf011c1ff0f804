"""Write files atomically: each is replaced completely or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from qualia_lab.errors import OutputNotWritable
from qualia_lab.interruptions import defer_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def write_atomically(path: Path, data: bytes) -> Path:
    """Replace the content of `path` atomically: a reader sees the old file or the new one, also after an interruption.

    A link is followed: its target is replaced and the link stays. Missing folders are created. Raises
    OutputNotWritable; the old file is then unchanged.
    """
    write_files_atomically({path: data})
    return path


def write_files_atomically(files: Mapping[Path, bytes]) -> None:
    """Write several files as `write_atomically` writes one: after an interruption all are old, or all are new.

    If a rename is refused, those before it are undone; only SIGKILL or a power failure between two renames can leave a
    mixture. Raises OutputNotWritable; the old files are then unchanged, unless undoing was refused too, as it says.
    """
    written: list[tuple[Path, Path, Path]] = []
    kept: dict[Path, Path | None] = {}
    try:
        for path, data in files.items():
            with defer_signals():  # a file that was made is always known to what removes it
                written.append((path, *_write_beside(path, data)))
        for path, _, target in written[:-1]:
            with defer_signals():
                kept[target] = _keep_beside(path, target)
        with defer_signals():
            for place, (path, temporary, target) in enumerate(written):
                try:
                    temporary.replace(target)
                except OSError as error:
                    raise _taken_back(_not_writable(path, error), written[:place], kept) from error
            for folder in {target.parent for _, _, target in written}:
                _sync_folder(folder)
    finally:
        for left in (*(temporary for _, temporary, _ in written), *filter(None, kept.values())):
            with contextlib.suppress(OSError):
                left.unlink()


def _keep_beside(path: Path, target: Path) -> Path | None:
    """Another name for the file that is there, or a copy where a file has one name only; None where none is there."""
    if not target.exists():
        return None
    other = target.with_name(f".{target.name[:40]}.{uuid4().hex[:8]}.tmp")
    try:
        os.link(target, other)
    except OSError:
        try:
            return _write_beside(target, target.read_bytes())[0]
        except OSError as error:
            raise _not_writable(path, error) from error
    return other


def _taken_back(
    error: OutputNotWritable, replaced: Sequence[tuple[Path, Path, Path]], kept: Mapping[Path, Path | None]
) -> OutputNotWritable:
    """Put back the files that were replaced; the error, which names those that could not be."""
    new = []
    for path, _, target in replaced:
        old = kept[target]
        try:
            if old is None:
                target.unlink()
            else:
                old.replace(target)
        except OSError:
            new.append(str(path))
    if new:
        error.message = f"{error.message.removesuffix('.')}; {' and '.join(new)} is new already."
    return error


def _write_beside(path: Path, data: bytes) -> tuple[Path, Path]:
    """Write the data to a temporary file next to the target; return the temporary path and the target."""
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~umask()
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".tmp")
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError):
            raise _not_writable(path, error) from error
        raise
    return Path(temporary), target


def check_writable(path: Path) -> None:
    """Raise OutputNotWritable if `path` cannot be written, before any work is done; create nothing."""
    reason = why_not_writable(path)
    if reason is not None:
        raise _not_writable(path, OSError(None, reason))


def why_not_writable(path: Path) -> str | None:
    """Why a file cannot be written at `path`, as far as it can be known beforehand; None if nothing prevents it."""
    folder = Path(os.path.realpath(path)).parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir():
        return "it is a folder"
    if not folder.is_dir():
        return f"{folder} is a file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"folder {folder} is not writable"
    return None


@contextlib.contextmanager
def folder_of(path: Path) -> Iterator[None]:
    """Create the folder of `path`; if the block raises, remove the created folders that are still empty.

    Raises OutputNotWritable.
    """
    missing = []
    folder = path.absolute().parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        yield
    except BaseException:
        for one in missing:
            with contextlib.suppress(OSError):
                one.rmdir()
        raise


def lock_folder(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder against other processes of this package, until the descriptor is closed or the process ends.

    Args:
        folder: an existing folder.
        wait: whether to wait for another process to release its lock.

    Returns:
        The descriptor; None if the operating system has no such locks.

    Raises:
        BlockingIOError: another process has locked the folder, and `wait` is False.
        OSError: the folder cannot be opened, or its file system does not support locks.
    """
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


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes of this package for the `with` block, where that is possible."""
    lock = None
    with contextlib.suppress(OSError):
        lock = lock_folder(Path(os.path.realpath(folder)), wait=True)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _not_writable(path: Path, error: OSError) -> OutputNotWritable:
    return OutputNotWritable(
        f"Cannot write {path}: {error.strerror or error}.", "Choose another path, or check the permissions there."
    )


def umask() -> int:
    """The umask of this process; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename durable by syncing its folder, where the system supports that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
