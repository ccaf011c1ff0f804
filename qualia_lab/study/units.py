"""Runs whose objective is in another unit than that of the others: percent among shares, or the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    import numpy.typing as npt

OTHER_UNITS = "in another unit"  # the reason in `Study.left_out`

# Errors that are given as a share or in percent, and may exceed 1.
_RATES = {
    "wer",
    "cer",
    "per",
    "ser",
    "ter",
    "mer",
    "der",
    "jer",
    "eer",
    "mape",
    "smape",
    "wape",
    "wmape",
    "mdape",
    "rate",
}
_PERCENT = 100.0
_ALIKE = 1.25  # largest ratio of the medians once both are in percent
_APART = 5.0  # smallest ratio of the lowest percentage and the highest share


def in_other_units(key: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mark the values of a metric that are a percentage although most are a share, or the other way round.

    The name has to say that the metric is a share (`accuracy`) or a rate of errors (`wer`, `mape`). All values have to
    lie between 0 and 100, with a wide gap between both groups, whose medians are alike once both are in percent. The
    smaller group is marked.

    Args:
        key: the key of the metric.
        values: the value of each run; NaN if it has none.

    Returns:
        The mark of each run.

    Example:
        >>> in_other_units("val_acc", np.array([0.81, 0.83, 84.0])).tolist()
        [False, False, True]
    """
    nothing = np.zeros(len(values), np.bool_)
    shares, percents = (values > 0) & (values <= 1), (values > 1) & (values <= _PERCENT)
    known = np.isfinite(values)
    name = read_name(key)
    is_share = name.bounds == (0.0, 1.0) or not _RATES.isdisjoint(name.family.split())
    if not is_share or not shares.any() or not percents.any():
        return nothing
    if (known & ~shares & ~percents & (values != 0)).any():
        return nothing
    if values[percents].min() < _APART * values[shares].max():
        return nothing
    ratio = float(np.median(values[percents]) / (_PERCENT * np.median(values[shares])))
    if not 1 / _ALIKE <= ratio <= _ALIKE:
        return nothing
    return percents if percents.sum() <= shares.sum() else shares
