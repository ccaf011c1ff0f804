"""HistoryCache: metric histories of finished runs of servers, kept on this machine until the run changes.

One file for each run, named by a hash: a digest of what follows, then an Arrow file of the points, which also says by
which answer of the server it was read. What is damaged, of another answer, or not ours alone, is not there.
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

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = "1"
_ENDED = ("FINISHED", "FAILED", "KILLED")
# A client that logs in the background may still deliver points after it has said that its run ended.
_SETTLED_MS = 10 * 60_000
# Room is made before it is needed, so that the files of a process and what was there never take more together.
_MOST_BYTES = 1 << 30
_ROOM = 64 << 20
# Even what looks as it did is read again after a week: no answer of a server tells of a point that somebody adds to a
# run long ended, at a step before its latest.
_OLDEST_SECONDS = 7 * 86_400
_DIGEST_BYTES = 32
_FINGERPRINT = b"qualia_lab.fingerprint"
_LEFT_OVER_SECONDS = 3600
_encoded = json.JSONEncoder(sort_keys=True).encode  # made once: for each value it takes longer than the value


def open_cache(store: str) -> HistoryCache | None:
    """The cache of the store of this name, which holds no secret; None where QUALIA_LAB_CACHE=off or there is no place.

    The folder is that of QUALIA_LAB_CACHE, or `qualia-lab` in XDG_CACHE_HOME, or where this system keeps caches.
    """
    given = os.environ.get("QUALIA_LAB_CACHE", "")
    if given.lower() in ("off", "0", "no", "false"):
        return None
    if given:
        return HistoryCache(Path(given).absolute() / "histories", store)
    home = _cache_home()
    return None if home is None else HistoryCache(home / "qualia-lab" / "histories", store)


def fingerprint_of(run: Mapping[str, Any], now_ms: int | None = None) -> str | None:
    """What a run's answer says, as a digest that differs when the run does; None while its history may still grow.

    run: MLflow's JSON of a run as a search gives it, with its latest metrics, params and tags.
    """
    info, data = run.get("info"), run.get("data")
    if not isinstance(info, dict) or info.get("status") not in _ENDED:
        return None
    try:
        ended = int(info["end_time"])
    except (KeyError, TypeError, ValueError):
        return None
    if not 0 < ended <= (int(time.time() * 1000) if now_ms is None else now_ms) - _SETTLED_MS:
        return None
    said: dict[str, Any] = {"info": info}
    for name in ("metrics", "params", "tags"):
        items = data.get(name) if isinstance(data, dict) else None
        said[name] = sorted(map(_encoded, items)) if isinstance(items, list) else []
    return hashlib.sha256(_encoded(said).encode()).hexdigest()


class HistoryCache:
    """The histories of one store's runs. No method raises for what the disk does: without a cache all is as before."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self._store = store
        self._room = 0  # bytes that may be written before room is made again

    def read(self, run_id: str, fingerprint: str) -> pa.Table | None:
        """The whole history of a run (schema.METRIC_HISTORY), if it was read when the run was as it is now."""
        path = self._path(run_id)
        try:
            if not self._is_ours_alone() or path.stat().st_mtime < time.time() - _OLDEST_SECONDS:
                return None
            content = path.read_bytes()
            data = memoryview(content)[_DIGEST_BYTES:]
            if hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest() != content[:_DIGEST_BYTES]:
                return None
            kept = pa.ipc.open_file(pa.py_buffer(data), options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
            if (kept.schema.metadata or {}).get(_FINGERPRINT) != fingerprint.encode():
                return None
            return kept.cast(schema.METRIC_HISTORY)
        except (OSError, ValueError, pa.ArrowException):
            return None

    def write(self, run_id: str, fingerprint: str, points: pa.Table) -> None:
        """Keep the whole history of a run."""
        # In one piece, and each name once: read ten times faster than as it came.
        marked = points.combine_chunks().replace_schema_metadata({_FINGERPRINT: fingerprint.encode()})
        for place in range(2):
            marked = marked.set_column(place, marked.column_names[place], marked.column(place).dictionary_encode())
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
        with pa.ipc.new_file(sink, marked.schema, options=options) as writer:
            writer.write_table(marked)
        data = sink.getvalue().to_pybytes()
        if len(data) > _ROOM:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_ours_alone():
                return
            if self._room < len(data):
                self._make_room()
            self._room -= len(data)
            # Whole or not at all; not synced to the disk, which takes longer than asking again: the digest tells.
            descriptor, temporary = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest() + data)
                Path(temporary).replace(self._path(run_id))
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
                raise

    def _make_room(self) -> None:
        """Remove the files that were written longest ago until there is room again, and what killed writers left."""
        with os.scandir(self.folder) as entries:
            files = [(entry.stat(follow_symlinks=False), entry) for entry in entries]
        too_many = sum(file.st_size for file, _ in files) + _ROOM - _MOST_BYTES
        for file, entry in sorted(files, key=lambda one: one[0].st_mtime):
            left_over = entry.name.endswith(".tmp")
            if left_over and file.st_mtime > time.time() - _LEFT_OVER_SECONDS:
                continue
            if too_many > 0 or left_over:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108 - an entry has a path of text
                    too_many -= file.st_size
        self._room = _ROOM

    def _path(self, run_id: str) -> Path:
        name = json.dumps([_FORMAT, self._store, run_id])
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.arrow"

    def _is_ours_alone(self) -> bool:
        """Whether the folder is there, and nobody else can have put anything into it."""
        there = self.folder.lstat()
        if not stat.S_ISDIR(there.st_mode):
            return False
        return not hasattr(os, "getuid") or (there.st_uid == os.getuid() and not there.st_mode & 0o077)


def _cache_home() -> Path | None:
    """Where programs keep what they can do without, or None."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # noqa: PTH117 - a relative one is to be ignored, says the specification
        return Path(given)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else None
    try:
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError:
        return None
