"""Show missing values in DataFrames as dashes, to distinguish them from a NaN that a run logged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qualia_lab.escaping import DASH
from qualia_lab.runs.frame_html import frame_html

if TYPE_CHECKING:
    import pandas as pd


def show_missing_as_dashes() -> None:
    """Show missing values of DataFrames (<NA>, None, NaT) as a dash in this notebook.

    NaN in a numeric column stays NaN: in the tables of `runs`, a run without a metric has a dash, and a run that logged
    NaN has NaN.
    """
    import pandas as pd
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    formatters = shell.display_formatter.formatters
    formatters["text/html"].for_type(pd.DataFrame, _as_html)
    formatters["text/plain"].for_type(pd.DataFrame, lambda frame, printer, _: printer.text(repr(with_dashes(frame))))


def _as_html(frame: pd.DataFrame) -> str | None:
    if frame.index.nlevels == frame.columns.nlevels == 1:
        return frame_html(frame)
    html: str | None = getattr(with_dashes(frame), "_repr_html_")()  # noqa: B009 - the stubs of pandas do not know it
    return html


def with_dashes(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as displayed: columns with missing values become text, with numbers formatted as pandas does."""
    import pandas as pd

    most = pd.get_option("display.max_rows") or len(frame)
    displayed = range(len(frame)) if len(frame) <= most else [*range(most), *range(len(frame) - most, len(frame))]
    columns = [_with_dashes(frame.iloc[:, place], list(displayed)) for place in range(frame.shape[1])]
    shown = pd.concat(columns, axis="columns") if columns else frame
    shown.columns = frame.columns
    return shown


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _with_dashes(column: pd.Series[Any], displayed: list[int]) -> pd.Series[Any]:
    """Replace missing values in the displayed rows; the other rows of a long table are left unchanged."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind not in "OmM":
        return column  # plain numbers: a NaN was logged
    texts = column.astype(object).reset_index(drop=True)
    values = texts.iloc[displayed]
    missing = pd.Series([value is None or value is pd.NA or value is pd.NaT or _is_nan(value) for value in values])
    if column.dtype.kind == "f":  # Float64: <NA> is missing, NaN was logged
        missing = pd.Series([value is pd.NA for value in values])
    missing.index = values.index
    if not missing.any():
        return column
    if column.dtype.kind == "f":
        numbers = values[~missing].astype("float64")
        if len(numbers):
            texts[numbers.index] = numbers.to_string(index=False, header=False).replace(" ", "").split("\n")
    texts[missing[missing].index] = DASH
    texts.index = column.index
    return texts
