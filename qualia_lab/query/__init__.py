"""The query language: MLflow's search syntax with extensions, and the same semantics for every kind of store."""

from qualia_lab.query.conditions import (
    And,
    Comparison,
    Condition,
    Field,
    Not,
    Or,
    Order,
    keyed_fields,
    needed_statistics,
    needed_tables,
)
from qualia_lab.query.evaluate import select_runs
from qualia_lab.query.mlflow_grammar import order_to_mlflow, to_mlflow
from qualia_lab.query.parse import parse_filter, parse_order_by

__all__ = [
    "And",
    "Comparison",
    "Condition",
    "Field",
    "Not",
    "Or",
    "Order",
    "keyed_fields",
    "needed_statistics",
    "needed_tables",
    "order_to_mlflow",
    "parse_filter",
    "parse_order_by",
    "select_runs",
    "to_mlflow",
]
