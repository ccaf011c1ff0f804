"""Imports and display options."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

# Without use_mathjax=False a `$` in a run's name would be typeset as mathematics.
_SOURCE = """\
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # said by a progress bar that MLflow imports

import mlflow
import pandas as pd
from IPython.display import display

from qualia_lab import load_runs, mlflow_client, show_missing_as_dashes

pd.set_option("display.max_columns", 60, "display.max_rows", 60, "display.min_rows", 30, "display.precision", 4)
pd.set_option("display.max_colwidth", 80, "display.html.use_mathjax", False)
show_missing_as_dashes()  # in tables: a dash is what is not there, NaN is what was logged"""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("setup:heading", "## Setup"), code("setup", _SOURCE))


SECTION = Section("setup", "Setup", _cells)
