"""Runs the code cells of a plan in the process of the tests, which saves a kernel and its imports."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython.display import display

from qualia_lab.charts.findings_card import FINDINGS_MIME
from qualia_lab.charts.headline_card import HEADLINE_MIME
from qualia_lab.notebook.page.run_data import RUNS_MIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.notebook.plan import NotebookPlan

# The display options that the setup cell changes.
OPTIONS = ("max_columns", "max_rows", "min_rows", "precision", "max_colwidth", "html.use_mathjax")


def run_cells(
    plan: NotebookPlan, run_ids: Sequence[str] | None = None, names: dict[str, Any] | None = None
) -> dict[str, str]:
    """Run the code cells as papermill does.

    Args:
        plan: of a notebook.
        run_ids: what RUN_IDS is set to after the parameters cell; by default it stays as it is.
        names: the namespace of the cells, which is filled.

    Returns:
        {key of the cell: what a notebook would show for its last expression}
    """
    names = {} if names is None else names
    names["display"] = display
    options = [item for name in OPTIONS for item in (f"display.{name}", pd.get_option(f"display.{name}"))]
    outputs = {}
    with pd.option_context(*options):  # which are restored at the end
        for cell in plan.cells:
            if cell.kind != "code":
                continue
            tree = ast.parse(cell.source)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, cell.key, "exec"), names)
            outputs[cell.key] = (
                "" if last is None else shown(eval(compile(ast.Expression(last.value), cell.key, "eval"), names))
            )
            if "parameters" in cell.tags and run_ids is not None:
                names["RUN_IDS"] = run_ids
    return outputs


def shown(value: Any) -> str:
    """What a notebook would show for a value."""
    bundle = value._repr_mimebundle_() if hasattr(value, "_repr_mimebundle_") else {}
    if set(bundle) - {RUNS_MIME, FINDINGS_MIME, HEADLINE_MIME}:  # data that nobody sees
        return str(bundle)
    return str(value._repr_html_()) if hasattr(value, "_repr_html_") else repr(value)
