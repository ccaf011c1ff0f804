"""Render a chart as a PNG image with matplotlib, without pyplot, global state or the user's style."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.colours import GRID, HEAT, INK, QUIET
from qualia_lab.charts.layout import (
    COLOUR_BAR,
    EDGE,
    NOTE_LINE,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    compute_layout,
    label_text,
    legend_marks,
    shows_y_ticks,
    tick_texts,
    ticks_width,
)
from qualia_lab.charts.marks import Band, Bars, Box, Heat, Line, Texts

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.layout import Layout
    from qualia_lab.charts.marks import Axis, Mark, Panel, Points

_DPI = 100  # of the layout: one pixel is 1/100 inch
_POINTS_PER_PIXEL = 72 / _DPI  # points per pixel
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def draw_png(chart: Chart) -> bytes:
    """Draw the chart; characters missing from all fonts are drawn as boxes, without a warning."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = compute_layout(chart)
    # Lines of very many points are drawn in chunks; Agg fails on them otherwise.
    with style.context(["default", {"agg.path.chunksize": 20_000}]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(layout.width / _DPI, layout.height / _DPI), dpi=_DPI, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        _write_heading(figure, layout)
        inner_width = (layout.width - layout.left - layout.right) / layout.width
        inner_height = (layout.height - layout.top - layout.bottom) / layout.height
        panels = []
        for index, panel in enumerate(chart.panels):
            (left, right), (low, high) = layout.x_spans[index], layout.y_spans[index]
            position = (
                layout.left / layout.width + left * inner_width,
                layout.bottom / layout.height + low * inner_height,
                (right - left) * inner_width,
                (high - low) * inner_height,
            )
            panels.append(figure.add_axes(position))
            with_ticks = shows_y_ticks(chart, index)
            _draw_panel(panels[-1], panel, layout.x_labels[index], with_ticks=with_ticks)
            if with_ticks and panel.y.label:
                left_edge = position[0] * layout.width - ticks_width(panel) - 28
                figure.text(
                    left_edge / layout.width,
                    position[1] + position[3] / 2,
                    label_text(panel.y.label),
                    rotation=90,
                    va="center",
                    ha="center",
                    **_font(TEXT_SIZE, INK),
                )
        _write_legend(panels[-1], chart, layout)
        canvas.draw()
        return _small_png(canvas)


def _small_png(canvas: Any) -> bytes:
    """Encode the canvas as a PNG with 256 colours: a third of the size, without a visible difference."""
    from PIL import Image

    rendered = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    # Octree quantization takes an eighth of the time of median cut; only its white is slightly too dark.
    image = rendered.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    palette[(palette >= 252).all(axis=1)] = 255
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _font(size: float, colour: str) -> dict[str, Any]:
    """Return text properties without math parsing, so that `$` in the name of a run starts no formula."""
    return {"fontsize": size * _POINTS_PER_PIXEL, "color": colour, "parse_math": False}


def _write_heading(figure: Any, layout: Layout) -> None:
    left, top = EDGE / layout.width, layout.height - EDGE
    figure.text(left, top / layout.height, layout.title, va="top", weight="bold", **_font(TITLE_SIZE, INK))
    for index, line in enumerate(layout.note):
        height = (top - 30 - NOTE_LINE * index) / layout.height
        figure.text(left, height, line, va="top", **_font(SMALL_SIZE, QUIET))


def _draw_panel(axes: Any, panel: Panel, x_label: str, *, with_ticks: bool) -> None:
    for mark in panel.marks:
        _draw(axes, mark)
    _set_axis(axes, axes.xaxis, panel.x)
    _set_axis(axes, axes.yaxis, panel.y)
    axes.set_xlabel(x_label, labelpad=8, **_font(TEXT_SIZE, INK))
    axes.tick_params(length=0, labelsize=SMALL_SIZE * _POINTS_PER_PIXEL, labelcolor=QUIET, pad=6, which="both")
    if not with_ticks:
        axes.tick_params(labelleft=False)
    if panel.title:
        axes.set_title(label_text(panel.title), loc="left", pad=4, **_font(TEXT_SIZE, INK))
    axes.grid(visible=True, which="major", color=GRID, linewidth=1 * _POINTS_PER_PIXEL)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw(axes: Any, mark: Mark) -> None:
    """Draw one mark."""
    if isinstance(mark, Box):
        stats = {"med": mark.median, "q1": mark.q1, "q3": mark.q3, "whislo": mark.low, "whishi": mark.high}
        line = {"color": QUIET, "linewidth": 1.2 * _POINTS_PER_PIXEL}
        axes.bxp(
            [stats],
            positions=[mark.position],
            widths=0.5,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": mark.colour, "edgecolor": QUIET, "linewidth": 1.2 * _POINTS_PER_PIXEL},
            medianprops=line,
            whiskerprops=line,
            capprops=line,
        )
    elif isinstance(mark, Band):
        axes.fill_between(mark.x, mark.low, mark.high, color=mark.colour, alpha=mark.opacity, linewidth=0)
    elif isinstance(mark, Bars):
        base = np.zeros(len(mark.at)) if mark.base is None else mark.base
        colours = mark.colours if len(mark.colours) > 1 else mark.colours[0]
        outline = {"edgecolor": "white", "linewidth": 0.5 * _POINTS_PER_PIXEL}
        if mark.vertical:
            axes.bar(mark.at, mark.ends - base, width=mark.thickness, bottom=base, color=colours, **outline)
        else:
            axes.barh(mark.at, mark.ends - base, height=mark.thickness, left=base, color=colours, **outline)
    elif isinstance(mark, Heat):
        _draw_heat(axes, mark)
    elif isinstance(mark, Texts):
        for x, y, text in zip(mark.x, mark.y, mark.texts, strict=True):
            offset = {"left": 5, "center": 0, "right": -5}[mark.align] * _POINTS_PER_PIXEL
            axes.annotate(
                label_text(text),
                (x, y),
                (offset, 0),
                textcoords="offset points",
                ha=mark.align,
                va="center",
                annotation_clip=False,
                **_font(SMALL_SIZE, mark.colour),
            )
    elif isinstance(mark, Line):
        axes.plot(mark.x, mark.y, _DASHES[mark.dash], color=mark.colour, linewidth=mark.width * _POINTS_PER_PIXEL)
    else:
        outline = (
            {"edgecolors": "white", "linewidths": 0.8 * _POINTS_PER_PIXEL}
            if mark.symbol == "circle"
            else {"linewidths": 0}
        )
        axes.scatter(
            mark.x,
            mark.y,
            s=(mark.size * _POINTS_PER_PIXEL) ** 2,
            c=mark.colours if len(mark.colours) > 1 else [mark.colours[0]] * len(mark.x),
            marker="o" if mark.symbol == "circle" else "X",
            alpha=mark.opacity,
            clip_on=False,
            zorder=3,
            **outline,
        )


def _draw_heat(axes: Any, mark: Heat) -> None:
    """Draw a heat map and its colour bar."""
    mesh = axes.pcolormesh(mark.x_edges, mark.y_edges, np.ma.masked_invalid(mark.values), cmap=HEAT.lower())
    position, (width, _) = axes.get_position(), axes.figure.get_size_inches() * _DPI
    bar_axes = axes.figure.add_axes((position.x1 + 12 / width, position.y0, COLOUR_BAR / width, position.height))
    colour_bar = axes.figure.colorbar(mesh, cax=bar_axes)
    colour_bar.outline.set_visible(False)
    colour_bar.ax.tick_params(length=0, labelsize=SMALL_SIZE * _POINTS_PER_PIXEL, labelcolor=QUIET)
    colour_bar.set_label(label_text(mark.label), **_font(TEXT_SIZE, INK))


def _set_axis(axes: Any, mpl_axis: Any, axis: Axis) -> None:
    """Set scale, limits and ticks of one axis."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    name = "x" if mpl_axis is axes.xaxis else "y"
    if axis.log:
        axes.set(**{f"{name}scale": "log"})
    axes.set(**{f"{name}lim": axis.limits})
    if axis.ticks:
        mpl_axis.set_ticks([position for position, _ in axis.ticks], tick_texts(axis))
        for text in mpl_axis.get_ticklabels():
            text.set_parse_math(False)
        mpl_axis.set_minor_locator(NullLocator())
    else:
        mpl_axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))


def _write_legend(axes: Any, chart: Chart, layout: Layout) -> None:
    """Draw the legend right of the panels; its texts are set afterwards, because matplotlib omits labels with a `_`."""
    from matplotlib.lines import Line2D

    marks = legend_marks(chart)
    if not marks:
        return
    handles = [
        Line2D([], [], color=mark.colour, linestyle=_DASHES[mark.dash], linewidth=mark.width * _POINTS_PER_PIXEL)
        if isinstance(mark, Line)
        else Line2D([], [], color=mark.colours[0], linestyle="", marker=_legend_marker(mark))
        for mark in marks
    ]
    legend = axes.figure.legend(
        handles,
        [str(index) for index in range(len(handles))],
        loc="upper left",
        bbox_to_anchor=((layout.width - layout.right + 10) / layout.width, 1 - (layout.top - 4) / layout.height),
        frameon=False,
        fontsize=SMALL_SIZE * _POINTS_PER_PIXEL,
        labelspacing=0.55,
        handlelength=2.6,
        borderaxespad=0,
        borderpad=0,
    )
    for text, mark in zip(legend.get_texts(), marks, strict=True):
        text.set(text=layout.legend_texts[mark.label], color=INK, parse_math=False)


def _legend_marker(mark: Points | Bars) -> str:
    """Return the marker of a mark in the legend."""
    return "s" if isinstance(mark, Bars) else "o" if mark.symbol == "circle" else "X"
