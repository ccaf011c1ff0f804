"""What is missing in a table stands there as a dash; NaN is a value that somebody logged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_DASH = "\N{EN DASH}"


def show_missing_as_dashes() -> None:
    """Show what DataFrames lack as a dash, in this notebook: <NA>, None, NaT. A NaN of a column of numbers stays NaN.

    In the tables of `runs`, a run without a metric has a dash, and one that logged NaN has NaN.
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
    html: str | None = getattr(with_dashes(frame), "_repr_html_")()  # noqa: B009 - the stubs of pandas do not know it
    return html


def with_dashes(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as it is shown: texts where a column lacks something, numbers formatted as pandas does by itself."""
    import pandas as pd

    most = pd.get_option("display.max_rows") or len(frame)
    seen = range(len(frame)) if len(frame) <= most else [*range(most), *range(len(frame) - most, len(frame))]
    columns = [_with_dashes(frame.iloc[:, place], list(seen)) for place in range(frame.shape[1])]
    shown = pd.concat(columns, axis="columns") if columns else frame
    shown.columns = frame.columns
    return shown


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _with_dashes(column: pd.Series[Any], seen: list[int]) -> pd.Series[Any]:
    """seen: the rows that are on the screen; of a long table the others are left as they are."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind not in "OmM":
        return column  # of plain numbers: NaN is one
    texts = column.astype(object).reset_index(drop=True)
    there = texts.iloc[seen]
    lacking = pd.Series([value is None or value is pd.NA or value is pd.NaT or _is_nan(value) for value in there])
    if column.dtype.kind == "f":  # of Float64: what is missing is <NA>, and NaN was logged
        lacking = pd.Series([value is pd.NA for value in there])
    lacking.index = there.index
    if not lacking.any():
        return column
    if column.dtype.kind == "f":
        numbers = there[~lacking].astype("float64")
        if len(numbers):
            texts[numbers.index] = numbers.to_string(index=False, header=False).replace(" ", "").split("\n")
    texts[lacking[lacking].index] = _DASH
    texts.index = column.index
    return texts
