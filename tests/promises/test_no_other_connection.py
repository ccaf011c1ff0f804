"""Promise 8: nobody is asked but the tracking server and its artifact store; MLflow's telemetry is off.

A `sitecustomize` of the tests writes down every address that Python connects to or looks up, in the process of the
command and in its kernel. The channels between the two are connected by the library of ZeroMQ and not by Python, so
they are not among them. Pages in a browser are in tests/test_export.py and tests/test_framing.py as well.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from qualia_lab.cli import main
from qualia_lab.generator import NotebookGenerator
from qualia_lab.notebook.kernel_environment import kernel_environment
from tests.cli.command import CHECKOUT, environment
from tests.lying_server import RUN_IDS, server_that, true_answer
from tests.stores.mlruns import write

from .small_store import write_small_store

# Every connection and every name that is looked up, a line each.
WATCH = """
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _watch(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple):
            os.write(_log, f"{{address[0]}}:{{address[1]}}\\n".encode())
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        os.write(_log, f"{{arguments[0]!s}}:{{arguments[1] if len(arguments) > 1 else 0}}\\n".encode())
    elif event == "subprocess.Popen":
        names = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
        given = arguments[3] if arguments[3] is not None else os.environ
        off = [str(given.get(name, "")) for name in names]
        os.write(_log, f"child {{os.path.basename(str(arguments[0]))}} {{' '.join(off)}}\\n".encode())
sys.addaudithook(_watch)
"""


# The commands of a list one after the other, as each would run by itself; a line begins what belongs to it.
EACH = """
import json, os, sys
import sitecustomize
from qualia_lab.cli.main import main
for name, words in json.loads(sys.argv.pop(1)).items():
    os.write(sitecustomize._log, f"command {name}\\n".encode())
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def watched_environment(folder: Path) -> dict[str, str]:
    """The environment of a process whose connections are written to a file in this folder."""
    write(folder / "site" / "sitecustomize.py", WATCH.format(log=str(folder / "connections")))
    env = environment(PYTHONPATH=f"{folder / 'site'}{os.pathsep}{CHECKOUT}", QUALIA_LAB_CACHE="off")
    # As a person has it: what the tests themselves set is not what turns telemetry off.
    return {
        name: value for name, value in env.items() if name not in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI")
    }


def watch(commands: dict[str, tuple], folder: Path) -> dict[str, list[str]]:
    """Run {name: words} in a watched process, with kernels that are watched too; {name: what was connected to}."""
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps({name: [*map(str, words)] for name, words in commands.items()})],
        cwd=folder, env=watched_environment(folder), capture_output=True, text=True, timeout=200,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    beginning, *parts = re.split(r"^command (.*)\n", (folder / "connections").read_text(), flags=re.MULTILINE)
    assert strangers(beginning.splitlines()) == [], "while modules are imported"
    return {name: lines.splitlines() for name, lines in zip(parts[::2], parts[1::2], strict=True)}


def strangers(lines: list[str], allowed: str | None = None) -> list[str]:
    """The addresses, as host:port, other than the allowed one."""
    return [line for line in lines if not line.startswith("child") and line != allowed]


def commands_on(uri, run_ids, out: Path) -> dict[str, tuple]:
    """The words of each command without a kernel, and of those the ways to print; the last one needs the one before."""
    store = ("--tracking-uri", uri)
    return {
        "experiments": ("experiments", *store),
        "runs --json": ("runs", "--json", *store),
        "runs --csv": ("runs", "--csv", *store),
        "study": ("study", *store),
        "findings": ("findings", *store),
        "compare": ("compare", run_ids[0], run_ids[1], *store),
        "snapshot": ("snapshot", uri, out / "kept", "--artifacts"),
        "new": ("new", "--yes", "--output", out / "plain.ipynb", *store),
        "export": ("export", out / "plain.ipynb", "--to", "html,md,py"),
        "changes": ("changes", out / "kept", out / "kept"),
        "templates": ("templates",),
    }


def commands_on_traces(uri) -> dict[str, tuple]:
    """The commands that need a store with models and traces."""
    return {name: (name, "--tracking-uri", uri) for name in ("models", "traces")}


def test_every_command_is_watched(tmp_path):
    """`execute`, `refresh` and `watch` are watched as `new --execute`: all run a kernel in the same way.

    Bundles refuse it the network.
    """
    commands = commands_on("mlruns", RUN_IDS, tmp_path) | commands_on_traces("mlruns")
    watched = {words[0] for words in commands.values()}
    assert watched == set(main.COMMANDS) - {"execute", "refresh", "watch", "bundle", "verify"}


@pytest.mark.slow
def test_a_store_on_this_machine_is_read_without_any_connection(tmp_path, genai_demo, record_counts):
    run_ids = write_small_store(tmp_path / "mlruns")
    commands = commands_on(tmp_path / "mlruns", run_ids, tmp_path) | commands_on_traces(f"sqlite:///{genai_demo}")
    found = {name: strangers(lines) for name, lines in watch(commands, tmp_path).items()}
    asking = {name: lines for name, lines in found.items() if lines}
    record_counts(promise=8, kind="commands on a local store", tried=len(found), failed=len(asking))
    assert asking == {}


@pytest.fixture(scope="module")
def naming_others(tmp_path_factory):
    """The page of an executed notebook with artifacts of every kind that names another host, and what was connected to."""
    folder = tmp_path_factory.mktemp("others")
    for run_id in write_small_store(folder / "mlruns", 2):
        for name, text in BEACONS.items():
            write(folder / "mlruns" / "1" / run_id / "artifacts" / name, text)
    words = ("new", "--tracking-uri", folder / "mlruns", "--yes", "--to", "html", "--output", folder / "n.ipynb")
    return folder / "n.html", watch({"new": words}, folder)["new"]


@pytest.mark.slow
def test_a_notebook_is_executed_without_any_connection_and_telemetry_is_off(naming_others, record_counts):
    page, lines = naming_others
    found = strangers(lines)
    kernels = [line for line in lines if line.startswith("child") and "python" in line]
    record_counts(promise=8, kind="an executed notebook", tried=1, failed=len(found))
    assert found == []
    assert kernels, lines
    assert {tuple(line.split()[2:]) for line in kernels} == {("true", "true")}, kernels
    assert page.is_file()


@pytest.mark.slow
def test_of_a_server_nobody_else_is_asked(tmp_path, record_counts):
    with server_that(true_answer) as (server, uri):
        executed = ("new", "--tracking-uri", uri, "--yes", "--execute", "--output", tmp_path / "n.ipynb")
        commands = commands_on(uri, RUN_IDS, tmp_path) | {"new --execute": executed}
        allowed, found = urlsplit(uri).netloc, watch(commands, tmp_path)
        asked = {path.partition("?")[0] for path, _, _ in server.questions}
    asking = {name: strangers(lines, allowed) for name, lines in found.items() if strangers(lines, allowed)}
    record_counts(promise=8, kind="commands on a server", tried=len(found), failed=len(asking))
    assert asking == {}
    assert {name for name, lines in found.items() if allowed not in lines} == {"export", "changes", "templates"}, (
        "the others ask the server"
    )
    assert any("artifact" in path for path in asked)


def test_a_record_that_names_another_server_is_not_asked_there(tmp_path, record_counts):
    """The addresses of artifacts, datasets and sources are texts of the store."""
    with server_that(true_answer) as (thief, elsewhere):
        run_ids = write_small_store(tmp_path / "mlruns", 12)
        addresses = (
            f"{elsewhere}/RUN/artifacts", f"ftp://127.0.0.1:{thief.server_port}/RUN/artifacts",
            f"mlflow-artifacts://127.0.0.1:{thief.server_port}/1/RUN/artifacts", f"hdfs://127.0.0.1:{thief.server_port}/RUN",
            f"sftp://127.0.0.1:{thief.server_port}/RUN", f"//127.0.0.1:{thief.server_port}/RUN/artifacts",
            f"dbfs://127.0.0.1:{thief.server_port}/RUN", f"runs:/{RUN_IDS[0]}/x", f"models://127.0.0.1:{thief.server_port}/RUN",
            f"file://127.0.0.1:{thief.server_port}/RUN/artifacts", f"http:\\\\127.0.0.1:{thief.server_port}\\RUN",
            f"HTTP://127.0.0.1:{thief.server_port}/RUN",
        )  # fmt: skip
        for run_id, address in zip(run_ids, addresses, strict=True):
            meta = tmp_path / "mlruns" / "1" / run_id / "meta.yaml"
            text = meta.read_text().partition("artifact_uri")[0]
            meta.write_text(text + f"artifact_uri: '{address.replace('RUN', run_id)}'\n")
        with NotebookGenerator(tmp_path / "mlruns") as generator:
            tables = generator.store.read(run_ids)
            for run_id, address in zip(tables.run_ids, tables.runs.column("artifact_uri").to_pylist(), strict=True):
                place = generator.store.artifact_place(run_id, address)
                list(place.list_files())
    record_counts(promise=8, kind="records that name a server", tried=len(addresses), failed=len(thief.questions))
    assert thief.questions == []


def test_telemetry_is_off_in_every_environment_of_a_kernel():
    for given in ({}, {"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "0"}):
        made = kernel_environment(given, {}, ["MLFLOW_*", "DO_NOT_*"])
        assert (made["MLFLOW_DISABLE_TELEMETRY"], made["DO_NOT_TRACK"]) == ("true", "true")


# What a browser, a parser or a renderer would fetch; the name is one that nobody has.
_HOST = "beacon.invalid"
BEACONS = {
    "page.html": f"<img src=http://{_HOST}/a><script src=//{_HOST}/b></script><link rel=stylesheet href=http://{_HOST}/c>",
    "notes.md": f"![x](http://{_HOST}/d) <img src='http://{_HOST}/e'> [x](http://{_HOST}/f)",
    "drawing.svg": f"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://{_HOST}/g'/></svg>",
    "plot.json": json.dumps(
        {"data": [{"type": "scatter", "x": [1], "y": [1], "xsrc": f"http://{_HOST}/h"}],
         "layout": {"images": [{"source": f"http://{_HOST}/i"}], "template": f"http://{_HOST}/j"}}
    ),
    "vega.json": json.dumps(
        {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "data": {"url": f"http://{_HOST}/k"}, "mark": "bar",
         "encoding": {"x": {"field": "a"}}}
    ),
    "conf.yaml": f"a: !!python/object/apply:urllib.request.urlopen ['http://{_HOST}/l']\n",
    "doc.xml": f"<!DOCTYPE a [<!ENTITY x SYSTEM 'http://{_HOST}/m'>]><a>&x;</a>",
    "table.csv": f'a,b\n=WEBSERVICE("http://{_HOST}/n"),1\n',
    "schema.json": json.dumps({"$ref": f"http://{_HOST}/o", "$schema": f"http://{_HOST}/p"}),
}  # fmt: skip


def test_the_watch_sees_a_connection_that_is_made(tmp_path):
    """Else nothing is found where nothing is looked at."""
    code = "import socket\ntry: socket.create_connection(('beacon.invalid', 80), timeout=1)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env=watched_environment(tmp_path), check=True)
    lines = (tmp_path / "connections").read_text().splitlines()
    assert "beacon.invalid:80" in lines
    assert strangers(lines) == ["beacon.invalid:80"]


@pytest.mark.browser
@pytest.mark.slow
def test_a_page_asks_nobody_in_a_browser_that_has_a_network(chromium, naming_others, record_counts):
    """The browser sends every request to a proxy of ours, which writes it down; the page is opened from a file."""
    page, _ = naming_others
    assert _HOST in page.read_text(), "the texts that name it are shown"
    with server_that(lambda it: it.reply(b"", 404)) as (proxy, address):
        context = chromium.new_context(proxy={"server": address, "bypass": "<-loopback>"})
        opened = context.new_page()
        requests = []
        opened.on("request", lambda request: requests.append(request.url))
        opened.goto(page.as_uri())
        for one in opened.locator("details").all():
            one.evaluate("one => { one.open = true }")
        opened.wait_for_timeout(500)
        asked = [url for url in requests if not url.startswith(("file:", "data:", "about:", "blob:"))]
        context.close()
        found = asked + [path for path, _, _ in proxy.questions if _HOST in path]
    record_counts(promise=8, kind="requests of a page", tried=len(BEACONS), failed=len(found))
    assert found == []
