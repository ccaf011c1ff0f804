"""DataFrames as compact HTML: every row of up to 1,000, and numbers of a column with the same digits."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.escaping import DASH, for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

ALL_ROWS = 1_000
_DECIMALS = 6
_DIGITS = 4  # of the largest number of a column
_PRECISION, _EXACT = 5e-4, 1e-12  # relative error of a shown number
_RANGE = 1e3  # between the smallest and the largest; beyond it, equal decimals would be mostly zeros
_ONE_LINE = 40  # characters up to which a text is not broken into lines
_EM = 0.62  # of a character; JupyterLab removes `ch` from notebooks that are not trusted
_BREAKS = " -/"  # characters after which it could be
_SHOWING = re.compile(r"(\d+) of (\d+)", re.ASCII)
_TITLE = 500  # characters of a text that is too long for its cell, shown when the pointer is on it


def frame_html(frame: pd.DataFrame) -> str:
    """Return a table of a frame with plain rows and columns; a missing value is a dash, and NaN was logged.

    Of more than 1,000 rows the first 1,000 are shown if they have names, else some of the first and last ones, as the
    caption says. The limits of columns and of the width of texts are those of pandas' options.
    """
    import pandas as pd

    columns = min(frame.shape[1], pd.get_option("display.max_columns") or frame.shape[1])
    rows = _shown_rows(frame)
    width = pd.get_option("display.max_colwidth") or 80
    numbered = isinstance(frame.index, pd.RangeIndex)
    names = [one_line(str(name), width) for name in frame.index[rows]]
    place = ' class="place"' if numbered else ""
    shown = frame.iloc[rows]
    cells = [column_texts(shown.iloc[:, index]) for index in range(columns)]
    head = "".join(
        _header(for_html(one_line(str(name))), texts)
        for name, texts in zip(frame.columns[:columns], cells, strict=True)
    )
    corner = "" if frame.index.name is None else for_html(one_line(str(frame.index.name)))
    body = "".join(
        f"<tr><th{place}>{for_html(name)}</th>{''.join(_cell(texts[row], width) for texts in cells)}</tr>"
        for row, name in enumerate(names)
    )
    table = (
        f"{_caption(frame, rows, columns)}<thead><tr>{_header(corner, names)}{head}</tr></thead><tbody>{body}</tbody>"
    )
    # In notebooks, a long table scrolls in its own box.
    box = "max-width:100%;max-height:640px;overflow:auto"
    return f'<div style="{box}"><table class="dataframe">{table}</table></div>'


def _shown_rows(frame: pd.DataFrame) -> list[int]:
    import pandas as pd

    count = len(frame)
    if count <= ALL_ROWS:
        return list(range(count))
    if not isinstance(frame.index, pd.RangeIndex):
        return list(range(ALL_ROWS))
    some = (pd.get_option("display.min_rows") or 10) // 2
    return [*range(some), *range(count - some, count)]


def _caption(frame: pd.DataFrame, rows: list[int], columns: int) -> str:
    """What the table is of, which is the name of its columns, and how much of it is not shown.

    Of the attributes of the frame, `showing` says that it has some rows of many, and `over` what its numbers are of.
    """
    notes = [] if frame.columns.name is None else [f"<b>{for_html(one_line(str(frame.columns.name), _TITLE))}</b>"]
    if len(rows) < len(frame):
        which = "the first " if rows[-1] == len(rows) - 1 else "the first and last "
        notes.append(f"showing {which}{len(rows):,} of {len(frame):,} rows")
    showing = _SHOWING.fullmatch(str(frame.attrs.get("showing", "")))
    # A part of the frame has the attribute, too, of which it is not true.
    if showing and showing[1] != showing[2] and showing[1] == str(len(frame)):
        notes.append(f"showing {len(frame):,} of {int(showing[2]):,}")
    if frame.attrs.get("over"):
        notes.append(for_html(one_line(str(frame.attrs["over"]), _TITLE)))
    if columns < frame.shape[1]:
        notes.append(f"showing {columns:,} of {frame.shape[1]:,} columns")
    return f"<caption>{'; '.join(notes)}</caption>" if notes else ""


def _cell(text: str, width: int) -> str:
    if len(text) <= width:
        return f"<td>{for_html(text)}</td>"
    return f'<td title="{for_html(one_line(text, _TITLE))}">{for_html(one_line(text, width))}</td>'


def _header(name: str, texts: Sequence[str]) -> str:
    """Return a header as wide as the texts below it, which a notebook would else break into lines."""
    longest = max((len(text) for text in texts if any(char in text for char in _BREAKS)), default=0)
    width = f' style="min-width:{_EM * min(longest, _ONE_LINE):.3g}em"' if longest else ""
    return f"<th{width}>{name}</th>"


def column_texts(column: pd.Series[Any]) -> list[str]:
    """Return the values of a column as texts.

    Floats have the fewest decimals at which the largest has four digits and no other one loses what matters, or an
    exponent where that is not enough.
    """
    import pandas as pd

    if column.dtype.kind == "M":
        return _moments(column)
    masked = isinstance(column.dtype, pd.api.extensions.ExtensionDtype)
    if column.dtype.kind == "f":
        values = column.to_numpy(dtype="float64", na_value=np.nan) if masked else column.to_numpy(dtype="float64")
        absent = _absent(column) if masked else np.zeros(len(column), dtype=bool)
        return [DASH if gone else text for gone, text in zip(absent.tolist(), number_texts(values), strict=True)]
    return [_text(value) for value in column.to_numpy(dtype=object)]


def _absent(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where a nullable column has no value, which is different from a NaN that was logged."""
    import pandas as pd

    return np.array([value is pd.NA for value in column.to_numpy(dtype=object)], dtype=bool)


def number_texts(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    """Return numbers with the same number of decimals, or each with its own digits if they differ too much."""
    finite = values[np.isfinite(values) & (values != 0)]
    size = np.abs(finite)
    most = float(size.max()) if finite.size else 1.0
    wide = finite.size > 0 and most >= _RANGE * size.min()
    if most >= 1e9:
        return [_own_digits(value) for value in values.tolist()]
    needed = _DIGITS - 1 - math.floor(math.log10(most))
    for decimals in range(_DECIMALS + 1):
        exact = decimals < needed or wide
        if (np.abs(np.round(finite, decimals) - finite) <= (_EXACT if exact else _PRECISION) * size).all():
            return [
                f"{value:.{decimals}f}" if math.isfinite(value) else _own_digits(value) for value in values.tolist()
            ]
        if wide and decimals >= 2:
            break
    return [_own_digits(value) for value in values.tolist()]


def _own_digits(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:.5g}"


def _moments(column: pd.Series[Any]) -> list[str]:
    days = bool((column.dropna() == column.dropna().dt.normalize()).all())
    texts = column.dt.strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M:%S").to_numpy(dtype=object)
    return [DASH if missing else text for missing, text in zip(column.isna().tolist(), texts, strict=True)]


def _text(value: Any) -> str:
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return _own_digits(value) if isinstance(value, float) else str(value)
