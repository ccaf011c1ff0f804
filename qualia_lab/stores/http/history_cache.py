"""HistoryCache: a cache on this machine for the metric histories of ended runs on servers.

There is one file for each run, named by a hash. It holds a digest of the rest of the file, then an Arrow file with the
points, whose metadata has the fingerprint of the run. Files that are damaged or have another fingerprint, and folders
that other users have access to, are ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.stores.ended import has_settled

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = "1"
# Files are evicted in advance, so that old files and those of this process never exceed _MAX_BYTES together.
_MAX_BYTES = 1 << 30
_RESERVED_BYTES = 64 << 20
# Even an unchanged run is read again after a week: a server does not report a point that was added to an ended run at a
# step before its latest one.
_MAX_AGE_SECONDS = 7 * 86_400
_DIGEST_BYTES = 32
_FINGERPRINT = b"qualia_lab.fingerprint"
_TEMPORARY_FILE_SECONDS = 3600
_encoded = json.JSONEncoder(sort_keys=True).encode  # created once: creating it takes longer than encoding a value


def open_cache(store: str) -> HistoryCache | None:
    """The cache for the store of this name, which must not contain secrets; None if QUALIA_LAB_CACHE=off.

    The folder is QUALIA_LAB_CACHE, or `qualia-lab` in XDG_CACHE_HOME or in the system's folder for caches; None is also
    returned if there is no such folder.
    """
    setting = os.environ.get("QUALIA_LAB_CACHE", "")
    if setting.lower() in ("off", "0", "no", "false"):
        return None
    if setting:
        return HistoryCache(Path(setting).absolute() / "histories", store)
    home = _cache_home()
    return None if home is None else HistoryCache(home / "qualia-lab" / "histories", store)


def fingerprint_of(run: Mapping[str, Any], now_ms: int | None = None) -> str | None:
    """A digest of a run that changes whenever the run does; None while its history may still grow.

    Args:
        run: MLflow's JSON of the run as a search returns it, with its latest metrics, params and tags.
        now_ms: the current time in ms; None for the clock.
    """
    info, data = run.get("info"), run.get("data")
    if not isinstance(info, dict):
        return None
    try:
        if not has_settled(info.get("status"), int(info["end_time"]), now_ms):
            return None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    content: dict[str, Any] = {"info": info}
    for name in ("metrics", "params", "tags"):
        items = data.get(name) if isinstance(data, dict) else None
        content[name] = sorted(map(_encoded, items)) if isinstance(items, list) else []
    return hashlib.sha256(_encoded(content).encode()).hexdigest()


class HistoryCache:
    """The cached histories of one store's runs. Errors of the file system are ignored; they only cost cache hits."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self._store = store
        self._reserved = 0  # bytes that may be written before files must be evicted again

    def read(self, run_id: str, fingerprint: str) -> pa.Table | None:
        """The history of a run (schema.METRIC_HISTORY), if it is cached with this fingerprint; else None."""
        path = self._path(run_id)
        try:
            if not self._is_private() or path.stat().st_mtime < time.time() - _MAX_AGE_SECONDS:
                return None
            content = path.read_bytes()
            data = memoryview(content)[_DIGEST_BYTES:]
            if hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest() != content[:_DIGEST_BYTES]:
                return None
            table = pa.ipc.open_file(pa.py_buffer(data), options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
            if (table.schema.metadata or {}).get(_FINGERPRINT) != fingerprint.encode():
                return None
            return table.cast(schema.METRIC_HISTORY)
        except (OSError, ValueError, pa.ArrowException):
            return None

    def write(self, run_id: str, fingerprint: str, points: pa.Table) -> None:
        """Cache the complete history of a run."""
        # In one chunk and with dictionary-encoded names, it is read ten times faster.
        encoded = points.combine_chunks().replace_schema_metadata({_FINGERPRINT: fingerprint.encode()})
        for index in range(2):
            encoded = encoded.set_column(index, encoded.column_names[index], encoded.column(index).dictionary_encode())
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
        with pa.ipc.new_file(sink, encoded.schema, options=options) as writer:
            writer.write_table(encoded)
        data = sink.getvalue().to_pybytes()
        if len(data) > _RESERVED_BYTES:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_private():
                return
            if self._reserved < len(data):
                self._evict()
            self._reserved -= len(data)
            # Written atomically but not synced, which would take longer than a new request; the digest detects damage.
            descriptor, temporary = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest() + data)
                Path(temporary).replace(self._path(run_id))
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
                raise

    def _evict(self) -> None:
        """Remove the oldest files until there is enough space, and temporary files of writers that were killed."""
        with os.scandir(self.folder) as entries:
            files = [(entry.stat(follow_symlinks=False), entry) for entry in entries]
        excess = sum(file.st_size for file, _ in files) + _RESERVED_BYTES - _MAX_BYTES
        for file, entry in sorted(files, key=lambda pair: pair[0].st_mtime):
            is_temporary = entry.name.endswith(".tmp")
            if is_temporary and file.st_mtime > time.time() - _TEMPORARY_FILE_SECONDS:
                continue
            if excess > 0 or is_temporary:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108 - the path of an entry is a str
                    excess -= file.st_size
        self._reserved = _RESERVED_BYTES

    def _path(self, run_id: str) -> Path:
        name = json.dumps([_FORMAT, self._store, run_id])
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.arrow"

    def _is_private(self) -> bool:
        """Whether the folder exists, belongs to this user, and other users have no access to it."""
        status = self.folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return False
        return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)


def _cache_home() -> Path | None:
    """The system's folder for caches, or None."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(folder):  # noqa: PTH117 - the specification says to ignore relative paths
        return Path(folder)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else None
    try:
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError:
        return None
