"""The manifest of a bundle: what it was made from, with which versions, and the SHA-256 of every other file."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from qualia_lab import __version__
from qualia_lab.counts import counted
from qualia_lab.errors import BundleUnreadable

MANIFEST = "manifest.json"
README = "README.txt"
DATA = "data"  # the folder of the snapshot

FORMAT = "qualia bundle"
FORMAT_VERSION = 1
MAX_FILES = 20_000
MAX_BYTES = 2_000_000_000  # of all files together; larger zip files would need the format zip64
MAX_MANIFEST_BYTES = 50_000_000

# Packages whose version may change a figure.
_PACKAGES = ("numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "mlflow", "mlflow-skinny", "matplotlib")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_DEPTH = 4
_MAX_NAME = 200  # characters of a component of a path
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f\\:*?"<>|]')
_HINT = "Ask for another copy, or make it anew: qualia bundle NOTEBOOK."


@dataclass(frozen=True)
class BundledFile:
    """One file of a bundle. `table`: the table of the runs' data that it holds; None for other files."""

    file: str
    bytes: int
    sha256: str
    table: str | None = None


@dataclass(frozen=True)
class BundleManifest:
    """What a bundle holds.

    Attributes:
        notebook: the file name of the notebook.
        page: the file name of its page.
        tracking_uri: the store that the runs were read from, without secrets.
        chosen_by: the conditions by which the runs were chosen, as in the notebook.
        run_ids: the runs, in the order of the notebook; none in a bundle of traces.
        latest_time: the latest start or end of a run, in milliseconds since 1970; in a bundle of traces the latest
            request; None where none is known.
        as_of: the time in ms up to which unfinished runs last; None if all runs had ended.
        rows: the number of rows by table.
        masked: the names of what was masked, such as `param db_password`.
        versions: {name: version} of Python, of the platform and of the packages that compute figures.
        files: every file but the manifest, sorted by name.
    """

    notebook: str
    page: str
    tracking_uri: str
    chosen_by: dict[str, Any]
    run_ids: tuple[str, ...]
    latest_time: int | None
    as_of: int | None
    rows: dict[str, int]
    masked: tuple[str, ...]
    versions: dict[str, str]
    files: tuple[BundledFile, ...]

    @property
    def content(self) -> str:
        """What the data are, in words: `3 runs, 60 metric points`, or `480 traces, 1,312 spans`."""
        counted_tables = (
            (("runs", "run"), ("metric_history", "metric point"))
            if self.run_ids
            else (("trace_traces", "trace"), ("spans", "span"))
        )
        return ", ".join(counted(self.rows.get(table, 0), noun) for table, noun in counted_tables)

    def to_json(self) -> bytes:
        """The manifest as JSON. Its last field is the SHA-256 of the rest, so that a change of any byte is found."""
        fields = {"format": FORMAT, "format_version": FORMAT_VERSION} | asdict(self)
        return _json(fields | {"sha256": hashlib.sha256(_json(fields)).hexdigest()})


def manifest_from_json(data: bytes) -> BundleManifest:
    """Read a manifest, which is not trusted: every type, name and limit is checked.

    Args:
        data: the content of the file.

    Returns:
        The manifest. It was changed since it was written if its `to_json` differs from the data.

    Raises:
        BundleUnreadable: it is damaged, or of another version of the format.
    """
    try:
        fields = json.loads(data)
        if _of(int, fields["format_version"]) != FORMAT_VERSION:
            raise BundleUnreadable(
                f"The bundle has version {fields['format_version']} of the format, "
                f"and this program reads {FORMAT_VERSION}.",
                "Update qualia-lab.",
            )
        return BundleManifest(
            notebook=_name(fields["notebook"]),
            page=_name(fields["page"]),
            tracking_uri=_of(str, fields["tracking_uri"]),
            chosen_by=_of(dict, fields["chosen_by"]),
            run_ids=tuple(_of(str, run_id) for run_id in _of(list, fields["run_ids"])),
            latest_time=_time(fields["latest_time"]),
            as_of=_time(fields["as_of"]),
            rows={_of(str, name): _of(int, rows) for name, rows in _of(dict, fields["rows"]).items()},
            masked=tuple(_of(str, name) for name in _of(list, fields["masked"])),
            versions={_of(str, name): _of(str, text) for name, text in _of(dict, fields["versions"]).items()},
            files=_files(fields["files"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BundleUnreadable(f"{MANIFEST} of the bundle is damaged.", _HINT) from error


def is_safe_name(name: str) -> bool:
    """Whether a name is a relative path of a file below the bundle on every system, with `/` between its components."""
    components = name.split("/")
    return (
        len(components) <= _MAX_DEPTH
        and not any(component in ("", ".", "..") or len(component) > _MAX_NAME for component in components)
        and not any(component.endswith((".", " ")) for component in components)
        and not _NOT_IN_NAMES.search(name)
        and name.isprintable()
    )


def versions_here() -> dict[str, str]:
    """The versions of Python, of the platform and of the packages that compute figures, as installed here."""
    found = {
        "qualia-lab": __version__,
        "Python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _json(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, indent=1) + "\n").encode("ascii")


def _of(kind: type[Any], value: Any) -> Any:
    """The value, if it has this type. Raises TypeError."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"not of type {kind.__name__}")
    return value


def _time(value: Any) -> int | None:
    time: int | None = None if value is None else _of(int, value)
    return time


def _name(value: Any) -> str:
    name: str = _of(str, value)
    if not is_safe_name(name):
        raise ValueError(name)
    return name


def _files(values: Any) -> tuple[BundledFile, ...]:
    files = tuple(map(_file, _of(list, values)))
    if len(files) > MAX_FILES or len({file.file for file in files} | {MANIFEST}) <= len(files):
        raise ValueError("too many files, or a name that occurs twice")
    return files


def _file(fields: Any) -> BundledFile:
    size, sha256, table = _of(int, fields["bytes"]), _of(str, fields["sha256"]), fields["table"]
    if not 0 <= size <= MAX_BYTES or not _SHA256.fullmatch(sha256):
        raise ValueError("size or SHA-256")
    return BundledFile(_name(fields["file"]), size, sha256, None if table is None else _of(str, table))
