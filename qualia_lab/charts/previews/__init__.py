"""Previews of artifacts by kind; no model is loaded, nothing is unpickled or run, and every string is escaped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.image_names import LoggedImage, logged_image, without_small_copies
from qualia_lab.artifacts import HEAD_BYTES, decoded_text, preview_kind
from qualia_lab.charts.previews.added import added_preview
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
from qualia_lab.masking.keys import DEFAULT_RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.artifacts import Kind
    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

__all__ = ["Preview", "read_previews"]

_PREVIEWS = 20
_FIGURES = 3  # drawing one takes as long as drawing one of our charts
_TEXT_BYTES = 1_000_000
# Maximum total size of the previews of one run; larger ones are named only.
_BYTES = 4_000_000


def read_previews(
    place: ArtifactPlace, files: Sequence[ArtifactFile], rules: MaskRules = DEFAULT_RULES
) -> Iterator[Preview]:
    """Yield the previews of the first files that can be previewed; a file that cannot be read yields the reason.

    Args:
        place: where the artifacts are read from.
        files: all files of the run.
        rules: masks the values of secrets in tables.
    """
    shown = size = figures = 0
    candidates = list(_candidates(files))
    for index, (file, title, remark) in enumerate(candidates):
        if shown == _PREVIEWS:
            yield note(f"showing {_PREVIEWS} previews; {len(candidates) - index:,} more files")
            return
        try:
            preview = _first_preview(place, file, title, files, draw=figures < _FIGURES, rules=rules)
        except QualiaLabError as error:
            preview = note(str(error))
        except Exception as error:
            # A file may make a parser fail in any way; the other files are still shown.
            preview = note(f"cannot be shown: {type(error).__name__}")
        if preview is None:
            continue
        if size + len(preview.html) > _BYTES:
            preview = note("not shown: the previews of this run have reached their size limit")
        shown += 1
        figures += preview.figure
        size += len(preview.html)
        yield replace(preview, title=title, remark=remark)


def _candidates(files: Sequence[ArtifactFile]) -> Iterator[tuple[ArtifactFile, str, str]]:
    """Yield (file, title, remark) of the files to preview.

    Omitted are the files of a model folder except MLmodel, earlier steps of a picture, and MLflow's small copies.
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


def _first_preview(
    place: ArtifactPlace, file: ArtifactFile, title: str, files: Sequence[ArtifactFile], *, draw: bool, rules: MaskRules
) -> Preview | None:
    """Return the preview that an installed package adds for such files, else ours, with the reason if theirs failed."""
    added = added_preview(place, file)
    if isinstance(added, Preview):
        return added
    preview = _preview(place, file, title, files, draw=draw, rules=rules)
    if added is None:
        return preview
    reason = small(str(added))
    return Preview(reason) if preview is None else replace(preview, html=preview.html + reason, picture=False)


def _preview(
    place: ArtifactPlace, file: ArtifactFile, title: str, files: Sequence[ArtifactFile], *, draw: bool, rules: MaskRules
) -> Preview | None:
    """Return the preview of one file, or None for a kind that has no preview."""
    head = place.read_bytes(file.path, HEAD_BYTES)
    kind = preview_kind(file.path, head)
    if kind == "image":
        return picture_preview(place, file, title)
    if kind in ("audio", "video"):
        return media_preview(place, file, kind)
    if kind == "parquet":
        return parquet_preview(place, file, rules)
    if kind not in ("text", "markdown", "json", "yaml", "model", "table", "html"):
        return None
    limit = FIGURE_BYTES if kind == "json" else _TEXT_BYTES
    data = head if len(head) < HEAD_BYTES else place.read_bytes(file.path, limit + 1)
    whole = len(data) <= limit
    decoded = decoded_text(data[:limit])
    if decoded is None:
        return note("it starts as text, but the rest is not text")
    text, remark = decoded
    if not text.strip():
        return note("empty")
    shown = _text_preview(kind, file, text, files, whole=whole, draw=draw, rules=rules)
    return replace(shown, html=shown.html + small(remark)) if remark else shown


def _text_preview(
    kind: Kind,
    file: ArtifactFile,
    text: str,
    files: Sequence[ArtifactFile],
    *,
    whole: bool,
    draw: bool,
    rules: MaskRules,
) -> Preview:
    """Return the preview of a text file of this kind; `whole` says whether `text` is the whole file."""
    if kind == "json":
        return (
            figure_preview(text, whole=whole, draw=draw, rules=rules)
            or logged_table_preview(text, whole=whole, rules=rules)
            or json_preview(text, whole=whole)
        )
    if kind == "yaml":
        return yaml_preview(text, whole=whole)
    if kind == "model":
        return model_preview(file.path, text, files)
    if kind == "table":
        return table_preview(text, whole=whole, rules=rules)
    if kind == "html":
        return page_preview(text, whole=whole)
    return Preview(markdown_html(text) if kind == "markdown" else text_html(text))
