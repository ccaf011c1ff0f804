"""Where the artifacts of a run are: on this machine, on its tracking server, or in an object store.

What is recorded is somebody's text, the run's id too. A folder on this machine counts only when its real path ends with
`RUN_ID/artifacts` and the id has the form of one, or when it is below the store; so `file:///etc` is refused, also of a
run whose id is `etc`. No link is followed out of the folder, and nothing but regular files is opened.
"""

from __future__ import annotations

import os
import re
import stat
import time
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from qualia_lab.counts import counted
from qualia_lab.errors import StoreError, StoreUnreachable
from qualia_lab.stores.artifact_addresses import OBJECT_STORES, why_not_opened
from qualia_lab.stores.limits import most_folders
from qualia_lab.stores.masked import MaskedPlace
from qualia_lab.stores.parallel import within
from qualia_lab.stores.protocol import ArtifactFile
from qualia_lab.stores.values import integer, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.stores.protocol import ArtifactPlace

DEEPEST = 8
MOST_FILES = 10_000
_SECONDS = 10.0
_LARGEST_DOWNLOAD = 20_000_000
# Of a run or a logged model: 32 hexadecimal digits, as MLflow makes them, or the same as a UUID with hyphens.
_RUN_ID = re.compile(r"(m-)?[0-9a-f]{32}\Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
# Folders beside a store where its runs' own are looked for: MLflow's names of them.
_BESIDE = ("mlruns", "mlartifacts", "artifacts", ".trash")
_PARTS_BEFORE = 6  # of the recorded path before the run's id: the experiment's folder, and those that it is in
_CUT = f"only the first {MOST_FILES:,} files and {DEEPEST} levels of folders are listed"


class ArtifactServer(Protocol):
    """A tracking server that lists and serves artifacts."""

    def list_artifacts(self, run_id: str, path: str) -> Iterator[dict[str, Any]]:
        """One folder as MLflow's `{path, is_dir, file_size}`."""
        ...

    def read_artifact(self, run_id: str, path: str, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes of one file."""
        ...


def artifact_place(
    run_id: str, artifact_uri: str, *, beside: Path | None = None, http: ArtifactServer | None = None
) -> ArtifactPlace:
    """Where the artifacts of this run are; nothing is touched until files are listed or read.

    beside: the mlruns folder, or the folder of the SQLite file, where a folder recorded on another machine is looked
    for. http: the tracking server, which then lists and serves them all.
    """
    if http is not None:
        return ServerPlace(run_id, artifact_uri, http)
    scheme = _scheme(artifact_uri)
    if scheme in ("", "file", "mlflow-artifacts"):
        return LocalPlace(run_id, artifact_uri, beside)
    if scheme not in OBJECT_STORES:  # http and ftp too: a record does not choose which servers are talked to
        return NoPlace(artifact_uri, f"artifacts at a {scheme}: address are not opened")
    refused = why_not_opened(artifact_uri)
    return NoPlace(artifact_uri, refused) if refused else ObjectStorePlace(run_id, artifact_uri)


def on_this_machine(place: ArtifactPlace) -> LocalPlace | None:
    """The place where it is a folder on this machine, also of a store whose secrets are masked."""
    found = place.stored if isinstance(place, MaskedPlace) else place
    return found if isinstance(found, LocalPlace) else None


class NoPlace:
    """Artifacts that are not opened, and why."""

    def __init__(self, recorded_uri: str, note: str) -> None:
        self.recorded_uri = recorded_uri
        self.note = note

    def list_files(self) -> Iterator[ArtifactFile]:
        """None."""
        return iter(())

    def read_bytes(self, path: str, limit: int) -> bytes:  # noqa: ARG002 - the protocol's
        """Raises StoreError."""
        raise StoreError(f"The artifact {text(path)} was not read: {self.note}.", "")


class LocalPlace:
    """A run's own folder on this machine: where it was recorded, or else beside the store."""

    def __init__(self, run_id: str, recorded_uri: str, beside: Path | None) -> None:
        self.recorded_uri = recorded_uri
        self.note = ""  # known when files were listed
        self._run_id = run_id
        self.beside = beside

    def list_files(self) -> Iterator[ArtifactFile]:
        """Every file of the run's folder, sorted by path; what leads out of it is left out, and the note says so."""
        root, self.note = self._found
        if root is not None:
            files = list(islice(self._files(root, "", DEEPEST), MOST_FILES + 1))
            if len(files) > MOST_FILES:
                self._remark(_CUT)
            yield from sorted(files[:MOST_FILES], key=lambda file: file.path)

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError when it leads out, is no regular file, or is gone."""
        root, reason = self._found
        if root is not None:
            parts = PurePosixPath(path).parts
            try:
                real = os.path.realpath(Path(root, *parts))
                if ".." not in parts and _is_below(real, root):
                    return _read_regular(real, limit)
                reason = "it leads out of the run's own folder"
            except OSError as error:
                reason = (error.strerror or "it could not be read").lower()
            except ValueError:
                reason = "its name is none"
        raise StoreError(f"The artifact {text(path)} was not read: {reason}.", "")

    def _remark(self, remark: str) -> None:
        if remark not in self.note:
            self.note = f"{self.note}; {remark}" if self.note else remark

    @cached_property
    def _found(self) -> tuple[str | None, str]:
        """The real path of the run's folder, and a note; None with the reason."""
        try:
            return self._find()
        except (ValueError, OSError):  # NUL, half a surrogate pair, a name longer than the system takes
            return None, f"the recorded place {_shown(self.recorded_uri)} is no path"

    def _find(self) -> tuple[str | None, str]:
        recorded = _local_path(self.recorded_uri)
        real = os.path.realpath(recorded) if recorded is not None else ""
        if real and Path(real).is_dir():
            if self._is_the_runs_own(real):
                return real, ""
            refused = f"the recorded folder {_shown(self.recorded_uri)} is not this run's own, and is not opened"
        else:
            refused = f"there is no folder {_shown(self.recorded_uri)} on this machine"
        for base, tail in self._candidates():
            real = os.path.realpath(Path(base, *tail))
            if Path(real).is_dir() and self._is_the_runs_own(real) and _is_below(real, os.path.realpath(base)):
                return real, f"found beside the store; recorded as {_shown(self.recorded_uri)}"
        return None, refused

    def _is_the_runs_own(self, real: str) -> bool:
        """Whether this real path can be nobody's but the run's: anybody may call a run `etc`."""
        parts, has_form = Path(real).parts, _RUN_ID.match(self._run_id) is not None
        in_store = self.beside is not None and _is_below(real, os.path.realpath(self.beside))
        if parts[-2:] == (self._run_id, "artifacts"):
            return has_form or in_store
        return has_form and in_store and self._run_id in parts

    def _candidates(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """Folders to look in, with the ends of the recorded path that still name the run.

        An address that is relative was so to the folder that MLflow was started in, which is often the store's.
        """
        if self.beside is None or not re.match(r"[\w-]+\Z", self._run_id):
            return
        parts = tuple(part for part in re.split(r"[\\/]+", _path_part(self.recorded_uri)) if part not in ("", "."))
        if self._run_id not in parts:
            parts = (self._run_id, "artifacts")
        place = len(parts) - 1 - parts[::-1].index(self._run_id)
        near = self.beside
        bases = (
            near,
            *(near / name for name in _BESIDE),
            *(near.parent / name for name in ("artifacts", "mlartifacts")),
        )
        for start in range(max(place - _PARTS_BEFORE, 0), place + 1):
            for base in bases if ".." not in parts[start:] else ():
                yield base, parts[start:]

    def _files(self, root: str, folder: str, deepest: int) -> Iterator[ArtifactFile]:
        """The files of a folder and of those in it. A link counts when it leads to a file in the run's own folder."""
        try:
            with os.scandir(Path(root, folder)) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            self._remark(f"the folder {_shown(folder) or 'itself'} could not be read")
            return
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if deepest == 1:
                        self._remark(_CUT)
                    else:
                        yield from self._files(root, path, deepest - 1)
                elif not entry.is_symlink() or _is_below(os.path.realpath(entry.path), root):
                    about = entry.stat()
                    if stat.S_ISREG(about.st_mode):
                        yield ArtifactFile(text(path) or "", about.st_size)
                else:
                    self._remark(f"{_shown(path)} is a link out of the run's own folder and is not followed")
            except OSError:
                self._remark(f"{_shown(path)} could not be read")


class _RemotePlace:
    """Folders that are listed one question at a time."""

    def __init__(self, run_id: str, recorded_uri: str) -> None:
        self.recorded_uri = recorded_uri
        self.note = ""
        self._run_id = run_id

    def list_files(self) -> Iterator[ArtifactFile]:
        """Every file, recursively, sorted by path. Raises StoreError when the first folder cannot be listed.

        Where it stops before the end (by the number of files or folders, without a new one in time, or at a folder
        that cannot be listed), the note says so.
        """
        files: dict[str, ArtifactFile] = {}
        folders, seen = [""], {""}
        most, listed, since = most_folders(), 0, time.monotonic()
        while folders and len(files) <= MOST_FILES:
            if listed == most or time.monotonic() - since > _SECONDS:
                why = f"{most:,} folders" if listed == most else f"{_SECONDS:.0f} seconds without another file"
                self.note = f"stopped after {why}: {_counted_files(len(files))} found until then"
                break
            folder = folders.pop(0)
            listed += 1
            try:
                for path, is_folder, size in self._listed(folder):
                    if not is_folder:
                        if path not in files:
                            files[path], since = ArtifactFile(path, size), time.monotonic()
                    elif path.count("/") + 1 >= DEEPEST:
                        self.note = _CUT
                    elif path not in seen:
                        seen.add(path)
                        folders.append(path)
                    if len(files) > MOST_FILES or len(seen) > most:
                        break
            except StoreError as error:
                if not files and not folder and not folders:
                    raise
                self.note = error.message
                if isinstance(error, StoreUnreachable):  # the next question would be as long without an answer
                    break
        if len(files) > MOST_FILES:
            self.note = _CUT
        yield from sorted(islice(files.values(), MOST_FILES), key=lambda file: file.path)

    def _listed(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        raise NotImplementedError


class ServerPlace(_RemotePlace):
    """A run's artifacts as its tracking server lists and serves them, wherever it keeps them."""

    def __init__(self, run_id: str, recorded_uri: str, server: ArtifactServer) -> None:
        super().__init__(run_id, recorded_uri)
        self._server = server

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError when the server does not give it within 10 seconds."""
        return self._server.read_artifact(self._run_id, path, limit, _SECONDS)

    def _listed(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        for file in self._server.list_artifacts(self._run_id, folder):
            # MLflow's JSON leaves out zeros.
            yield _entry(file.get("path"), file.get("is_dir"), file.get("file_size", 0))


class ObjectStorePlace(_RemotePlace):
    """A run's artifacts in S3 and its like, read by MLflow's own client with the credentials of the environment."""

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError when it is larger than 20 MB, or cannot be had."""
        folder = path.rpartition("/")[0]
        sizes = {found: size for found, _, size in self._listed(folder)}
        if (sizes.get(path) or 0) > _LARGEST_DOWNLOAD:
            raise StoreError(f"The artifact {text(path)} was not read: it is larger than 20 MB.", "")
        data: bytes = self._ask(lambda: self._download(path, limit), path)
        return data

    def _download(self, path: str, limit: int) -> bytes:
        import tempfile

        from mlflow import artifacts

        uri = f"{self._root()}/{path}"
        with tempfile.TemporaryDirectory() as folder:
            return _read_regular(artifacts.download_artifacts(artifact_uri=uri, dst_path=folder), limit)

    def _listed(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        uri = f"{self._root()}/{folder}".rstrip("/")

        def ask() -> list[Any]:
            from mlflow import artifacts

            return artifacts.list_artifacts(artifact_uri=uri) or []

        for file in self._ask(ask, folder):
            yield _entry(file.path, file.is_dir, file.file_size)

    def _root(self) -> str:
        """The recorded address, when it is this run's own. Raises StoreError otherwise."""
        if not _RUN_ID.match(self._run_id) or self._run_id not in re.split(r"[/?#]", self.recorded_uri):
            raise StoreError("The recorded place of the artifacts does not name the run, and is not opened.", "")
        return self.recorded_uri.rstrip("/")

    def _ask(self, ask: Any, path: str) -> Any:
        try:
            return within(_SECONDS, ask)
        except StoreError:
            raise
        except Exception as error:
            reason = "it took longer than 10 seconds" if isinstance(error, TimeoutError) else type(error).__name__
            raise StoreError(
                f"The artifacts {text(path)} at {_shown(self.recorded_uri)} could not be read: {reason}.",
                "Check the credentials of the artifact store in the environment.",
            ) from None


def _counted_files(count: int) -> str:
    return f"{counted(count, 'file')} {'was' if count == 1 else 'were'}"


def _entry(path: Any, is_folder: Any, size: Any) -> tuple[str, bool, int | None]:
    """What a listing says of one file or folder; a size that is none is unknown."""
    try:
        known = integer(size)
    except ValueError:
        known = None
    return text(str(path)) or "", bool(is_folder), known


def _scheme(uri: str) -> str:
    """The scheme in small letters; "" of a path, also of one with a Windows drive."""
    scheme, separator, _ = uri.partition(":")
    return scheme.lower() if separator and len(scheme) > 1 and re.match(r"[A-Za-z][\w+.-]*\Z", scheme) else ""


def _path_part(uri: str) -> str:
    """The path of a `file:` or `mlflow-artifacts:` URI, decoded once; a plain path as it is."""
    if not _scheme(uri):
        return uri
    rest = uri.partition(":")[2]
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    return unquote(rest)


def _local_path(uri: str) -> Path | None:
    """The folder that a recorded URI means on this machine; None when it can mean none here."""
    if _scheme(uri) == "mlflow-artifacts":
        return None
    path = _path_part(uri)
    if re.match(r"[\\/]{2}", path):  # Windows would ask the server that it names
        return None
    if re.match(r"/[A-Za-z]:[\\/]", path):
        path = path[1:]
    return Path(path) if Path(path).is_absolute() else None


def _is_below(real: str, root: str) -> bool:
    return real.startswith(root.rstrip(os.sep) + os.sep)


def _read_regular(path: str, limit: int) -> bytes:
    """The start of a regular file; a pipe or device raises OSError and is never waited for."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "It is no regular file")
        return file.read(limit)


def _shown(uri: str) -> str:
    """A recorded URI or path for a note: without user, password and query, shortened."""
    plain = re.sub(r"//[^/]*@", "//", (text(uri) or "").partition("?")[0])
    return plain if len(plain) <= 200 else plain[:199] + "…"
