"""Generated notebooks pass ruff with its default rules, because users commit them to their repositories."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qualia_lab.genai_tables import TraceQuery
from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.plan import plan_notebook
from qualia_lab.notebook.template import read_template, template_names
from qualia_lab.selection import Conditions, Query, Selection
from qualia_lab.study import StudySettings, describe_study

from .test_plan import some_runs

RUFF = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--output-format", "concise"]


def written(folder, template, count, **options):
    """Write a notebook of `count` runs to a separate folder, so that ruff sees no first-party packages."""
    tables = some_runs(count, **options)
    engine = "duckdb" if template == "aggregate" else None
    traces = TraceQuery(("1",), limit=count) if template == "traces" else None
    selection = Selection(
        "sqlite:////tmp/a.db", tables.run_ids, Conditions(), Query(), ("churn",), engine=engine, traces=traces
    )
    inventory = take_inventory(tables)
    study = describe_study(tables, inventory, StudySettings())
    plan = plan_notebook(
        read_template(template), selection, inventory, study, title="Churn", written="2026-11-23", command="qualia new"
    )
    path = folder / f"{template}_{count}_{len(plan.cells)}.ipynb"
    path.write_bytes(notebook_bytes(build_notebook(plan)))
    return path


@pytest.mark.parametrize("template", template_names())
def test_generated_notebooks_pass_the_default_rules_of_ruff_and_import_sorting(template, tmp_path):
    paths = [
        written(tmp_path, template, 40),
        written(tmp_path, template, 2),
        written(tmp_path, template, 1, params=False, metrics=False),
    ]
    assert len(set(paths)) == 3
    result = subprocess.run([*RUFF, "--extend-select", "I", *paths], cwd=tmp_path, capture_output=True, text=True)
    assert (result.stdout.strip(), result.returncode) == ("All checks passed!", 0), result.stderr


def test_ruff_reads_the_cells(tmp_path):
    path = written(tmp_path, "observe", 2)
    path.write_text(path.read_text().replace("import warnings", "import warnings, os"))
    result = subprocess.run([*RUFF, path], cwd=tmp_path, capture_output=True, text=True)
    assert "F401" in result.stdout
