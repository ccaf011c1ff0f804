"""The structure of the package: public names, commands, and the cost of imports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import qualia_lab

ROOT = Path(__file__).resolve().parents[1]

HEAVY = {
    "IPython", "duckdb", "jinja2", "matplotlib", "mistune", "mlflow", "nbclient", "nbformat", "nh3", "numpy", "pandas", "plotly",
    "pyarrow", "pyspark", "rich", "scipy", "sklearn", "sqlalchemy",
}  # fmt: skip
# Layers exchange Arrow tables; reading the file of a notebook needs no library.
ARROW = {"numpy", "pyarrow"}


def heavy_packages_after(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has imported after this code."""
    code += "\nimport sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_planning_a_notebook_imports_neither_pandas_nor_mlflow(demo_store):
    code = (
        "from qualia_lab import NotebookGenerator\n"
        f"with NotebookGenerator('sqlite:///{demo_store}') as generator:\n"
        "    generator.plan(generator.select(experiments=['churn']))"
    )
    assert not {"pandas", "mlflow"} & set(heavy_packages_after(code))


def test_the_public_names_are_exactly_these():
    assert qualia_lab.__all__ == [
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


@pytest.mark.parametrize("name", qualia_lab.__all__)
def test_every_public_name_exists_and_has_a_docstring(name):
    value = getattr(qualia_lab, name)
    assert value.__doc__
    assert value.__name__ == name


def test_other_names_raise_attribute_errors():
    with pytest.raises(AttributeError, match="get_runs"):
        qualia_lab.get_runs  # noqa: B018


@pytest.mark.parametrize(
    ("command", "home"),
    [
        ("create-observation-notebook", "qualia_lab.scripts.create_observational_notebook"),
        ("create-demo-runs", "qualia_lab.scripts.create_demo_runs"),
        ("qualia", "qualia_lab.cli.main"),
    ],
)
def test_every_command_is_installed_with_its_module(command, home):
    (installed,) = entry_points(group="console_scripts", name=command)
    assert installed.module == home
    assert callable(installed.load())


@pytest.mark.parametrize(
    "module",
    [
        "qualia_lab.scripts.create_observational_notebook",
        "qualia_lab.scripts.create_demo_runs",
        "qualia_lab.pipeline.train_pipeline",
        "qualia_lab.pipeline.evaluate_pipeline",
    ],
)
def test_every_script_runs_as_a_module_and_shows_help_quickly(module):
    code = (
        "import contextlib, io, runpy, sys\n"
        "sys.argv = ['x', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):\n"
        f"    runpy.run_module({module!r}, run_name='__main__')\n"
        "assert 'Usage' in said.getvalue()"
    )
    assert heavy_packages_after(code) == set()


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "docs/decisions.md",
        "docs/observational_notebooks.md",
        "docs/quick_start_observational_notebooks.md",
        "notebooks/README.md",
    ],
)
def test_every_page_named_in_messages_exists(path):
    assert (ROOT / path).read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(
    ("modules", "packages"),
    [
        ("qualia_lab", set()),
        ("qualia_lab.errors, qualia_lab.escaping, qualia_lab.selection, qualia_lab.stores.open", set()),
        ("qualia_lab.console", set()),
        ("qualia_lab.cli.main", set()),
        ("qualia_lab.sections, qualia_lab.analysis, qualia_lab.stores.file.store, qualia_lab.stores.http.store", ARROW),
        ("qualia_lab.generator, qualia_lab.explorer", ARROW),
    ],
)
def test_a_heavy_package_is_not_imported_before_it_is_needed(modules, packages):
    assert heavy_packages_after(f"import {modules}") <= packages


@pytest.mark.parametrize(
    "modules",
    [
        "qualia_lab.choosing, qualia_lab.generator, qualia_lab.cli.runs",
        "qualia_lab.choosing, qualia_lab.cli.trace_rows",
    ],
)
def test_the_sections_and_rules_are_not_imported_to_list_runs_or_traces(modules):
    code = f"import json, sys, {modules}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    ours = {name for name in json.loads(done.stdout) if name.startswith("qualia_lab.")}
    assert set(modules.split(", ")) < ours
    assert (
        not {
            "qualia_lab.sections",
            "qualia_lab.charts",
            "qualia_lab.analysis.findings",
            "qualia_lab.notebook.plan",
        }
        & ours
    )


def test_accessing_a_public_name_imports_only_what_it_needs():
    assert heavy_packages_after("from qualia_lab import open_store, Query, QualiaLabError") == set()
    assert heavy_packages_after("from qualia_lab import NotebookGenerator, ArtifactExplorer") <= ARROW
    assert "mlflow" not in heavy_packages_after("from qualia_lab import load_runs, mlflow_client")


def pins(file: str) -> dict[str, str]:
    """Name → version of a constraints file."""
    lines = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-mlflow2.txt"])
def test_pins_contain_only_names_and_versions(file):
    for name, version in pins(file).items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        assert re.fullmatch(r"[0-9][0-9A-Za-z.+]*", version)


def test_pins_match_the_declared_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    normal = {re.sub(r"[-_.]+", "-", name).lower() for name in pins("constraints.txt")}
    groups = project["dependency-groups"]
    needed = [*project["project"]["dependencies"], *groups["test"], *groups["check"]]
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower() for requirement in needed}
    assert names - normal == {"qualia-lab"}


def test_both_ends_of_the_range_of_mlflow_are_tested():
    assert pins("constraints.txt")["mlflow"].startswith("3.")
    assert pins("constraints-mlflow2.txt")["mlflow"].startswith("2.22.")
