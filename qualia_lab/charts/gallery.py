"""HTML galleries that compare the same picture across runs, and across the steps at which it was logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.pictures import picture_width, small_picture_html, why_not_shown
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHARACTERS = 5_350_000  # of all pictures in one gallery, which are 4 MB in base64
_REDUCED = "pictures have about as many pixels as are shown here; runs.show(RUN) shows those of a run in full"


@dataclass(frozen=True)
class GalleryPicture:
    """One picture of a run: its bytes, or the reason why it is missing; and its step, or place in an order, if any."""

    step: int | None
    picture: bytes | str


@dataclass(frozen=True)
class PictureComparison:
    """One picture across several runs.

    Attributes:
        title: the key or path of the picture.
        runs: (run label, pictures) pairs.
        note: what is left out.
        unit: what the steps of the pictures count: `step`, or `picture` if the number is from the path.
    """

    title: str
    runs: Sequence[tuple[str, Sequence[GalleryPicture]]]
    note: str
    unit: str = "step"


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
        parts, left = [], _CHARACTERS
        for comparison in self.comparisons:
            parts.append(f"<p><b>{for_html(comparison.title)}</b></p>")
            stepped = any(gallery_picture.step is not None for _, row in comparison.runs for gallery_picture in row)
            pictures = _Pictures(left)
            parts.append((_by_step if stepped else _side_by_side)(comparison, pictures))
            left = pictures.left
            notes = filter(None, (comparison.note, *pictures.notes()))
            parts += [f"<p><small>{for_html(note)}</small></p>" for note in notes]
        return "".join(parts)


class _Pictures:
    """Renders the pictures of a comparison, as long as they fit into the gallery, and counts what is not as logged.

    Args:
        left: how many characters are left for pictures in the gallery.
    """

    def __init__(self, left: int) -> None:
        self.left = left
        self._omitted = self._reduced = 0

    def notes(self) -> list[str]:
        """Return what readers have to know about the pictures."""
        omitted = f"{counted(self._omitted, 'picture')} not shown: the gallery is limited to 4 MB"
        return [*([omitted] if self._omitted else []), *([_REDUCED] if self._reduced else [])]

    def html(self, gallery_picture: GalleryPicture, alt: str, width: int) -> str | None:
        """Return a picture, or the reason why it is missing; None if it exceeds the limit."""
        data = gallery_picture.picture
        reason = one_line(data, 200) if isinstance(data, str) else why_not_shown(data)
        if isinstance(data, str) or reason:
            return f"<small>{for_html(reason)}</small>"
        page, is_reduced = small_picture_html(data, alt=alt, width=width)
        if len(page) > self.left:
            self._omitted += 1
            return None
        self.left -= len(page)
        self._reduced += is_reduced
        return page


def _side_by_side(comparison: PictureComparison, pictures: _Pictures) -> str:
    """Render the pictures in wrapping rows, each below the label of its run."""
    parts = ['<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-end">']
    width = picture_width(len(comparison.runs))
    for label, row in comparison.runs:
        for gallery_picture in row:
            page = pictures.html(gallery_picture, label, width)
            if page is not None:
                style = f"max-width:{width}px;overflow-wrap:anywhere"
                parts.append(f'<div style="{style}">{for_html(label)}<br>{page}</div>')
    return "".join([*parts, "</div>"])


def _by_step(comparison: PictureComparison, pictures: _Pictures) -> str:
    """Render a table with a row per run and a column per step."""
    steps = sorted({picture.step for _, row in comparison.runs for picture in row if picture.step is not None})
    width = picture_width(len(steps) * len(comparison.runs))
    head = "".join(f"<th>{comparison.unit} {step:,}</th>" for step in steps)
    parts = [f"<table><thead><tr><th></th>{head}</tr></thead><tbody>"]
    for label, row in comparison.runs:
        by_step = {picture.step: picture for picture in row}
        parts.append(f"<tr><th>{for_html(label)}</th>")
        for step in steps:
            page = pictures.html(by_step[step], f"{label}, {comparison.unit} {step}", width) if step in by_step else ""
            parts.append(f"<td>{page or ''}</td>")
        parts.append("</tr>")
    return "".join([*parts, "</tbody></table>"])
