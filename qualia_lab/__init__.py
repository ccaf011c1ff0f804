"""From an MLflow tracking store to a Jupyter notebook that already says what happened.

The public API. Each name is imported on first use, so that a command line starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = {
    "ArtifactExplorer": "qualia_lab.explorer",
    "NotebookGenerator": "qualia_lab.generator",
    "QualiaLabError": "qualia_lab.errors",
    "Query": "qualia_lab.selection",
    "Selection": "qualia_lab.selection",
    "load_aggregates": "qualia_lab.runs.aggregates",
    "load_runs": "qualia_lab.runs",
    "load_traces": "qualia_lab.runs.load_traces",
    "mlflow_client": "qualia_lab.client",
    "open_engine": "qualia_lab.engines.open",
    "open_store": "qualia_lab.stores.open",
    "show_missing_as_dashes": "qualia_lab.runs.missing",
}

__all__ = [
    "ArtifactExplorer",
    "NotebookGenerator",
    "QualiaLabError",
    "Query",
    "Selection",
    "load_aggregates",
    "load_runs",
    "load_traces",
    "mlflow_client",
    "open_engine",
    "open_store",
    "show_missing_as_dashes",
]

if TYPE_CHECKING:
    from qualia_lab.client import mlflow_client
    from qualia_lab.engines.open import open_engine
    from qualia_lab.errors import QualiaLabError
    from qualia_lab.explorer import ArtifactExplorer
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.runs import load_runs
    from qualia_lab.runs.aggregates import load_aggregates
    from qualia_lab.runs.load_traces import load_traces
    from qualia_lab.runs.missing import show_missing_as_dashes
    from qualia_lab.selection import Query, Selection
    from qualia_lab.stores.open import open_store


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
