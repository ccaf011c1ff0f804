"""What a notebook records about its generation, in its metadata: a few words to read, the rest compressed."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from qualia_lab import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

# The key of our metadata in cells and in the notebook.
NAMESPACE = "qualia_lab"

_MOST_BYTES = 64_000_000  # of a record once it is decompressed; a file is not trusted


@dataclass(frozen=True)
class Generated:
    """What was generated, and from what.

    Attributes:
        version: the version of this package.
        template: the name of the template.
        base: the generated source of each cell by its key, which edits are compared with.
        given: what was given besides the conditions: `template`, `title` and `settings`, if they were.
        deleted: the keys of cells that the user deleted.
        exports: the formats of the exports that were made.
        written: when the cells ran, in ISO format with a time zone; "" if they never did.
        data: a digest of the data of the runs when the cells ran.
        sources: a digest of all cells when they ran.
        results: what the notebook said when the cells ran, see `results.Results`.
    """

    version: str = __version__
    template: str = ""
    base: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    written: str = ""
    data: str = ""
    sources: str = ""
    results: Mapping[str, Any] = field(default_factory=dict)


def digest(source: str) -> str:
    """Return a hash by which an edited cell source is recognized."""
    return hashlib.sha256(source.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def own_metadata(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return our metadata of a cell, or an empty dict; the metadata may be anything."""
    metadata = cell.get("metadata")
    own = metadata.get(NAMESPACE) if isinstance(metadata, dict) else None
    return own if isinstance(own, dict) else {}


def cell_key(cell: Mapping[str, Any]) -> str:
    """Return the key of a generated cell, or ""; the metadata may be anything."""
    key = own_metadata(cell).get("key")
    return key if isinstance(key, str) else ""


_READABLE = ("version", "template")
_TYPES = {"base": dict, "given": dict, "results": dict, "deleted": list, "exports": list}


def generated_as_metadata(generated: Generated) -> dict[str, str]:
    """Return the value of NAMESPACE in the metadata of a notebook."""
    values = {name: value for name, value in asdict(generated).items() if value and name not in _READABLE}
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode("ascii")
    return {"version": generated.version, "template": generated.template, "generated": packed}


def read_generated(notebook: Mapping[str, Any]) -> Generated | None:
    """Read the record of a notebook, which may have been changed by anybody.

    Args:
        notebook: a notebook of nbformat 4.

    Returns:
        The record, without the parts that are damaged; None if the notebook has none.
    """
    metadata = notebook.get("metadata")
    own = metadata.get(NAMESPACE) if isinstance(metadata, dict) else None
    if not isinstance(own, dict):
        return None
    values = {**_unpacked(own.get("generated")), **{name: own.get(name) for name in _READABLE}}
    if isinstance(own.get("base"), dict):  # the first version stored the sources as they are
        values.setdefault("base", own["base"])
    known: dict[str, Any] = {}
    for one in fields(Generated):
        value = values.get(one.name)
        if isinstance(value, _TYPES.get(one.name, str)):
            known[one.name] = tuple(filter(_is_text, value)) if isinstance(value, list) else value
    known["base"] = {key: text for key, text in known.get("base", {}).items() if _is_text(text)}
    return Generated(**known)


def digest_of_sources(notebook: Mapping[str, Any]) -> str:
    """Return a digest of the types and sources of all cells, in order."""
    return digest(json.dumps([[cell["cell_type"], _text(cell["source"])] for cell in notebook["cells"]]))


def _unpacked(packed: object) -> dict[str, Any]:
    if not isinstance(packed, str):
        return {}
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(packed, validate=True), _MOST_BYTES)
        values = json.loads(data.decode("utf-8", "surrogatepass")) if stream.eof else None
    except (ValueError, zlib.error, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _text(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
