"""The files of runs: listed, and known by their first bytes. Nothing is unpickled, imported, unpacked or rendered."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from qualia_lab import schema
from qualia_lab.errors import StoreError
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace, TrackingStore

Kind = Literal[
    "image", "table", "parquet", "json", "yaml", "model", "markdown", "html", "text", "pickle", "hdf5", "keras",
    "numpy", "onnx", "safetensors", "archive", "audio", "video", "other",
]  # fmt: skip

# How much of a file is read to know what it is.
HEAD_BYTES = 4096

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"7z\xbc\xaf")
# Sound and film are known by their names: they are never opened.
_AUDIO = (".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac")
_VIDEO = (".mp4", ".webm", ".mov", ".avi", ".mkv", ".ogv", ".m4v")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
# Files that only unpickling could open, by the names that their libraries give them.
_PICKLED = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill", ".cloudpickle")
_TORCH_ENTRY = b"/data.pkl"  # in the archives that torch.save writes, whatever they are called
_HDF5, _HDF5_NAMES = b"\x89HDF\r\n\x1a\n", (".h5", ".hdf5")
_NUMPY, _OBJECTS = b"\x93NUMPY", b"'|O'"  # an array of objects is a pickle
_HTML = re.compile(r"\s*<(!--|(!doctype\s+html|html|head|body|script|iframe|div|style|meta)\b)", re.IGNORECASE)
_LOOKED_AT = 4096  # characters; further on a log may have such as its progress bars draw with
_MOST_ACCENTS = 1 / 3  # of the bytes of a text in Windows-1252: more are no text of a language written so
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def list_artifacts(store: TrackingStore, runs: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """Every file of these runs (schema.ARTIFACTS), and by run id what a reader has to know where there is something.

    runs: a table with the columns run_id and artifact_uri. A run whose artifacts cannot be listed has a note instead.
    """
    columns = zip(runs.column("run_id").to_pylist(), runs.column("artifact_uri").to_pylist(), strict=True)
    places = [(run_id, store.artifact_place(run_id, uri or "")) for run_id, uri in columns]
    rows, notes = [], {}
    for (run_id, _), (files, note) in zip(places, in_parallel(_listed, [place for _, place in places]), strict=True):
        rows += [{"run_id": run_id, "path": file.path, "size": file.size} for file in files]
        if note:
            notes[run_id] = note
    return table_of(schema.ARTIFACTS, rows), notes


def preview_kind(path: str, head: bytes) -> Kind:
    """What a file is, by its first bytes; its name chooses between kinds of text, and where bytes cannot tell.

    A file that only unpickling could open is a pickle, also where just its name says so. SVG is text: it can run
    scripts.

    Args:
        path: the artifact's path.
        head: the start of the file, HEAD_BYTES or all of it.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head.startswith(_HDF5):
        return "hdf5"
    if head.startswith(_NUMPY):
        return "pickle" if _OBJECTS in head else "numpy"
    if suffix in _PICKLED or _PICKLE.match(head):
        return "pickle"
    if head.startswith(_ARCHIVES):
        return _archive_kind(suffix, head)
    if head.startswith(b"%PDF-"):
        return "other"
    if head.startswith(b"PAR1"):
        return "parquet"
    read = decoded_text(head)
    text = None if read is None else read[0]
    if text is None or not text.strip():
        if suffix in _AUDIO:
            return "audio"
        if suffix in _VIDEO:
            return "video"
    return _binary_kind(suffix, head) if text is None else _text_kind(path, suffix, text)


def _listed(place: ArtifactPlace) -> tuple[list[ArtifactFile], str]:
    """The files of one place and its note; the note says why there are none when they cannot be listed."""
    try:
        return list(place.list_files()), place.note
    except StoreError as error:
        return [], error.message


def decoded_text(data: bytes) -> tuple[str, str] | None:
    """The bytes as text, and what a reader has to know of how they were read, or ""; None where they are no text.

    UTF-8 and UTF-16 with their marks, UTF-8 without, else Windows-1252, which is what remains of old programs. The last
    character may be cut. Control characters at the start, as no text has them, mean that it is none.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text, said = data[: len(data) // 2 * 2].decode("utf-16", "replace"), "read as UTF-16"
        return None if "\ufffd" in text[:-1] or _CONTROL.search(text, 0, _LOOKED_AT) else (text, said)
    plain = data.removeprefix(codecs.BOM_UTF8)
    text = plain.decode("utf-8", "ignore")
    if _CONTROL.search(text, 0, _LOOKED_AT):
        return None
    lost = len(plain) - len(text.encode())
    if lost <= 3 and plain.decode("utf-8", "replace").rstrip("\ufffd") == text:
        return text, ""
    if len(text) - len(text.encode("ascii", "ignore")) > lost:
        return plain.decode("utf-8", "replace"), "not all of it is UTF-8; what is not stands as \ufffd"
    if lost > len(plain) * _MOST_ACCENTS:
        return None
    try:
        return plain.decode("cp1252"), "read as Windows-1252, since it is not UTF-8"
    except UnicodeDecodeError:
        return None


def _archive_kind(suffix: str, head: bytes) -> Kind:
    """What an archive holds, where it holds a model or arrays."""
    if _TORCH_ENTRY in head:
        return "pickle"
    return "keras" if suffix == ".keras" else "numpy" if suffix == ".npz" else "archive"


def _binary_kind(suffix: str, head: bytes) -> Kind:
    """What is no text and begins with no sign of its own."""
    if suffix == ".safetensors" and head[8:9] == b"{":  # behind the length of its header
        return "safetensors"
    if suffix in _HDF5_NAMES:
        return "hdf5"
    return "onnx" if suffix == ".onnx" else "other"


def _text_kind(path: str, suffix: str, text: str) -> Kind:
    if PurePosixPath(path).name == "MLmodel":
        return "model"
    if _HTML.match(text) or suffix in (".html", ".htm"):
        return "html"
    start = text.lstrip()[:1]
    if suffix in (".json", ".geojson", ".ipynb") and start and start in '{["':
        return "json"
    if suffix in (".csv", ".tsv") and start and re.search(r"[,;\t|]", text.partition("\n")[0]):
        return "table"
    if suffix in (".yaml", ".yml"):
        return "yaml"
    if suffix in (".md", ".markdown"):
        return "markdown"
    return "text"
