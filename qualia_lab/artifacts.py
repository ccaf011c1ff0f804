"""List the artifacts of runs and detect file types. Nothing is unpickled, imported, unpacked or rendered."""

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

# The number of bytes that are read to detect the type of a file.
HEAD_BYTES = 4096

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"7z\xbc\xaf")
# Audio and video are detected by name; they are never opened.
_AUDIO = (".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac")
_VIDEO = (".mp4", ".webm", ".mov", ".avi", ".mkv", ".ogv", ".m4v")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
# Suffixes of files that can only be opened by unpickling.
_PICKLED = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill", ".cloudpickle")
_TORCH_ENTRY = b"/data.pkl"  # in every archive that torch.save writes
_HDF5, _HDF5_NAMES = b"\x89HDF\r\n\x1a\n", (".h5", ".hdf5")
_NUMPY, _OBJECTS = b"\x93NUMPY", b"'|O'"  # an array of Python objects contains a pickle
_HTML = re.compile(r"\s*<(!--|(!doctype\s+html|html|head|body|script|iframe|div|style|meta)\b)", re.IGNORECASE)
_CHECKED = 4096  # characters; progress bars write control characters later in a log
_MAX_NON_ASCII = 1 / 3  # maximum share of non-ASCII bytes for a text in Windows-1252
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def list_artifacts(store: TrackingStore, runs: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """List the artifacts of runs.

    Args:
        store: the store of the runs.
        runs: a table with the columns `run_id` and `artifact_uri`.

    Returns:
        The files (schema.ARTIFACTS), and {run id: note} for runs with a note, for example why their artifacts cannot be
        listed.
    """
    columns = zip(runs.column("run_id").to_pylist(), runs.column("artifact_uri").to_pylist(), strict=True)
    places = [(run_id, store.artifact_place(run_id, uri or "")) for run_id, uri in columns]
    rows, notes = [], {}
    for (run_id, _), (files, note) in zip(
        places, in_parallel(_list_files, [place for _, place in places]), strict=True
    ):
        rows += [{"run_id": run_id, "path": file.path, "size": file.size} for file in files]
        if note:
            notes[run_id] = note
    return table_of(schema.ARTIFACTS, rows), notes


def preview_kind(path: str, head: bytes) -> Kind:
    """Detect the type of a file by its first bytes; its name decides between text formats, and where bytes do not.

    A file that can only be opened by unpickling is a `pickle`, even if only its name indicates that. SVG is `text`,
    because it can run scripts.

    Args:
        path: the path of the artifact.
        head: the first HEAD_BYTES of the file, or all of it.

    Returns:
        The type of preview for the file.
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


def _list_files(place: ArtifactPlace) -> tuple[list[ArtifactFile], str]:
    """The files of one place and its note; if they cannot be listed, the note is the reason."""
    try:
        return list(place.list_files()), place.note
    except StoreError as error:
        return [], error.message


def decoded_text(data: bytes) -> tuple[str, str] | None:
    """Decode bytes as text, if they are text.

    The encodings are UTF-8 and UTF-16 with a byte order mark, UTF-8 without one, and otherwise Windows-1252, which old
    programs write. Bytes with control characters near the start are not text.

    Args:
        data: the file or its start; the last character may be truncated.

    Returns:
        The text and a note on how it was decoded ("" for UTF-8); None if the bytes are not text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text, note = data[: len(data) // 2 * 2].decode("utf-16", "replace"), "read as UTF-16"
        return None if "\ufffd" in text[:-1] or _CONTROL.search(text, 0, _CHECKED) else (text, note)
    plain = data.removeprefix(codecs.BOM_UTF8)
    text = plain.decode("utf-8", "ignore")
    if _CONTROL.search(text, 0, _CHECKED):
        return None
    lost = len(plain) - len(text.encode())
    if lost <= 3 and plain.decode("utf-8", "replace").rstrip("\ufffd") == text:
        return text, ""
    if len(text) - len(text.encode("ascii", "ignore")) > lost:
        return plain.decode("utf-8", "replace"), "not all of it is UTF-8; invalid bytes are shown as \ufffd"
    if lost > len(plain) * _MAX_NON_ASCII:
        return None
    try:
        return plain.decode("cp1252"), "read as Windows-1252, since it is not UTF-8"
    except UnicodeDecodeError:
        return None


def _archive_kind(suffix: str, head: bytes) -> Kind:
    """The type of an archive: a model, arrays, or other content."""
    if _TORCH_ENTRY in head:
        return "pickle"
    return "keras" if suffix == ".keras" else "numpy" if suffix == ".npz" else "archive"


def _binary_kind(suffix: str, head: bytes) -> Kind:
    """The type of a binary file without a known signature."""
    if suffix == ".safetensors" and head[8:9] == b"{":  # after the length of the header
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
