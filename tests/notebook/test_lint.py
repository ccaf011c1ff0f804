"""A linter with its default rules has nothing to say about a generated notebook: it goes into people's repositories."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.build import build_notebook, notebook_bytes
from qualia_lab.notebook.plan import plan_notebook
from qualia_lab.notebook.template import read_template, template_names
from qualia_lab.selection import Conditions, Query, Selection
from qualia_lab.study import StudySettings, describe_study

from .test_plan import some_runs

RUFF = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--output-format", "concise"]


def written(folder, template, count, **said):
    """A notebook of so many runs in a folder of its own, where nothing is taken for a package of the project."""
    tables = some_runs(count, **said)
    engine = "duckdb" if template == "aggregate" else None
    selection = Selection("sqlite:////tmp/a.db", tables.run_ids, Conditions(), Query(), ("churn",), engine=engine)
    inventory = take_inventory(tables)
    study = describe_study(tables, inventory, StudySettings())
    plan = plan_notebook(read_template(template), selection, inventory, study, title="Churn", written="2026-11-23")
    path = folder / f"{template}_{count}_{len(plan.cells)}.ipynb"
    path.write_bytes(notebook_bytes(build_notebook(plan)))
    return path


@pytest.mark.parametrize("template", template_names())
def test_ruff_finds_nothing_by_its_default_rules_and_in_the_order_of_imports(template, tmp_path):
    paths = [
        written(tmp_path, template, 40),
        written(tmp_path, template, 2),
        written(tmp_path, template, 1, params=False, metrics=False),
    ]
    assert len(set(paths)) == 3
    found = subprocess.run([*RUFF, "--extend-select", "I", *paths], cwd=tmp_path, capture_output=True, text=True)
    assert (found.stdout.strip(), found.returncode) == ("All checks passed!", 0), found.stderr


def test_the_linter_reads_the_cells(tmp_path):
    path = written(tmp_path, "observe", 2)
    path.write_text(path.read_text().replace("import warnings", "import warnings, os"))
    found = subprocess.run([*RUFF, path], cwd=tmp_path, capture_output=True, text=True)
    assert "F401" in found.stdout
