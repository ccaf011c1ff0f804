"""Packaging: dependencies match imports, and the distributions are complete."""

from __future__ import annotations

import ast
import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qualia_lab import __version__

from .servers import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "qualia_lab"
SETTINGS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]

# Imported only if the installed MLflow requires it as its own dependency.
OF_MLFLOW = {"skops"}
# Installed by `make fuzz` where it can be, and imported only there.
OF_FUZZING = {"atheris"}
# Packages of distributions that are not installed here.
NOT_INSTALLED = {"requests-auth-aws-sigv4": {"requests_auth_aws_sigv4"}, "weasyprint": {"weasyprint"}}


def normal(name: str) -> str:
    """The normalised name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements below one, without their expressions, of which there are ten times as many."""
    for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
        for one in getattr(tree, blocks, ()):
            yield one
            yield from statements(one)


@cache
def imported(folder: Path = PACKAGE) -> set[str]:
    """The top-level third-party packages that are imported anywhere in a folder."""
    names = set()
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py"))
    for node in (node for tree in trees for node in statements(tree)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"qualia_lab"}


def declared(*groups: str) -> dict[str, str]:
    """{distribution: requirement} of the dependencies, of all extras, and of these groups."""
    others = [*PROJECT["optional-dependencies"].values(), *(SETTINGS["dependency-groups"][group] for group in groups)]
    every = [*PROJECT["dependencies"], *(one for other in others for one in other)]
    return {normal(re.match(r"[\w.-]+", one).group()): one for one in every}


@cache
def packages_of(distribution: str) -> set[str]:
    """The top-level packages of a distribution."""
    if distribution in NOT_INSTALLED:
        return NOT_INSTALLED[distribution]
    found = metadata.distribution(distribution)
    listed = found.read_text("top_level.txt")
    return set(listed.split()) if listed else {path.parts[0].removesuffix(".py") for path in found.files or ()}


def test_every_imported_package_is_declared():
    assert len(imported()) > 20
    brought = {package for distribution in declared() for package in packages_of(distribution)}
    assert imported() - OF_MLFLOW - brought == set()


def test_every_package_that_tests_import_is_declared():
    of_tests = set.union(*(imported(CHECKOUT / folder) for folder in ("tests", "benchmarks", "release")))
    brought = {package for distribution in declared("test") for package in packages_of(distribution)}
    assert of_tests - {"tests", "benchmarks", "release"} - OF_FUZZING - brought == set()


def test_every_declared_package_is_used():
    unused = {distribution for distribution in declared() if not packages_of(distribution) & imported()}
    # Not imported by us: plotly brings the extension of JupyterLab that draws charts, SQLAlchemy imports the drivers.
    assert unused == {"plotly", "psycopg", "pymysql"}
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    texts = {name for name in unused if re.search(rf"[\"'](?:\w+\+)?{name}[\"']", source)}
    assert unused - texts == {"plotly"}


def test_every_dependency_has_a_lower_bound():
    assert [one for name, one in declared("test").items() if ">=" not in one and name != "qualia-lab"] == []


def test_the_package_index_page_has_no_relative_links():
    page = (CHECKOUT / PROJECT["readme"]).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", page)
    assert [link for link in links if not "".join(link).startswith(("https://", "#"))] == []
    for name in re.findall(r"`(docs/[^`]*)`", page):
        assert (CHECKOUT / name).exists(), name


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the sdist of this checkout."""
    if importlib.util.find_spec("hatchling") is None:
        missing("hatchling is not installed, which builds the distributions")
    source, out = tmp_path_factory.mktemp("source") / "qualia-lab", tmp_path_factory.mktemp("dist")
    unwanted = shutil.ignore_patterns(
        ".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "node_modules", "demo"
    )
    shutil.copytree(CHECKOUT, source, ignore=unwanted)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", out], cwd=source, check=True, capture_output=True)
    return out


@pytest.mark.slow
def test_wheel_and_sdist_are_complete(built):
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
        [info] = [name for name in in_wheel if name.endswith(".dist-info/METADATA")]
        about = email.message_from_bytes(archive.read(info))
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    ours = {str(path.relative_to(CHECKOUT)) for path in PACKAGE.rglob("*.*") if "__pycache__" not in path.parts}
    ours = {name for name in ours if not name.endswith(".pyc")}
    assert {"qualia_lab/py.typed", "qualia_lab/templates/observe.py", "qualia_lab/study/metric_words.toml"} <= ours
    assert ours - in_wheel == set()
    assert ours - in_sdist == set()
    assert {name.partition("/")[0] for name in in_wheel} == {"qualia_lab", info.partition("/")[0]}
    assert {"LICENSE", "README.md", "docs/guide/stores.md", "docs/images/notebook.png"} <= in_sdist
    assert about["Version"] == __version__
    assert about["License-Expression"] == "Apache-2.0"
    assert about.get_payload().startswith("# qualia-lab\n")


@pytest.mark.slow
def test_the_wheel_works_without_a_checkout(built, tmp_path):
    """Installed into a new environment, which uses the dependencies of this one."""
    [wheel] = built.glob("*.whl")
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    def run(command, *words):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW"))}
        told = subprocess.run(
            [folder / "bin" / command, *words], cwd=tmp_path, env=clean, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        return told.stdout

    assert str(site) in run("python", "-c", "import qualia_lab; print(qualia_lab.__file__)")
    assert "Usage: qualia" in run("qualia", "--help")
    run("create-demo-runs", "2")
    made = run("create-observation-notebook", "--yes", "--template", "debug", "--output", "notebooks/made.ipynb")
    assert made.strip() == "notebooks/made.ipynb"
    assert "runs.failures.endings()" in (tmp_path / made.strip()).read_text(encoding="utf-8")
