"""The documentation is run: its commands at a terminal, its Python, its filters; and what it shows is what comes out.

    ```console     commands after `$ `, going on after `> `, then what they show; after a failing one, `$ echo $?`. `...` is any text.
    ```python      run in one namespace per document; with `file=NAME` written to that file instead.
    ```output      what the Python before it printed.

Blocks of other kinds (`text`, `sh`, `toml`) are not run.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pexpect
import pytest

from qualia_lab import NotebookGenerator, Query, errors
from qualia_lab.cli.main import COMMANDS
from qualia_lab.notebook.template import BUILT_IN, read_template
from qualia_lab.query import parse_filter
from qualia_lab.query.write import filter_text
from qualia_lab.scripts.create_demo_runs import create_demo_runs
from qualia_lab.sections import SECTIONS

from .browser import find_chromium
from .forked import forked_commands
from .servers import missing
from .stores.empty import copy_empty_store

CHECKOUT = Path(__file__).parents[1]
GUIDE_INDEX = CHECKOUT / "docs/observational_notebooks.md"
# In the order of the index.
GUIDE = [CHECKOUT / "docs" / name for name in re.findall(r"\]\((guide/\w+\.md)\)", GUIDE_INDEX.read_text("utf-8"))]
QUERY_LANGUAGE = CHECKOUT / "docs/query_language.md"
QUICK_START = CHECKOUT / "docs/quick_start_observational_notebooks.md"
README = CHECKOUT / "README.md"
PACKAGE_INDEX = CHECKOUT / "docs/package_index.md"
PAGES = sorted(
    [
        *CHECKOUT.glob("*.md"),
        *CHECKOUT.glob("docs/**/*.md"),
        *CHECKOUT.glob("examples/*/*.md"),
        CHECKOUT / "notebooks/README.md",
    ]
)
PICTURE = CHECKOUT / "docs/images/notebook.png"

# The folder that is shown in the documents.
HOME = "/home/ana/churn"

_SET_BY_OTHERS = ("MLFLOW_", "PYTHONPATH", "COLUMNS", "LINES")
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def environment(folder=None, commands=Path(sys.executable).parent):
    """The environment of a user who installed the package and set nothing; pip installs into a subfolder, offline."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_SET_BY_OTHERS)}
    installed = {"PIP_TARGET": f"{folder}/installed"} if folder else {}
    return clean | {
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *installed.values()]),  # this checkout, whichever is installed
        **installed,
        **dict.fromkeys(("PIP_NO_INDEX", "PIP_NO_DEPS", "PIP_DISABLE_PIP_VERSION_CHECK"), "1"),
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's word for no isolation
        "PATH": os.pathsep.join(dict.fromkeys([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])),
        "TERM": "xterm",
        "NO_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }


@pytest.fixture(scope="module")
def readme(demo_store, tmp_path_factory):
    """The folder in which the README was run."""
    return run_document(README, demo_store, tmp_path_factory.mktemp("readme"))


def run_document(document, demo_store, folder, **how):
    """Run every block of a document in a folder with the demo runs; return the folder."""
    if demo_store is not None:
        shutil.copy(demo_store, folder)
    names = {}
    printed = ""
    exit_code = 0
    with contextlib.chdir(folder):
        for kind, file, text in BLOCK.findall(document.read_text(encoding="utf-8")):
            if file:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                Path(file).write_text(text, encoding="utf-8")
            elif kind == "console":
                exit_code = run_console(text, folder, exit_code, **how)
            elif kind == "python":
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(text, f"{document.name}: {text.splitlines()[0]}", "exec"), names)
                printed = out.getvalue()
            elif kind == "output":
                assert_shown(text, printed, folder, document.name)
    assert exit_code == 0, f"the last command of {document.name} failed"
    return folder


def run_console(text, folder, exit_code, **how):
    """Run the commands of a block and compare their output; return the last exit code."""
    for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, expected = re.fullmatch(r"([^\n]*\n(?:> [^\n]*\n)*)(.*)", step, re.DOTALL).groups()
        command = command.replace("\n> ", "\n")
        assert exit_code == 0 or command == "echo $?\n", f"before `{command}` a command failed, and nothing says so"
        # A question ends in `[default]: `; the text after it is the answer typed.
        answers = re.findall(r"^.*\]:(.*)$", expected, re.MULTILINE)
        shown, exit_code = at_a_terminal(f"(exit {exit_code}); {command}", answers, folder, **how)
        assert_shown(expected, shown, folder, command)
    return exit_code


def at_a_terminal(command, answers, folder, **how):
    """The final contents of a terminal with 110 columns, and the exit code."""
    log = io.StringIO()
    child = pexpect.spawn(
        "bash",
        ["-c", command],
        cwd=folder,
        env=environment(folder, **how),
        dimensions=(50, 110),
        encoding="utf-8",
        timeout=120,
    )
    child.logfile_read = log
    for answer in answers:
        child.expect(r"\]: $")
        child.sendline(answer.strip())
    child.expect(pexpect.EOF)
    child.close()
    return screen(log.getvalue()), child.exitstatus


def screen(text):
    """The lines after applying carriage returns, cursor movements and erasures of a progress bar."""
    lines, row, column = [""], 0, 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                row = max(row - int(part[2:-1] or 1), 0)
            elif part.endswith("K"):
                lines[row] = ""
        else:
            lines[row] = lines[row].ljust(column)[:column] + part + lines[row][column + len(part) :]
            column += len(part)
    return "\n".join(lines)


def assert_shown(expected, shown, folder, what):
    """Assert that the text equals the document, except for parts that vary."""
    wanted, got = normal(expected), normal(shown.replace(str(folder), HOME))
    pattern = ".*?".join(re.escape(part) for part in wanted.split("..."))
    assert re.fullmatch(pattern, got, re.DOTALL), f"{what}\n--- in the document\n{wanted}\n--- shown\n{got}"


def normal(text):
    """Remove run ids, dates, durations, numbers of cells, progress bars and spacing."""
    for pattern, word in (
        (r"\b[0-9a-f]{32}\b", "RUN_ID"),
        (r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?", "DATE"),
        (r"\b(just now|\d[\d.,]* (s|min|h|days?)( ago)?)\b", "AGE"),
        (r"\b(\d+)/\1 cells\b", "ALL cells"),
        (r"[━╸╺]+", ""),
        (r"\.{3,}", "..."),
        (r"[^\S\n]+", " "),
        (r"\n\s*", "\n"),
    ):
        text = re.sub(pattern, word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


@pytest.mark.slow
def test_the_readme_shows_the_actual_output(readme):
    assert sorted(readme.glob("notebooks/*.html"))


@pytest.mark.slow
def test_the_package_index_page_shows_the_actual_output(demo_store, tmp_path):
    run_document(PACKAGE_INDEX, demo_store, tmp_path)


@pytest.mark.slow
def test_the_quick_start_shows_the_actual_output(tmp_path):
    copy_empty_store(tmp_path / "mlflow.db")  # which takes MLflow seconds; tests/test_demo.py begins without any
    run_document(QUICK_START, None, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_guide_pages_show_the_actual_output(page, demo_store, tmp_path):
    folder = run_document(page, demo_store, tmp_path, commands=forked_commands())
    if page.stem == "extending":
        shown = (folder / "notebooks/week.html").read_text(encoding="utf-8")
        assert "lines mention an error or a warning" in shown
        assert 'id="slowest"' in shown
        assert re.search('slow runs</b>.*?<a href="#slowest">Slowest runs</a>', shown, re.DOTALL)


def test_the_files_of_the_page_about_packages_are_those_of_the_example():
    page = (CHECKOUT / "docs/guide/extending.md").read_text(encoding="utf-8")
    shown = {file: text for _, file, text in BLOCK.findall(page) if file.startswith("qualia_example/")}
    files = (path for path in (CHECKOUT / "examples/qualia_example").rglob("*.*") if path.suffix in (".py", ".toml"))
    assert shown == {str(path.relative_to(CHECKOUT / "examples")): path.read_text(encoding="utf-8") for path in files}


def guide():
    """The text of all pages of the guide."""
    return "\n".join(page.read_text(encoding="utf-8") for page in GUIDE)


def test_the_guide_index_lists_each_page_once():
    assert sorted(GUIDE) == sorted(CHECKOUT.glob("docs/guide/*.md"))
    for page in GUIDE:
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"[{title}](guide/{page.name})" in GUIDE_INDEX.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_query_language_page_shows_the_actual_output(demo_store, tmp_path):
    run_document(QUERY_LANGUAGE, demo_store, tmp_path, commands=forked_commands())


@pytest.fixture(scope="module")
def generator(demo_store):
    return NotebookGenerator(f"sqlite:///{demo_store}")


def rows_of(pattern):
    """The matches in the rows of the page's tables."""
    return re.findall(rf"^\| {pattern} \|$", QUERY_LANGUAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_documented_filters_match_the_documented_number_of_demo_runs(generator):
    rows = rows_of(r"(?:`` ?)?`?(.+?)`+ \| .* \| (\d+)")
    assert len(rows) > 40
    found = {text: generator.store.read_runs(Query(filter=text)).num_rows for text, _ in rows}
    assert found == {text: int(count) for text, count in rows}


def test_documented_orders_begin_with_the_documented_run(generator):
    rows = rows_of(r"`([^`-][^`]*)` \| `([\w-]+)`")
    assert len(rows) > 6
    for order, name in rows:
        assert generator.store.read_runs(Query(order_by=(order,), limit=1)).column("run_name").to_pylist() == [name]


def test_documented_shorthands_expand_to_the_documented_filters(generator):
    rows = rows_of(r"`(--[^`]+)` \| `([^`]+)`")
    assert len(rows) > 10
    for flags, expected in rows:
        words = shlex.split(flags)
        given = list(zip(words[::2], words[1::2], strict=True))
        of = {name: [value for flag, value in given if flag == f"--{name}"] for name in ("where", "status")}
        [since] = [value for flag, value in given if flag == "--since"] or [None]
        [own] = [value for flag, value in given if flag == "--filter"] or [""]
        explained = []
        with contextlib.suppress(errors.NoRunMatches):
            generator.select(**of, since=since, filter=own, explain=explained.append)
        condition = parse_filter(expected)
        assert explained[0].parts[-1].runs == generator.store.read_runs(Query(filter=expected)).num_rows
        if not since:  # its text contains the time zone of this machine
            with contextlib.suppress(errors.NoRunMatches):
                assert generator.select(**of, filter=own).query.filter == expected
        assert filter_text(condition) == expected or "minutes" in expected


def commands():
    """Every command by its name on the command line."""
    found = {f"qualia {name}": importlib.import_module(f"qualia_lab.cli.{name}").command for name in COMMANDS}
    groups = {name: one for name, one in found.items() if isinstance(one, click.Group)}
    found |= {f"{name} {part}": one for name, group in groups.items() for part, one in group.commands.items()}
    pipeline = importlib.import_module("qualia_lab.pipeline.train_pipeline")
    [trains] = [value for value in vars(pipeline).values() if isinstance(value, click.Command)]
    return found | {
        "create-observation-notebook": found["qualia new"],
        "create-demo-runs": create_demo_runs,
        "python -m qualia_lab.pipeline.train_pipeline": trains,
    }


def test_every_installed_command_has_help_and_is_documented():
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert {name.split()[0] for name in commands()} - {"python"} == set(scripts)
    for name, command in commands().items():
        assert command.help, name
        assert all(option.help for option in command.params if isinstance(option, click.Option)), name
        assert name in README.read_text(encoding="utf-8"), name
        assert name in guide(), name


@pytest.mark.parametrize("name", [name for name in commands() if name.startswith(("qualia", "create-obs"))])
def test_every_flag_is_in_the_guide(name):
    text = guide()
    flags = [flag for option in commands()[name].params for flag in option.opts if flag.startswith("--")]
    assert [flag for flag in flags if f"`{flag}" not in text] == []


def test_every_template_is_in_the_help_and_the_guide():
    [option] = [param for param in commands()["qualia new"].params if "--template" in param.opts]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", guide(), re.MULTILINE)
    built_in = {path.stem for path in (CHECKOUT / "qualia_lab" / "templates").glob("*.py")}
    assert set(BUILT_IN) == built_in
    assert [name for name in rows if name in built_in] == list(BUILT_IN)
    assert all(name in option.help for name in built_in)


def test_every_section_is_in_the_guide_in_notebook_order():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", guide(), re.MULTILINE)
    # Rules of findings are in a table of the same form, and one has the name of a section.
    described = [(name, title) for name, title in rows if name in SECTIONS and title == SECTIONS[name].title]
    cells = [cell for template in BUILT_IN for cell in read_template(template).cells]
    named = dict.fromkeys(cell.section for cell in cells if cell.section)
    assert described == [(name, SECTIONS[name].title) for name in named]


def test_every_exit_code_is_in_the_guide():
    def branches(error):
        return {error.exit_code}.union(*map(branches, error.__subclasses__()))

    said = {int(code) for code in re.findall(r"^\| (\d+) \|", guide(), re.MULTILINE)}
    assert said == branches(errors.QualiaLabError) | {0, 2, 70, 130, 141, 143}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_have_existing_targets(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if heading:
            assert heading in slugs(there), target


def slugs(page):
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/threat_model.md"])
def test_files_named_in_developer_pages_exist(page):
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]\w*/[\w/.]*|\w+\.(?:py|toml))`", text)) - {"shared/data"}
    assert len(named) > 5
    files = {path.name for path in (CHECKOUT / "qualia_lab").rglob("*.*")} | {path.name for path in CHECKOUT.iterdir()}
    there = {name for name in named for root in (CHECKOUT, CHECKOUT / "qualia_lab") if (root / name).exists()}
    assert named - there - files == set()


def test_pages_named_in_the_code_exist():
    sources = [*CHECKOUT.glob("qualia_lab/**/*.*"), CHECKOUT / "pyproject.toml", CHECKOUT / "Makefile"]
    named = [
        found
        for source in sources
        if source.suffix in ("", ".py", ".toml", ".j2", ".js")
        for found in re.findall(r"\b((?:docs|notebooks)/[\w/]+\.md)(?:#([\w-]+))?", source.read_text(encoding="utf-8"))
    ]
    assert named
    for path, heading in named:
        assert (CHECKOUT / path).is_file(), path
        assert not heading or heading in slugs(CHECKOUT / path), (path, heading)


@pytest.mark.slow
@pytest.mark.browser
def test_the_image_is_generated_from_the_page_in_the_readme(readme, tmp_path):
    if find_chromium() is None:
        missing("there is no Chromium")
    [page] = readme.glob("notebooks/*.html")
    made = tmp_path / "notebook.png"
    subprocess.run([sys.executable, "-m", "docs.make_picture", page, made], cwd=CHECKOUT, env=environment(), check=True)
    from PIL import Image

    with Image.open(PICTURE) as committed, Image.open(made) as new:
        assert committed.size == new.size
        assert committed.text["Headings"] == new.text["Headings"]
        assert "Findings" in new.text["Headings"].splitlines()
    assert PICTURE.stat().st_size < 400_000
