"""Chart: a picture as a frozen value of marks, with three faces of the same size and colours."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Panel

PLOTLY_MIME = "application/vnd.plotly.v1+json"


@dataclass(frozen=True)
class Chart:
    """What is drawn, in data: panels under one title, in rows of `columns` (0: all in one row).

    title: what is seen.  note: what a reader has to know (what is left out, what was reduced).
    sentence: the chart in words, with its n; the face of those who see no picture.
    Every string may come from a store: the faces escape, nobody else has to.
    shared_y: panels behind the first of their row share its y axis and show no tick texts of their own.
    """

    title: str
    panels: tuple[Panel, ...]
    sentence: str
    note: str = ""
    height: int = 420  # pixels; more where the legend needs it
    columns: int = 0
    shared_y: bool = True

    def plotly(self) -> dict[str, Any]:
        """The figure as plotly's JSON, plain values only."""
        from qualia_lab.charts.plotly_face import plotly_figure

        return plotly_figure(self)

    def png(self) -> bytes:
        """The figure as a PNG image of the same size in pixels, drawn by matplotlib."""
        from qualia_lab.charts.png_face import draw_png

        return draw_png(self)

    def __repr__(self) -> str:
        from qualia_lab.escaping import one_line

        return one_line(" ".join(filter(None, (self.sentence, self.note))))

    def _repr_mimebundle_(
        self,
        include: Sequence[str] | None = None,  # noqa: ARG002 - IPython's signature; it filters the answer itself
        exclude: Sequence[str] | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """All faces at once: whoever shows it takes the best that it can show."""
        return {
            PLOTLY_MIME: self.plotly(),
            "image/png": base64.b64encode(self.png()).decode(),
            "text/plain": repr(self),
        }
