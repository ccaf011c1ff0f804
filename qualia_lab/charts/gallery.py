"""HTML galleries that compare the same picture across runs, and across the steps at which it was logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.pictures import picture_html, picture_width
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES = 4_000_000  # total size of the pictures in one gallery


@dataclass(frozen=True)
class GalleryPicture:
    """One picture of a run: its bytes, or the reason why it is missing; and its step, if it was logged at one."""

    step: int | None
    picture: bytes | str


@dataclass(frozen=True)
class PictureComparison:
    """One picture across several runs: a title, (run label, pictures) pairs, and a note on what is left out."""

    title: str
    runs: Sequence[tuple[str, Sequence[GalleryPicture]]]
    note: str


@dataclass(frozen=True)
class Gallery:
    """Picture comparisons, one below the other, shown as HTML or text."""

    comparisons: Sequence[PictureComparison]

    def __repr__(self) -> str:
        lines = []
        for comparison in self.comparisons:
            names = ", ".join(label for label, _ in comparison.runs)
            lines.append(
                one_line(f"{comparison.title}: pictures of {counted(len(comparison.runs), 'run')} ({names})", 400)
            )
            lines += [one_line(comparison.note)] if comparison.note else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts, budget = [], _BYTES
        for comparison in self.comparisons:
            parts.append(f"<p><b>{for_html(comparison.title)}</b></p>")
            stepped = any(gallery_picture.step is not None for _, row in comparison.runs for gallery_picture in row)
            page, budget, omitted = (_by_step if stepped else _side_by_side)(comparison, budget)
            parts.append(page)
            notes = [comparison.note] if comparison.note else []
            notes += [f"{counted(omitted, 'picture')} not shown: the gallery is limited to 4 MB"] if omitted else []
            parts += [f"<p><small>{for_html(note)}</small></p>" for note in notes]
        return "".join(parts)


def _side_by_side(comparison: PictureComparison, budget: int) -> tuple[str, int, int]:
    """Render the pictures in wrapping rows, each below the label of its run."""
    parts, omitted = ['<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-end">'], 0
    for label, row in comparison.runs:
        for gallery_picture in row:
            page, size = _picture(gallery_picture, label, budget, picture_width(len(comparison.runs)))
            omitted += page is None
            budget -= size
            if page is not None:
                parts.append(f"<div>{for_html(label)}<br>{page}</div>")
    return "".join([*parts, "</div>"]), budget, omitted


def _by_step(comparison: PictureComparison, budget: int) -> tuple[str, int, int]:
    """Render a table with a row per run and a column per step."""
    steps = sorted({picture.step for _, row in comparison.runs for picture in row if picture.step is not None})
    width = picture_width(len(steps) * len(comparison.runs))
    head = "".join(f"<th>step {step:,}</th>" for step in steps)
    parts, omitted = [f"<table><thead><tr><th></th>{head}</tr></thead><tbody>"], 0
    for label, row in comparison.runs:
        by_step = {picture.step: picture for picture in row}
        parts.append(f"<tr><th>{for_html(label)}</th>")
        for step in steps:
            page: str | None = ""
            if step in by_step:
                page, size = _picture(by_step[step], f"{label}, step {step}", budget, width)
                omitted += page is None
                budget -= size
            parts.append(f"<td>{page or ''}</td>")
        parts.append("</tr>")
    return "".join([*parts, "</tbody></table>"]), budget, omitted


def _picture(gallery_picture: GalleryPicture, alt: str, budget: int, width: int) -> tuple[str | None, int]:
    """Return the HTML of a picture, or of the reason why it is missing, and its size; None if it exceeds the budget."""
    if isinstance(gallery_picture.picture, str):
        return f"<small>{for_html(one_line(gallery_picture.picture, 200))}</small>", 0
    if len(gallery_picture.picture) > budget:
        return None, 0
    page = picture_html(gallery_picture.picture, alt=alt, width=width)
    return (page, len(gallery_picture.picture)) if page.startswith("<img") else (f"<small>{for_html(page)}</small>", 0)
