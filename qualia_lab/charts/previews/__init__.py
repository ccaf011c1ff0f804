"""Previews of artifacts by what they are; nothing is loaded, unpickled or run, and every string is escaped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.image_names import LoggedImage, logged_image, without_small_copies
from qualia_lab.artifacts import HEAD_BYTES, decoded_text, preview_kind
from qualia_lab.charts.previews.figures import FIGURE_BYTES, figure_preview
from qualia_lab.charts.previews.markdown import markdown_html
from qualia_lab.charts.previews.media import media_preview
from qualia_lab.charts.previews.models import model_preview
from qualia_lab.charts.previews.pages import page_preview
from qualia_lab.charts.previews.pictures import picture_preview
from qualia_lab.charts.previews.preview import Preview, note, small
from qualia_lab.charts.previews.tables import logged_table_preview, parquet_preview, table_preview
from qualia_lab.charts.previews.texts import json_preview, text_html, yaml_preview
from qualia_lab.errors import QualiaLabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.artifacts import Kind
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

__all__ = ["Preview", "read_previews"]

_PREVIEWS = 20
_FIGURES = 3  # drawing one takes as long as a chart of ours
_TEXT_BYTES = 1_000_000
# The previews of one run take so many bytes together; a picture past that is named only.
_BYTES = 4_000_000


def read_previews(place: ArtifactPlace, files: Sequence[ArtifactFile]) -> Iterator[Preview]:
    """The first previews there are among these files. One that cannot be read says why, and the others follow."""
    shown = size = figures = 0
    candidates = list(_worth_a_look(files))
    for place_in_list, (file, title, remark) in enumerate(candidates):
        if shown == _PREVIEWS:
            yield Preview("", small(f"showing {_PREVIEWS} previews; {len(candidates) - place_in_list:,} more files"))
            return
        try:
            preview = _preview(place, file, title, files, draw=figures < _FIGURES)
        except QualiaLabError as error:
            preview = note(file.path, str(error))
        except Exception as error:
            # Whatever a stranger's file makes a parser do, the others are shown.
            preview = note(file.path, f"cannot be shown: {type(error).__name__}")
        if preview is None:
            continue
        if size + len(preview.html) > _BYTES:
            preview = note(file.path, "not shown: the previews of this run are large enough")
        shown += 1
        figures += preview.figure
        size += len(preview.html)
        yield replace(preview, path=title, remark=remark)


def _worth_a_look(files: Sequence[ArtifactFile]) -> Iterator[tuple[ArtifactFile, str, str]]:
    """The files, each with a title and a remark.

    Of a model's folder only its MLmodel, of a picture logged step by step the last one, and no small copies.
    """
    shown = set(without_small_copies([file.path for file in files]))
    models = tuple(file.path[: -len("MLmodel")] for file in files if file.path.endswith("/MLmodel"))
    images = {file.path: logged_image(file.path) for file in files}
    steps: dict[str, list[LoggedImage]] = {}
    for image in images.values():
        if image is not None and image.step is not None:
            steps.setdefault(image.key, []).append(image)
    for file in files:
        if file.path not in shown:
            continue
        image = images[file.path]
        if image is not None and image.step is not None:
            logged = steps[image.key]
            if image is max(logged, key=lambda one: (one.step, one.timestamp)):
                yield file, image.title, f"the last of {len(logged):,}" if len(logged) > 1 else ""
        elif file.path.endswith("/MLmodel") or not file.path.startswith(models):
            yield file, file.path, ""


def _preview(
    place: ArtifactPlace, file: ArtifactFile, title: str, files: Sequence[ArtifactFile], *, draw: bool
) -> Preview | None:
    """The preview of one file, or None where its name and size are all there is to show."""
    head = place.read_bytes(file.path, HEAD_BYTES)
    kind = preview_kind(file.path, head)
    if kind == "image":
        return picture_preview(place, file, title)
    if kind in ("audio", "video"):
        return media_preview(place, file, kind)
    if kind == "parquet":
        return parquet_preview(place, file)
    if kind not in ("text", "markdown", "json", "yaml", "model", "table", "html"):
        return None
    limit = FIGURE_BYTES if kind == "json" else _TEXT_BYTES
    data = head if len(head) < HEAD_BYTES else place.read_bytes(file.path, limit + 1)
    whole = len(data) <= limit
    read = decoded_text(data[:limit])
    if read is None:
        return note(file.path, "it starts as text, and is not text further on")
    text, said = read
    if not text.strip():
        return note(file.path, "empty")
    shown = _text_preview(kind, file, text, files, whole=whole, draw=draw)
    return replace(shown, html=shown.html + small(said)) if said else shown


def _text_preview(
    kind: Kind, file: ArtifactFile, text: str, files: Sequence[ArtifactFile], *, whole: bool, draw: bool
) -> Preview:
    """The preview of a text of this kind.  whole: whether it is all of the file."""
    if kind == "json":
        return (
            figure_preview(file.path, text, whole=whole, draw=draw)
            or logged_table_preview(file.path, text, whole=whole)
            or json_preview(file.path, text, whole=whole)
        )
    if kind == "yaml":
        return yaml_preview(file.path, text, whole=whole)
    if kind == "model":
        return model_preview(file.path, text, files)
    if kind == "table":
        return table_preview(file.path, text, whole=whole)
    if kind == "html":
        return page_preview(file.path, text, whole=whole)
    return Preview(file.path, markdown_html(text) if kind == "markdown" else text_html(text))
