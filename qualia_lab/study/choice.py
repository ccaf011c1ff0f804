"""Whether runs were chosen by a metric: of a configuration then only its better runs may be here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_METRIC = re.compile(r"\bmetrics?\.(?:`([^`]+)`|([^\s=<>!)]+))", re.IGNORECASE)
_KEY = re.compile(r"\s*(?:metrics?\.)?`?([^\s=<>!`]+)")


def chosen_by_metric(chosen_by: Mapping[str, Any], keys: Collection[str]) -> str | None:
    """The metric that decided which runs are here; None where none did.

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
    found = next(filter(None, map(_METRIC.search, texts)), None)
    return None if found is None else found[1] or found[2]
