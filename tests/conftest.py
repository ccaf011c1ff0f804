"""Fixtures shared by all tests: public stores, real servers, and stores filled with the sample data.

Tests whose server is not available are skipped with a reason; with CI=true they fail.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

from . import servers
from .browser import chromium, open_offline  # noqa: F401 - fixtures
from .forked import forked_kernels
from .servers import missing

# No deadlines, since servers run in parallel with the tests; in CI the same examples every time.
hypothesis.settings.register_profile(
    "here", deadline=None, derandomize=os.environ.get("CI", "").lower() in ("true", "1")
)
hypothesis.settings.load_profile("here")

# A shell that starts the tests in the background makes them and their children ignore SIGINT, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Most of the time of the tests goes into syncing and removing small files, so they are made in memory if there is room.
_IN_MEMORY = "/dev/shm"
if "TMPDIR" not in os.environ and os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free > 8 << 30:
    os.environ["TMPDIR"] = _IN_MEMORY
    tempfile.tempdir = None  # it is chosen again

# A shell that forbids bytecode would make each of the commands and kernels of the tests compile the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

os.environ.update(servers.QUIET)
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # MLflow's client is the oracle for file stores, too
# The cache of server responses: not in the user's home, and empty at the start.
os.environ["QUALIA_LAB_CACHE"] = tempfile.mkdtemp(prefix="qualia-lab-tests-")
atexit.register(shutil.rmtree, os.environ["QUALIA_LAB_CACHE"], ignore_errors=True)
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
    os.environ.pop(name, None)


# The files of tests that take longest, by CPU seconds and what they wait for, the longest first.
LONGEST = (
    *("test_docs.py", "test_spark.py", "test_speed.py", "test_jupyterlab.py", "test_snapshot.py", "test_mlflow2.py"),
    *("test_trace_notebooks.py", "test_notebooks.py", "test_curve_budget.py", "test_files_are_whole.py"),
    *("test_pipeline.py", "test_planted.py", "test_memory.py", "test_concurrent_writers.py", "test_choosing.py"),
    *("test_questions.py", "test_refresh_interrupted.py", "test_page.py"),
    *("test_sql.py", "test_engines.py", "test_packaging.py", "test_watch.py", "test_figure.py", "test_adbc.py"),
    *("test_no_other_connection.py", "test_evaluations_of_runs.py", "test_meaning.py", "test_sql_genai.py"),
    *("test_interrupted.py", "test_only_reads.py", "test_templates.py", "test_same_everywhere.py", "test_demo.py"),
    *("test_export.py", "test_http_genai.py", "test_findings.py", "test_commands.py", "test_best_of.py"),
    *("test_deadlines.py", "test_genai_pages.py", "test_first_screen.py", "test_execute.py", "test_every_store.py"),
    *("test_generator.py", "test_sqlite.py", "test_aggregate_notebook.py", "test_evaluate_pipeline.py"),
)


def pytest_collection_modifyitems(items):
    """The longest files come first: with `--dist loadfile`, a long one at the end would keep one worker busy alone."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(autouse=True)
def forget_the_store_of_mlflow():
    """MLflow keeps the store that a test sets for the whole process, also in the environment."""
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)
    if "mlflow.tracking.fluent" in sys.modules:
        sys.modules["mlflow.tracking.fluent"]._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@contextlib.contextmanager
def running(server):
    """Run a server, and skip or fail the test if it is not available."""
    with contextlib.ExitStack() as stack:
        try:
            uri = stack.enter_context(server)
        except servers.ServerMissing as error:
            missing(str(error))
        yield uri


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with public stores and the hostile corpus, next to the checkout. Read-only."""
    folder = Path(__file__).parents[1].resolve().parent / "shared" / "data"
    if not folder.is_dir():
        missing("there is no folder shared/data next to the checkout")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A folder shared by all processes of a test session: the first call of `made_once(name, fill)` fills it.

    Its contents must not be changed, since other processes may be reading them.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has its own folder in it

    def made(name: str, fill) -> Path:
        folder, done = root / f"shared-{name}", root / f"shared-{name}.done"
        with (root / f"shared-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # left by a process that failed to fill it
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def sqlite_sample(made_once) -> Path:
    """A SQLite file filled with the sample. Copy it before writing to it."""
    from .stores.sample import write_sample

    def fill(folder):
        write_sample(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")

    return made_once("sqlite", fill) / "mlflow.db"


@pytest.fixture(scope="session")
def genai_sample(made_once) -> Path:
    """A folder with `mlflow.db`, filled by `fill_genai`, and the ids of what it holds in `ids.json`."""
    from .genai_stores import fill_genai

    def fill(folder):
        filled = fill_genai(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
        (folder / "ids.json").write_text(json.dumps(vars(filled)))

    return made_once("genai", fill)


@pytest.fixture(scope="session")
def sample_client(sqlite_sample, tmp_path_factory):
    """MLflow's client on a copy of the sample's SQLite file, since the client may change what it opens.

    All tests of a process share the copy, and only read it.
    """
    from mlflow import MlflowClient

    copy = shutil.copy(sqlite_sample, tmp_path_factory.mktemp("oracle") / "mlflow.db")
    return MlflowClient(f"sqlite:///{copy}")


@pytest.fixture(scope="session")
def mlruns_sample(made_once) -> Path:
    """An mlruns folder filled with the sample."""
    from .stores.sample import write_sample

    return made_once("files", lambda folder: write_sample(str(folder / "mlruns"))) / "mlruns"


@pytest.fixture(scope="session")
def demo_store(made_once) -> Path:
    """The SQLite file that `create-demo-runs` creates by default. Copy it before writing to it."""
    from .cli.command import DEMO, run_here
    from .stores.empty import copy_empty_store

    def fill(folder):
        copy_empty_store(folder / "mlflow.db")
        done = run_here(DEMO, cwd=folder)
        assert done.returncode == 0, done.stderr

    return made_once("demo", fill) / "mlflow.db"


@pytest.fixture(scope="session")
def genai_demo(made_once) -> Path:
    """The SQLite file of `create-demo-runs --genai`. Copy it before writing to it."""
    from .cli.command import DEMO, run_here
    from .stores.empty import copy_empty_store

    def fill(folder):
        copy_empty_store(folder / "mlflow.db")
        # An absolute URI: in this process MLflow keeps its connections to a relative one, whatever the folder.
        done = run_here(DEMO, "--genai", "--tracking-uri", f"sqlite:///{folder / 'mlflow.db'}", cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / "output.txt").write_text(done.stderr)

    return made_once("genai-demo", fill) / "mlflow.db"


@pytest.fixture(scope="session")
def cases(shared_data, made_once) -> Path:
    """The folder of small stores, each for one case that was once reported wrongly."""

    def fill(folder):
        script = shared_data / "cases" / "make_cases.py"
        subprocess.run([sys.executable, script, folder], check=True, capture_output=True)

    return made_once("cases", fill)


@pytest.fixture(scope="module")
def quick_kernels():
    """Kernels that the tests of a module start for notebooks are forks of a process that has imported what they import."""
    with forked_kernels():
        yield


@contextlib.contextmanager
def filled(server, tmp_path_factory):
    """The URI of a database on a server, filled with the sample."""
    from .stores.sample import write_sample

    with running(server) as uri:
        write_sample(uri, tmp_path_factory.mktemp("artifacts"))
        yield uri


@pytest.fixture(scope="session")
def postgresql_sample(tmp_path_factory):
    """The URI of an embedded PostgreSQL, filled with the sample."""
    with filled(servers.embedded_postgresql(), tmp_path_factory) as uri:
        yield uri


@pytest.fixture(scope="session")
def system_postgresql_sample(tmp_path_factory):
    """The URI of a database on the PostgreSQL of this machine, filled with the sample."""
    with filled(servers.system_postgresql(), tmp_path_factory) as uri:
        yield uri


@pytest.fixture(scope="session")
def mariadb_sample(tmp_path_factory):
    """The URI of a MariaDB database filled with the sample."""
    with filled(servers.mariadb(), tmp_path_factory) as uri:
        yield uri


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    """The URI of an `mlflow server` over a SQLite file of its own, filled with the sample through the server."""
    from .stores.empty import copy_empty_store
    from .stores.sample import write_sample

    folder = tmp_path_factory.mktemp("server")
    copy_empty_store(folder / "mlflow.db")
    with running(servers.mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder)) as uri:
        write_sample(uri)
        yield uri


@pytest.fixture(scope="session")
def snapshot_sample(mlflow_server, tmp_path_factory) -> str:
    """The URI of a snapshot of the MLflow server, with the beginnings of its artifacts."""
    from .stores.test_snapshot import snapshot

    folder = tmp_path_factory.mktemp("snapshot of a server")
    snapshot(mlflow_server, folder, artifacts=True)
    return f"snapshot:{folder}"


@pytest.fixture(scope="session")
def hostile_store(shared_data, made_once):
    """A SQLite store of the hostile corpus, and the folder where an executed payload would leave a file."""

    def fill(folder):
        subprocess.run(
            [
                *(sys.executable, shared_data / "make_hostile_store.py", shared_data / "hostile.json"),
                *(f"sqlite:///{folder / 'mlflow.db'}", "--canary", folder / "canary"),
            ],
            check=True,
            capture_output=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )

    folder = made_once("hostile", fill)
    return f"sqlite:///{folder / 'mlflow.db'}", folder / "canary"


@pytest.fixture(scope="session")
def hostile_notebook(hostile_store, made_once):
    """An executed notebook on all hostile runs, and its HTML."""
    from qualia_lab import NotebookGenerator

    def fill(folder):
        generator = NotebookGenerator(hostile_store[0])
        with forked_kernels():
            generator.export(generator.create(output=folder / "notebook.ipynb", execute=True))

    folder = made_once("hostile-notebook", fill)
    return folder / "notebook.ipynb", folder / "notebook.html"
