"""Vega and Vega-Lite figures converted to charts: lines, points and bars; others are only described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.previews.series_panels import Series, chart_of_panels, panel_of_series
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.charts.chart import Chart

_KINDS = {"line": "line", "trail": "line", "area": "line", "point": "points", "circle": "points", "square": "points",
          "tick": "points", "bar": "bars"}  # fmt: skip


@dataclass(frozen=True)
class VegaFigure:
    """The content of a specification.

    Attributes:
        sentence: the mark and the encoding in words.
        columns: the columns of the data.
        rows: the first rows of the data.
        count: the number of rows.
        chart: the chart, or None if it could not be drawn.
    """

    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    count: int
    chart: Chart | None


def read_vega(spec: dict[str, Any]) -> VegaFigure:
    """Read a Vega or Vega-Lite specification; data behind a URL are not fetched."""
    rows = _rows(spec)
    columns = tuple(dict.fromkeys(str(key) for row in rows[:100] for key in row))
    mark = spec.get("mark")
    kind = mark.get("type") if isinstance(mark, dict) else mark
    raw_encoding = spec.get("encoding")
    encoding: dict[str, Any] = raw_encoding if isinstance(raw_encoding, dict) else {}
    fields = {channel: _field(encoding.get(channel)) for channel in ("x", "y", "color")}
    parts = [f"{kind}" if isinstance(kind, str) else "several layers"]
    parts += [f"{channel}: {field}" for channel, field in fields.items() if field]
    shown = tuple(tuple(row.get(name) for name in columns) for row in rows[:10])
    chart = _chart(spec, str(kind), fields, rows, encoding)
    return VegaFigure(", ".join(parts)[:300], columns, shown, len(rows), chart)


def _chart(
    spec: dict[str, Any], kind: str, fields: dict[str, str], rows: Sequence[dict[str, Any]], encoding: dict[str, Any]
) -> Chart | None:
    """Return the chart; None if the specification transforms or aggregates the data."""
    computed = any(isinstance(one, dict) and (one.get("aggregate") or one.get("bin")) for one in encoding.values())
    if kind not in _KINDS or not fields["x"] or not fields["y"] or not rows or computed or "transform" in spec:
        return None
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row.get(fields["color"], "")), []).append(row)
    series = [
        Series(
            name,
            [_plain(row.get(fields["x"])) for row in group],
            [_plain(row.get(fields["y"])) for row in group],
            _KINDS[kind],
        )
        for name, group in groups.items()
    ]
    panel = panel_of_series(series, fields["x"], fields["y"])
    title = spec.get("title")
    raw_title = title.get("text") if isinstance(title, dict) else title
    title_text = raw_title if isinstance(raw_title, str) else f"{fields['y']} over {fields['x']}"
    return chart_of_panels([panel] if panel else [], title_text, f"{title_text}: {counted(len(rows), 'row')}")


def _rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    data = spec.get("data")
    if isinstance(data, list):  # Vega: several tables
        data = data[0] if data else {}
    values = data.get("values") if isinstance(data, dict) else None
    if values is None and isinstance(data, dict) and isinstance(spec.get("datasets"), dict):
        values = spec["datasets"].get(data.get("name"))
    return [row for row in values if isinstance(row, dict)] if isinstance(values, list) else []


def _field(channel: Any) -> str:
    return str(channel.get("field") or "")[:80] if isinstance(channel, dict) else ""


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float) else str(value)
