"""Previews that installed packages add: the name of the entry point is the suffix of the files, such as `log`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from qualia_lab.artifacts import HEAD_BYTES, preview_kind
from qualia_lab.charts.previews.preview import Preview
from qualia_lab.entry_points import Added, Fault, Kind, load_added, load_all, raised, returned, type_name
from qualia_lab.framing import sanitized_page

if TYPE_CHECKING:
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

# Suffixes of files that have a preview of this package which depends on their structure.
_BUILT_IN = frozenset(
    "csv geojson gif htm html ipynb jpeg jpg json markdown md parquet png tsv webp yaml yml".split()  # noqa: SIM905
)


def _why_no_function(_: str, value: Any) -> str | None:
    return None if callable(value) else f"is {type_name(value)}, not a function"


_KIND = Kind("qualia_lab.previews", "preview", _BUILT_IN, _why_no_function, names=r"[a-z0-9]\w{0,31}")


def preview_faults() -> tuple[Fault, ...]:
    """Return the faults of the previews that packages add and that cannot be used; all of them are imported."""
    return load_all(_KIND)[1]


def added_preview(place: ArtifactPlace, file: ArtifactFile) -> Preview | Fault | None:
    """Return the preview of a file by the function that a package adds for its suffix; a pickle is passed to none.

    Args:
        place: where the file is read from.
        file: the file.

    Returns:
        The preview, why it could not be made, or None if there is no function or it has no preview of this file.
    """
    suffix = PurePosixPath(file.path).suffix.lower().removeprefix(".")
    added = load_added(_KIND, suffix)
    if not isinstance(added, Added):
        return added
    if preview_kind(file.path, place.read_bytes(file.path, HEAD_BYTES)) == "pickle":
        return None
    try:
        preview = added.value(place, file)
    except Exception as error:
        return raised(_KIND, added, error)
    if preview is None:
        return None
    if isinstance(preview, Preview) and isinstance(preview.html, str):
        return replace(preview, html=_without_scripts(preview.html))
    return returned(_KIND, added, f"returned {type_name(preview)}, not a Preview")


def _without_scripts(html: str) -> str:
    """HTML without scripts, links and whatever loads something: the function may have forgotten to escape a text."""
    return sanitized_page(html).replace("$", "&#36;").replace("`", "&#96;")  # which MathJax would read as formulas
