"""Plotly and Vega-Lite figures, redrawn from their data, so that nothing else in them has an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.structured_text import parse_json
from qualia_lab.charts.previews.plotly_figure import plotly_chart
from qualia_lab.charts.previews.preview import Preview, small
from qualia_lab.charts.previews.tables import rows_html
from qualia_lab.charts.previews.vega_figure import read_vega
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from qualia_lab.charts.chart import Chart
    from qualia_lab.masking.keys import MaskRules

FIGURE_BYTES = 3_000_000


def figure_preview(text: str, *, whole: bool, draw: bool, rules: MaskRules) -> Preview | None:
    """Return the figure as a picture; None if the JSON is not a figure.

    Args:
        text: the JSON text.
        whole: whether `text` is the whole file.
        draw: whether to draw the figure; otherwise it is only described.
        rules: masks the values of secrets in the data.

    Raises:
        ValueError: the data of the figure are inconsistent.
    """
    if not whole or not text.lstrip().startswith("{"):
        return None
    try:
        content = parse_json(text)
    except ValueError:
        return None
    if isinstance(content.get("data"), list) and isinstance(content.get("layout", {}), dict) and _traces(content):
        return _plotly(content, draw=draw)
    schema = content.get("$schema")
    if isinstance(schema, str) and "vega" in schema:
        figure = read_vega(content)
        shape = f"{counted(figure.count, 'row')} of data"
        table = rows_html(figure.columns, figure.rows, shape, rules) if figure.rows else ""
        chart = figure.chart if draw else None
        description = f"a Vega figure: {figure.sentence}; {'drawn from its data' if chart else 'not drawn here'}"
        return Preview(_chart_html(chart) + small(description) + table, figure=chart is not None)
    return None


def _plotly(content: dict[str, Any], *, draw: bool) -> Preview:
    traces = _traces(content)
    kinds = ", ".join(sorted({str(trace.get("type") or "scatter")[:30] for trace in traces}))
    chart = plotly_chart(traces, content.get("layout") or {}) if draw else None
    if chart is None:
        return Preview(small(f"a plotly figure of {len(traces):,} traces ({kinds}), not drawn here"))
    return Preview(_chart_html(chart) + small(f"a plotly figure ({kinds}), drawn from its data"), figure=True)


def _chart_html(chart: Chart | None) -> str:
    return f"<p>{chart._repr_html_()}</p>" if chart else ""


def _traces(content: dict[str, Any]) -> list[dict[str, Any]]:
    traces = content["data"]
    return traces if traces and all(isinstance(trace, dict) for trace in traces) else []
