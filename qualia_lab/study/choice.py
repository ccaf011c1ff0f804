"""Detect whether runs were selected by a metric, so that only the better runs of a configuration may be included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_METRIC = re.compile(r"\bmetrics?\.(?:`([^`]+)`|([^\s=<>!)]+))", re.IGNORECASE)
_KEY = re.compile(r"\s*(?:metrics?\.)?`?([^\s=<>!`]+)")


def chosen_by_metric(chosen_by: Mapping[str, Any], keys: Collection[str]) -> str | None:
    """The metric by which the runs were selected; None if they were not selected by a metric.

    Args:
        chosen_by: the conditions as data: `by` or `order_by` with `top` or `limit`, `filter`, `where`.
        keys: the metrics of the runs.
    """
    if chosen_by.get("top") or chosen_by.get("limit"):
        by = chosen_by.get("by")
        if by:
            return re.sub(r":(max|min)$", "", str(by))
        ordered = _first_metric(chosen_by.get("order_by") or ())
        if ordered is not None:
            return ordered
    filtered = _first_metric([chosen_by.get("filter") or ""])
    if filtered is not None:
        return filtered
    named = (_KEY.match(str(text)) for text in chosen_by.get("where") or ())
    return next((found[1] for found in named if found is not None and found[1] in keys), None)


def _first_metric(texts: Sequence[str]) -> str | None:
    match = next(filter(None, map(_METRIC.search, texts)), None)
    return None if match is None else match[1] or match[2]
