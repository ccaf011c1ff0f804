"""Where the artifacts of a run are: on this machine, on its tracking server, or in an object store.

The recorded address is untrusted text, and so is the run's id. A folder on this machine is opened only if its real path
ends with `RUN_ID/artifacts` and the id is well-formed, or if it is below the store; so `file:///etc` is refused, even
for a run whose id is `etc`. Links out of the folder are not followed, and only regular files are opened.
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
from qualia_lab.stores.limits import max_folders
from qualia_lab.stores.masked import MaskedPlace
from qualia_lab.stores.model_sources import is_model_id
from qualia_lab.stores.parallel import with_timeout
from qualia_lab.stores.protocol import ArtifactFile
from qualia_lab.stores.values import integer, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.stores.protocol import ArtifactPlace

_REMARKS = 10  # that a note lists
MAX_DEPTH = 8
MAX_FILES = 10_000
_TIMEOUT_SECONDS = 10.0
_LARGEST_DOWNLOAD = 20_000_000
# The id of a run, a logged model or a trace: 32 hexadecimal digits, as MLflow generates them, or a UUID with hyphens.
_RUN_ID = re.compile(r"((m|tr)-)?[0-9a-f]{32}\Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
# Folders next to a store in which the runs' folders are searched, by MLflow's names for them.
_FOLDERS_BESIDE = ("mlruns", "mlartifacts", "artifacts", ".trash")
_PARTS_BEFORE = 6  # path components before the run's id that are tried: the experiment's folder and its parents
_TRUNCATED = f"only the first {MAX_FILES:,} files and {MAX_DEPTH} levels of folders are listed"


class ArtifactServer(Protocol):
    """A tracking server that lists and serves artifacts; implemented in stores/http/artifacts.py."""

    def list_artifacts(self, run_id: str, path: str) -> Iterator[dict[str, Any]]:
        """The entries of one folder as MLflow's `{path, is_dir, file_size}`."""
        ...

    def read_artifact(self, run_id: str, path: str, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes of one file."""
        ...


def artifact_place(
    run_id: str, artifact_uri: str, *, beside: Path | None = None, http: ArtifactServer | None = None
) -> ArtifactPlace:
    """Where the artifacts of this run are; no I/O until files are listed or read.

    Args:
        run_id: the run.
        artifact_uri: the recorded address, untrusted.
        beside: the mlruns folder, or the folder of the SQLite file, in which a folder that was recorded on another
            machine is searched.
        http: the tracking server, if the store is one; it then lists and serves all artifacts.
    """
    if http is not None:
        return ServerPlace(run_id, artifact_uri, http)
    scheme = _scheme(artifact_uri)
    if scheme in ("", "file", "mlflow-artifacts"):
        return LocalPlace(run_id, artifact_uri, beside)
    if scheme not in OBJECT_STORES:  # also http and ftp: a record must not choose which servers are contacted
        return UnopenedPlace(artifact_uri, f"artifacts at a {scheme}: address are not opened")
    refused = why_not_opened(artifact_uri)
    return UnopenedPlace(artifact_uri, refused) if refused else ObjectStorePlace(run_id, artifact_uri)


def as_local_place(place: ArtifactPlace) -> LocalPlace | None:
    """The place as a folder on this machine, also behind a MaskedPlace; None if it is somewhere else."""
    unmasked = place.stored if isinstance(place, MaskedPlace) else place
    return unmasked if isinstance(unmasked, LocalPlace) else None


class UnopenedPlace:
    """Artifacts that are not opened, with the reason as a note."""

    def __init__(self, recorded_uri: str, note: str) -> None:
        self.recorded_uri = recorded_uri
        self.note = note

    def list_files(self) -> Iterator[ArtifactFile]:
        """No files."""
        return iter(())

    def read_bytes(self, path: str, limit: int) -> bytes:  # noqa: ARG002 - required by the protocol
        """Raises StoreError."""
        raise StoreError(f"The artifact {text(path)} was not read: {self.note}.", "")


class _Listing:
    """A run's artifacts that are listed, with a note of remarks on the listing."""

    def __init__(self, run_id: str, recorded_uri: str) -> None:
        self.recorded_uri = recorded_uri
        self.note = ""  # complete once the files were listed
        self._run_id = run_id
        self._remarks: dict[str, None] = {}

    def _remark(self, remark: str) -> None:
        """Add a remark to the note, once; of many remarks the last ones are only counted."""
        self._remarks[remark] = None
        more = len(self._remarks) - _REMARKS
        self.note = "; ".join([*islice(self._remarks, _REMARKS), *([f"and {more:,} more such remarks"] * (more > 0))])


class LocalPlace(_Listing):
    """A run's own folder on this machine: the recorded one, or else one that was found next to the store."""

    def __init__(self, run_id: str, recorded_uri: str, beside: Path | None) -> None:
        super().__init__(run_id, recorded_uri)
        self.beside = beside
        self._owner = "model" if is_model_id(run_id) else "run"

    def list_files(self) -> Iterator[ArtifactFile]:
        """Every file of the run's folder, sorted by path; links out of it are skipped and mentioned in the note."""
        root, remark = self._found
        if remark:
            self._remark(remark)
        if root is not None:
            files = list(islice(self._files(root, "", MAX_DEPTH), MAX_FILES + 1))
            if len(files) > MAX_FILES:
                self._remark(_TRUNCATED)
            yield from sorted(files[:MAX_FILES], key=lambda file: file.path)

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError if it is missing, irregular or outside the folder."""
        root, reason = self._found
        if root is not None:
            parts = PurePosixPath(path).parts
            try:
                real = os.path.realpath(Path(root, *parts))
                if ".." not in parts and _is_below(real, root):
                    return _read_regular(real, limit)
                reason = f"it leads out of the {self._owner}'s own folder"
            except OSError as error:
                reason = (error.strerror or "it could not be read").lower()
            except ValueError:
                reason = "its name is not valid"
        raise StoreError(f"The artifact {text(path)} was not read: {reason}.", "")

    @cached_property
    def _found(self) -> tuple[str | None, str]:
        """The real path of the run's folder and a note; or None and the reason."""
        try:
            return self._find()
        except (ValueError, OSError):  # NUL, half a surrogate pair, or a name that is too long for the system
            return None, f"the recorded address {_shown(self.recorded_uri)} is not a path"

    def _find(self) -> tuple[str | None, str]:
        recorded = _local_path(self.recorded_uri)
        real = os.path.realpath(recorded) if recorded is not None else ""
        if real and Path(real).is_dir():
            if self._is_the_runs_own(real):
                return real, ""
            refused = (
                f"the recorded folder {_shown(self.recorded_uri)} is not this {self._owner}'s own, and is not opened"
            )
        else:
            refused = f"there is no folder {_shown(self.recorded_uri)} on this machine"
        for base, tail in self._candidates():
            real = os.path.realpath(Path(base, *tail))
            if Path(real).is_dir() and self._is_the_runs_own(real) and _is_below(real, os.path.realpath(base)):
                return real, f"found beside the store; recorded as {_shown(self.recorded_uri)}"
        return None, refused

    def _is_the_runs_own(self, real: str) -> bool:
        """Whether this real path must belong to the run. The id alone is no proof, since a run may be called `etc`."""
        parts, is_well_formed = Path(real).parts, _RUN_ID.match(self._run_id) is not None
        in_store = self.beside is not None and _is_below(real, os.path.realpath(self.beside))
        if parts[-2:] == (self._run_id, "artifacts"):
            return is_well_formed or in_store
        return is_well_formed and in_store and self._run_id in parts

    def _candidates(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """Folders to search, each with an ending of the recorded path that still contains the run's id.

        A relative address is relative to the folder in which MLflow was started, which is often that of the store.
        """
        if self.beside is None or not re.match(r"[\w-]+\Z", self._run_id):
            return
        parts = tuple(part for part in re.split(r"[\\/]+", _path_part(self.recorded_uri)) if part not in ("", "."))
        if self._run_id not in parts:
            parts = (self._run_id, "artifacts")
        id_index = len(parts) - 1 - parts[::-1].index(self._run_id)
        folder = self.beside
        bases = (
            folder,
            *(folder / name for name in _FOLDERS_BESIDE),
            *(folder.parent / name for name in ("artifacts", "mlartifacts")),
        )
        for start in range(max(id_index - _PARTS_BEFORE, 0), id_index + 1):
            for base in bases if ".." not in parts[start:] else ():
                yield base, parts[start:]

    def _files(self, root: str, folder: str, levels: int) -> Iterator[ArtifactFile]:
        """The files of a folder, recursively. A link is included if its target is a file in the run's own folder."""
        try:
            with os.scandir(Path(root, folder)) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError:
            self._remark(f"the folder {_shown(folder) or 'itself'} could not be read")
            return
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if levels == 1:
                        self._remark(_TRUNCATED)
                    else:
                        yield from self._files(root, path, levels - 1)
                elif not entry.is_symlink() or _is_below(os.path.realpath(entry.path), root):
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        yield ArtifactFile(text(path) or "", status.st_size)
                    else:
                        self._remark(f"{_shown(path)} is not a regular file and is not opened")
                else:
                    self._remark(f"{_shown(path)} is a link out of the {self._owner}'s own folder and is not followed")
            except OSError:
                self._remark(f"{_shown(path)} could not be read")


class _RemotePlace(_Listing):
    """Artifacts on a server, whose folders are listed with one request each."""

    def list_files(self) -> Iterator[ArtifactFile]:
        """Every file, recursively, sorted by path. Raises StoreError if the root folder cannot be listed.

        The note says if the listing is incomplete: because of the maximum number of files or folders, because no new
        file was found in time, or because a folder could not be listed.
        """
        files: dict[str, ArtifactFile] = {}
        folders, seen = [""], {""}
        limit, listed, since = max_folders(), 0, time.monotonic()
        while folders and len(files) <= MAX_FILES:
            if listed == limit or time.monotonic() - since > _TIMEOUT_SECONDS:
                why = f"{limit:,} folders" if listed == limit else f"{_TIMEOUT_SECONDS:.0f} seconds without a new file"
                self._remark(f"stopped after {why}: {_counted_files(len(files))} found until then")
                break
            folder = folders.pop(0)
            listed += 1
            try:
                for path, is_folder, size in self._listed(folder):
                    if not is_folder:
                        if path not in files:
                            files[path], since = ArtifactFile(path, size), time.monotonic()
                    elif path.count("/") + 1 >= MAX_DEPTH:
                        self._remark(_TRUNCATED)
                    elif path not in seen:
                        seen.add(path)
                        folders.append(path)
                    if len(files) > MAX_FILES or len(seen) > limit:
                        break
            except StoreError as error:
                if not files and not folder and not folders:
                    raise
                self._remark(error.message)
                if isinstance(error, StoreUnreachable):  # the next request would also wait for its timeout
                    break
        if len(files) > MAX_FILES:
            self._remark(_TRUNCATED)
        yield from sorted(islice(files.values(), MAX_FILES), key=lambda file: file.path)

    def _listed(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        raise NotImplementedError


class ServerPlace(_RemotePlace):
    """A run's artifacts, listed and served by its tracking server."""

    def __init__(self, run_id: str, recorded_uri: str, server: ArtifactServer) -> None:
        super().__init__(run_id, recorded_uri)
        self._server = server

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError if the server does not send it within 10 seconds."""
        return self._server.read_artifact(self._run_id, path, limit, _TIMEOUT_SECONDS)

    def _listed(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        for file in self._server.list_artifacts(self._run_id, folder):
            # MLflow's JSON omits zeros.
            yield _entry(file.get("path"), file.get("is_dir"), file.get("file_size", 0))


class ObjectStorePlace(_RemotePlace):
    """A run's artifacts in an object store such as S3, read by MLflow's client with the environment's credentials."""

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of one file. Raises StoreError if it is larger than 20 MB or cannot be read."""
        folder = path.rpartition("/")[0]
        sizes = {name: size for name, _, size in self._listed(folder)}
        if (sizes.get(path) or 0) > _LARGEST_DOWNLOAD:
            raise StoreError(f"The artifact {text(path)} was not read: it is larger than 20 MB.", "")
        data: bytes = self._call(lambda: self._download(path, limit), path)
        return data

    def _download(self, path: str, limit: int) -> bytes:
        import tempfile

        from mlflow import artifacts

        uri = f"{self._root()}/{path}"
        with tempfile.TemporaryDirectory() as folder:
            return _read_regular(artifacts.download_artifacts(artifact_uri=uri, dst_path=folder), limit)

    def _listed(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        uri = f"{self._root()}/{folder}".rstrip("/")

        def list_folder() -> list[Any]:
            from mlflow import artifacts

            return artifacts.list_artifacts(artifact_uri=uri) or []

        for file in self._call(list_folder, folder):
            yield _entry(file.path, file.is_dir, file.file_size)

    def _root(self) -> str:
        """The recorded address, if it contains the run's id. Raises StoreError otherwise."""
        if not _RUN_ID.match(self._run_id) or self._run_id not in re.split(r"[/?#]", self.recorded_uri):
            raise StoreError("The recorded artifact address does not name the run, and is not opened.", "")
        return self.recorded_uri.rstrip("/")

    def _call(self, function: Any, path: str) -> Any:
        try:
            return with_timeout(_TIMEOUT_SECONDS, function)
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
    """(path, whether it is a folder, size) of an entry of a listing; the size is None if it is not a number."""
    try:
        known = integer(size)
    except ValueError:
        known = None
    return text(str(path)) or "", bool(is_folder), known


def _scheme(uri: str) -> str:
    """The scheme in lower case; "" for a path, also for one with a Windows drive."""
    scheme, separator, _ = uri.partition(":")
    return scheme.lower() if separator and len(scheme) > 1 and re.match(r"[A-Za-z][\w+.-]*\Z", scheme) else ""


def _path_part(uri: str) -> str:
    """The path of a `file:` or `mlflow-artifacts:` URI, percent-decoded once; a plain path is returned unchanged."""
    if not _scheme(uri):
        return uri
    rest = uri.partition(":")[2]
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    return unquote(rest)


def _local_path(uri: str) -> Path | None:
    """The folder that a recorded URI names on this machine; None if it cannot name one here."""
    if _scheme(uri) == "mlflow-artifacts":
        return None
    path = _path_part(uri)
    if re.match(r"[\\/]{2}", path):  # a UNC path: Windows would contact the server that it names
        return None
    if re.match(r"/[A-Za-z]:[\\/]", path):
        path = path[1:]
    return Path(path) if Path(path).is_absolute() else None


def _is_below(real: str, root: str) -> bool:
    return real.startswith(root.rstrip(os.sep) + os.sep)


def _read_regular(path: str, limit: int) -> bytes:
    """The start of a regular file. A pipe or device raises OSError and is never waited for."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "It is not a regular file")
        return file.read(limit)


def _shown(uri: str) -> str:
    """A recorded URI or path for a note, without user, password and query, and shortened."""
    plain = re.sub(r"//[^/]*@", "//", (text(uri) or "").partition("?")[0])
    return plain if len(plain) <= 200 else plain[:199] + "…"
