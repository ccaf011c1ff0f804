"""Chart: a frozen description of a figure, rendered as plotly JSON, SVG or text."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab.collection import collection_paused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.marks import Panel

PLOTLY_MIME = "application/vnd.plotly.v1+json"


@dataclass(frozen=True)
class Chart:
    """A figure as data: panels under one title, laid out in rows.

    Strings may come from a store; the renderers escape them, so callers do not have to.

    Attributes:
        title: what the chart shows.
        panels: the panels, row by row.
        sentence: the chart in words, with its n; shown where images are not.
        note: what a reader has to know, such as what is left out or downsampled.
        height: in pixels; increased if the legend needs more.
        columns: panels per row; 0 for all panels in one row.
        row_heights: how high the panels of each row are compared with those of others; () for equal heights.
        shared_y: whether the panels of a row share the y axis of its first panel and have no tick labels of their own.
        width: in pixels, where the front end does not choose it.
        names_at_ends: whether lines of its only panel are named at their ends, if no two names overlap there.
    """

    title: str
    panels: tuple[Panel, ...]
    sentence: str
    note: str = ""
    height: int = 420
    columns: int = 0
    row_heights: tuple[float, ...] = ()
    shared_y: bool = True
    width: int = 960
    names_at_ends: bool = False

    def plotly(self) -> dict[str, Any]:
        """Return the figure as plotly JSON, made of plain Python values."""
        from qualia_lab.charts.plotly_json import plotly_figure

        return plotly_figure(self)

    def svg(self) -> str:
        """Return the figure as an SVG document, the same text each time; it has no script, style or reference."""
        from qualia_lab.charts.svg import draw_svg

        return draw_svg(self)

    def _repr_html_(self) -> str:
        """Return the SVG as an image: unlike inline SVG, every front end shows it, also in untrusted notebooks."""
        from qualia_lab.charts.layout import compute_layout
        from qualia_lab.charts.svg import draw_svg
        from qualia_lab.escaping import for_html

        layout = compute_layout(self)
        data = base64.b64encode(draw_svg(self, layout).encode()).decode()
        alt = for_html(repr(self))
        return f'<img alt="{alt}" width="{self.width}" height="{layout.height}" src="data:image/svg+xml;base64,{data}">'

    def __repr__(self) -> str:
        from qualia_lab.escaping import one_line

        return one_line(" ".join(filter(None, (self.sentence, self.note))))

    @collection_paused()
    def _repr_mimebundle_(
        self,
        include: Sequence[str] | None = None,  # noqa: ARG002 - IPython's signature; IPython filters the result itself
        exclude: Sequence[str] | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return all representations; the front end picks the richest one that it supports."""
        return {
            PLOTLY_MIME: self.plotly(),
            "text/html": self._repr_html_(),
            "text/plain": repr(self),
        }
