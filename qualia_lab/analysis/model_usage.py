"""Tokens and cost of traces by the language model that the spans name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.span_columns import span_columns
from qualia_lab.columns import filled, numbers_of, whole

if TYPE_CHECKING:
    import pyarrow as pa

_DEEPEST = 200  # levels above a span that are looked at


@dataclass(frozen=True)
class ModelUsage:
    """The calls of one language model.

    Attributes:
        model: its name as recorded.
        calls: the number of spans.
        traces: the number of traces with such a span.
        input_tokens, output_tokens: sums over the spans that record them.
        total_cost: in USD, likewise.
        without_cost: how many spans record no cost.
    """

    model: str
    calls: int
    traces: int
    input_tokens: int
    output_tokens: int
    total_cost: float
    without_cost: int


def usage_by_model(table: pa.Table) -> tuple[ModelUsage, ...]:
    """Tokens and cost by model, the most expensive first.

    A span below another one that names a model and records usage is not counted again: libraries record one call at
    several levels, and MLflow's totals of a trace are made in the same way.

    Args:
        table: schema.SPANS of whole traces.

    Returns:
        One for each model.
    """
    spans = span_columns(table)
    models = spans.texts("model")
    names = ("input_tokens", "output_tokens", "total_cost")
    values = {name: numbers_of(filled(whole(table.column(name)).cast("float64"), np.nan)) for name in names}
    has_usage = np.array([bool(model) for model in models], np.bool_)
    has_usage &= np.any([np.isfinite(column) for column in values.values()], axis=0)
    is_repeated = np.zeros(len(models), np.bool_)
    above = spans.parent
    for _ in range(_DEEPEST):
        if not (above >= 0).any():
            break
        is_repeated |= (above >= 0) & has_usage[above]
        above = np.where(above >= 0, spans.parent[above], -1)
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(has_usage & ~is_repeated).tolist():
        rows.setdefault(models[row], []).append(row)
    found = [
        ModelUsage(
            model,
            len(of_model),
            len(np.unique(spans.trace[of_model])),
            int(np.nansum(values["input_tokens"][of_model])),
            int(np.nansum(values["output_tokens"][of_model])),
            float(np.nansum(values["total_cost"][of_model])),
            int(np.isnan(values["total_cost"][of_model]).sum()),
        )
        for model, of_model in rows.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.total_cost, -one.input_tokens - one.output_tokens, one.model)))
