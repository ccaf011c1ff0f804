"""The same picture of several runs side by side, and over the steps at which it was logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.pictures import picture_html
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES = 4_000_000  # of all pictures of one gallery


@dataclass(frozen=True)
class Shown:
    """One picture of a run: its bytes, or the sentence why there is none; the step where it has one."""

    step: int | None
    picture: bytes | str


@dataclass(frozen=True)
class Wall:
    """One picture of several runs: what it is, and per run (its label) what there is. `note`: what is left out."""

    title: str
    runs: Sequence[tuple[str, Sequence[Shown]]]
    note: str


@dataclass(frozen=True)
class Gallery:
    """Walls of pictures, one below the other."""

    walls: Sequence[Wall]

    def __repr__(self) -> str:
        lines = []
        for wall in self.walls:
            names = ", ".join(label for label, _ in wall.runs)
            lines.append(one_line(f"{wall.title}: pictures of {counted(len(wall.runs), 'run')} ({names})", 400))
            lines += [one_line(wall.note)] if wall.note else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts, left = [], _BYTES
        for wall in self.walls:
            parts.append(f"<p><b>{for_html(wall.title)}</b></p>")
            stepped = any(shown.step is not None for _, row in wall.runs for shown in row)
            page, left, dropped = (_by_step if stepped else _beside)(wall, left)
            parts.append(page)
            notes = [wall.note] if wall.note else []
            notes += [f"{counted(dropped, 'picture')} not shown: these are megabytes enough"] if dropped else []
            parts += [f"<p><small>{for_html(note)}</small></p>" for note in notes]
        return "".join(parts)


def _width(count: int) -> int:
    """Of each picture, in pixels: large ones where there are few."""
    return 420 if count <= 2 else 255 if count <= 12 else 170


def _beside(wall: Wall, left: int) -> tuple[str, int, int]:
    """Pictures in rows as the page is wide, each under its run's name."""
    parts, dropped = ['<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-end">'], 0
    for label, row in wall.runs:
        for shown in row:
            page, size = _picture(shown, label, left, _width(len(wall.runs)))
            dropped += page is None
            left -= size
            if page is not None:
                parts.append(f"<div>{for_html(label)}<br>{page}</div>")
    return "".join([*parts, "</div>"]), left, dropped


def _by_step(wall: Wall, left: int) -> tuple[str, int, int]:
    """A row per run, a column per step."""
    steps = sorted({shown.step for _, row in wall.runs for shown in row if shown.step is not None})
    width = _width(len(steps) * len(wall.runs))
    head = "".join(f"<th>step {step:,}</th>" for step in steps)
    parts, dropped = [f"<table><thead><tr><th></th>{head}</tr></thead><tbody>"], 0
    for label, row in wall.runs:
        at = {shown.step: shown for shown in row}
        parts.append(f"<tr><th>{for_html(label)}</th>")
        for step in steps:
            page: str | None = ""
            if step in at:
                page, size = _picture(at[step], f"{label}, step {step}", left, width)
                dropped += page is None
                left -= size
            parts.append(f"<td>{page or ''}</td>")
        parts.append("</tr>")
    return "".join([*parts, "</tbody></table>"]), left, dropped


def _picture(shown: Shown, alt: str, left: int, width: int) -> tuple[str | None, int]:
    """The picture or the sentence in its place, and its bytes; None where it is more than what is left."""
    if isinstance(shown.picture, str):
        return f"<small>{for_html(one_line(shown.picture, 200))}</small>", 0
    if len(shown.picture) > left:
        return None, 0
    page = picture_html(shown.picture, alt=alt, width=width)
    return (page, len(shown.picture)) if page.startswith("<img") else (f"<small>{for_html(page)}</small>", 0)
