"""A chart as a PNG image by matplotlib, on a canvas of its own: no pyplot, no state, no user's style."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.charts.colours import GRID, HEAT, INK, QUIET
from qualia_lab.charts.frame import (
    COLOUR_BAR,
    EDGE,
    NOTE_LINE,
    SMALL_SIZE,
    TEXT_SIZE,
    TITLE_SIZE,
    label_text,
    legend_marks,
    shows_y_ticks,
    take_frame,
    tick_texts,
    ticks_width,
)
from qualia_lab.charts.marks import Band, Bars, Box, Heat, Line, Texts

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.frame import Frame
    from qualia_lab.charts.marks import Axis, Mark, Panel, Points

_DPI = 100  # of the layout: a pixel of the frame is a hundredth of an inch
_POINT = 72 / _DPI  # points for a pixel
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def draw_png(chart: Chart) -> bytes:
    """Draw the chart; a character that no font has is drawn as a box, without a warning."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frame = take_frame(chart)
    # A line of very many points is drawn piece by piece, or the drawing gives up.
    with style.context(["default", {"agg.path.chunksize": 20_000}]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(frame.width / _DPI, frame.height / _DPI), dpi=_DPI, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        _write_heading(figure, frame)
        inner_width = (frame.width - frame.left - frame.right) / frame.width
        inner_height = (frame.height - frame.top - frame.bottom) / frame.height
        panels = []
        for index, panel in enumerate(chart.panels):
            (left, right), (low, high) = frame.spans[index], frame.rises[index]
            place = (
                frame.left / frame.width + left * inner_width,
                frame.bottom / frame.height + low * inner_height,
                (right - left) * inner_width,
                (high - low) * inner_height,
            )
            panels.append(figure.add_axes(place))
            with_ticks = shows_y_ticks(chart, index)
            _draw_panel(panels[-1], panel, frame.x_labels[index], with_ticks=with_ticks)
            if with_ticks and panel.y.label:
                left_edge = place[0] * frame.width - ticks_width(panel) - 28
                figure.text(
                    left_edge / frame.width,
                    place[1] + place[3] / 2,
                    label_text(panel.y.label),
                    rotation=90,
                    va="center",
                    ha="center",
                    **_font(TEXT_SIZE, INK),
                )
        _write_legend(panels[-1], chart, frame)
        canvas.draw()
        return _small_png(canvas)


def _small_png(canvas: Any) -> bytes:
    """The canvas as a PNG of 256 colours: a third of the size, and no eye sees the difference in a chart."""
    from PIL import Image

    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    # The octree takes an eighth of the time of a median cut; of its colours only white is a shade too dark.
    image = drawn.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    palette[(palette >= 252).all(axis=1)] = 255
    image.putpalette(palette.tobytes())
    written = io.BytesIO()
    image.save(written, format="PNG", optimize=True)
    return written.getvalue()


def _font(size: float, colour: str) -> dict[str, Any]:
    """Text that is only text: `$` in a run's name starts no formula."""
    return {"fontsize": size * _POINT, "color": colour, "parse_math": False}


def _write_heading(figure: Any, frame: Frame) -> None:
    left, top = EDGE / frame.width, frame.height - EDGE
    figure.text(left, top / frame.height, frame.title, va="top", weight="bold", **_font(TITLE_SIZE, INK))
    for index, line in enumerate(frame.note):
        height = (top - 30 - NOTE_LINE * index) / frame.height
        figure.text(left, height, line, va="top", **_font(SMALL_SIZE, QUIET))


def _draw_panel(axes: Any, panel: Panel, x_label: str, *, with_ticks: bool) -> None:
    for mark in panel.marks:
        _draw(axes, mark)
    _shape(axes, axes.xaxis, panel.x)
    _shape(axes, axes.yaxis, panel.y)
    axes.set_xlabel(x_label, labelpad=8, **_font(TEXT_SIZE, INK))
    axes.tick_params(length=0, labelsize=SMALL_SIZE * _POINT, labelcolor=QUIET, pad=6, which="both")
    if not with_ticks:
        axes.tick_params(labelleft=False)
    if panel.title:
        axes.set_title(label_text(panel.title), loc="left", pad=4, **_font(TEXT_SIZE, INK))
    axes.grid(visible=True, which="major", color=GRID, linewidth=1 * _POINT)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw(axes: Any, mark: Mark) -> None:
    """One mark."""
    if isinstance(mark, Box):
        stats = {"med": mark.median, "q1": mark.q1, "q3": mark.q3, "whislo": mark.low, "whishi": mark.high}
        line = {"color": QUIET, "linewidth": 1.2 * _POINT}
        axes.bxp(
            [stats],
            positions=[mark.position],
            widths=0.5,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": mark.colour, "edgecolor": QUIET, "linewidth": 1.2 * _POINT},
            medianprops=line,
            whiskerprops=line,
            capprops=line,
        )
    elif isinstance(mark, Band):
        axes.fill_between(mark.x, mark.low, mark.high, color=mark.colour, alpha=mark.opacity, linewidth=0)
    elif isinstance(mark, Bars):
        base = np.zeros(len(mark.at)) if mark.base is None else mark.base
        colours = mark.colours if len(mark.colours) > 1 else mark.colours[0]
        outline = {"edgecolor": "white", "linewidth": 0.5 * _POINT}
        if mark.standing:
            axes.bar(mark.at, mark.ends - base, width=mark.thick, bottom=base, color=colours, **outline)
        else:
            axes.barh(mark.at, mark.ends - base, height=mark.thick, left=base, color=colours, **outline)
    elif isinstance(mark, Heat):
        _draw_heat(axes, mark)
    elif isinstance(mark, Texts):
        for x, y, text in zip(mark.x, mark.y, mark.texts, strict=True):
            offset = {"left": 5, "center": 0, "right": -5}[mark.align] * _POINT
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
        axes.plot(mark.x, mark.y, _DASHES[mark.dash], color=mark.colour, linewidth=mark.width * _POINT)
    else:
        outline = {"edgecolors": "white", "linewidths": 0.8 * _POINT} if mark.symbol == "circle" else {"linewidths": 0}
        axes.scatter(
            mark.x,
            mark.y,
            s=(mark.size * _POINT) ** 2,
            c=mark.colours if len(mark.colours) > 1 else [mark.colours[0]] * len(mark.x),
            marker="o" if mark.symbol == "circle" else "X",
            alpha=mark.opacity,
            clip_on=False,
            zorder=3,
            **outline,
        )


def _draw_heat(axes: Any, mark: Heat) -> None:
    """The rectangles, and the bar that says what the colours mean."""
    mesh = axes.pcolormesh(mark.x_edges, mark.y_edges, np.ma.masked_invalid(mark.values), cmap=HEAT.lower())
    place, (width, _) = axes.get_position(), axes.figure.get_size_inches() * _DPI
    beside = axes.figure.add_axes((place.x1 + 12 / width, place.y0, COLOUR_BAR / width, place.height))
    bar = axes.figure.colorbar(mesh, cax=beside)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=SMALL_SIZE * _POINT, labelcolor=QUIET)
    bar.set_label(label_text(mark.label), **_font(TEXT_SIZE, INK))


def _shape(axes: Any, drawn: Any, axis: Axis) -> None:
    """Scale, limits and ticks of one axis."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    name = "x" if drawn is axes.xaxis else "y"
    if axis.log:
        axes.set(**{f"{name}scale": "log"})
    axes.set(**{f"{name}lim": axis.limits})
    if axis.ticks:
        drawn.set_ticks([position for position, _ in axis.ticks], tick_texts(axis))
        for text in drawn.get_ticklabels():
            text.set_parse_math(False)
        drawn.set_minor_locator(NullLocator())
    else:
        drawn.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))


def _write_legend(axes: Any, chart: Chart, frame: Frame) -> None:
    """The legend right of the panels. Its texts are set after it is made: matplotlib leaves out those with a `_`."""
    from matplotlib.lines import Line2D

    marks = legend_marks(chart)
    if not marks:
        return
    samples = [
        Line2D([], [], color=mark.colour, linestyle=_DASHES[mark.dash], linewidth=mark.width * _POINT)
        if isinstance(mark, Line)
        else Line2D([], [], color=mark.colours[0], linestyle="", marker=_sample(mark))
        for mark in marks
    ]
    legend = axes.figure.legend(
        samples,
        [str(index) for index in range(len(samples))],
        loc="upper left",
        bbox_to_anchor=((frame.width - frame.right + 10) / frame.width, 1 - (frame.top - 4) / frame.height),
        frameon=False,
        fontsize=SMALL_SIZE * _POINT,
        labelspacing=0.55,
        handlelength=2.6,
        borderaxespad=0,
        borderpad=0,
    )
    for text, mark in zip(legend.get_texts(), marks, strict=True):
        text.set(text=frame.entries[mark.label], color=INK, parse_math=False)


def _sample(mark: Points | Bars) -> str:
    """The sign that stands for a mark in the legend."""
    return "s" if isinstance(mark, Bars) else "o" if mark.symbol == "circle" else "X"
