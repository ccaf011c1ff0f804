"""HttpStore against a real `mlflow server`, and RestClient against servers that misbehave."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate

import pytest

from qualia_lab.errors import (
    ExtraMissing,
    StoreError,
    StoreNotFound,
    StoreRefused,
    StoreUnreachable,
    StoreUnreadable,
)
from qualia_lab.selection import Query
from qualia_lab.stores.http import experiments as http_experiments
from qualia_lab.stores.http import history as http_history
from qualia_lab.stores.http import runs as http_runs
from qualia_lab.stores.http import store as http_store
from qualia_lab.stores.http.credentials import find_access
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.store import HttpStore
from qualia_lab.stores.open import open_store
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.uri import split_uri
from tests import lying_server
from tests.lying_server import bomb, drip, drip_headers, half_a_body, huge, many_values, reset, server_that

from .contract import StoreContract

SECONDS = 2.0
EXPERIMENTS = {"experiments": [{"experiment_id": "1", "name": "one", "lifecycle_stage": "active"}]}


class TestHttpStore(StoreContract):
    @pytest.fixture(scope="class")
    def store_uri(self, mlflow_server):
        return mlflow_server


# A real server


def test_filters_and_orders_evaluated_locally_match_the_server(mlflow_server):
    store = open_store(mlflow_server)
    everything = store.read_runs(Query()).to_pylist()
    for query, expected in [
        (Query(filter="params.lr = '0.1'"), {"child 0"}),
        (Query(filter="params.lr < 0.05"), {"child 1", "child 2"}),  # the server rejects numbers
        (Query(filter="status = 'FAILED' OR status = 'KILLED'"), {"failed", "killed"}),
        (Query(filter="metrics.loss > 1e29 AND run_name = 'failed'"), {"failed"}),
    ]:
        assert set(store.read_runs(query).column("run_name").to_pylist()) == expected, query.filter
    by_start = store.read_runs(Query(order_by=("start_time ASC",), limit=4)).to_pylist()
    assert by_start == sorted(everything, key=lambda run: (run["start_time"], run["run_id"]))[:4]
    by_param = store.read_runs(Query(filter="params.lr > 0", order_by=("params.lr DESC",), limit=2))
    assert by_param.column("run_name").to_pylist() == ["running", "failed"] or by_param.num_rows == 2


def test_a_history_above_the_limit_of_one_response_is_complete(mlflow_server, monkeypatch):
    store = open_store(mlflow_server)
    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    whole = [row for batch in store.read_metric_history(run_ids) for row in batch.to_pylist()]
    for cap in (50, 20, 1):  # the server's limit is 25,000; a smaller requested limit truncates just as silently
        monkeypatch.setattr(http_history, "_MAX_POINTS", cap)
        cut = [row for batch in open_store(mlflow_server).read_metric_history(run_ids) for row in batch.to_pylist()]
        assert sorted(map(repr, cut)) == sorted(map(repr, whole))


def test_small_pages_and_batches_return_the_same(mlflow_server, monkeypatch):
    everything = open_store(mlflow_server).read_runs(Query(view="all"))
    for module, name in [
        (http_experiments, "_PAGE_SIZE"),
        (http_runs, "PAGE_SIZE"),
        (http_store, "PAGE_SIZE"),
        (http_runs, "EXPERIMENTS_PER_REQUEST"),
        (http_store, "EXPERIMENTS_PER_REQUEST"),
        (http_runs, "_RUNS_PER_REQUEST"),
        (http_history, "_RUNS_PER_REQUEST"),
    ]:
        monkeypatch.setattr(module, name, 2)
    store = open_store(mlflow_server)
    assert store.read_runs(Query(view="all")).equals(everything)
    assert store.read_runs(Query(limit=3)).num_rows == 3
    run_ids = everything.column("run_id").to_pylist()
    assert list(store.read(run_ids).run_ids) == run_ids
    assert store.read_experiments("all").num_rows == 5


# Misbehaving servers


@pytest.fixture(autouse=True)
def _shortened_clock(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS))


silent = lying_server.silent(SECONDS * 20)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (silent, StoreUnreachable, "did not answer in time"),
        (drip, StoreUnreachable, "in time"),
        (drip_headers, StoreUnreachable, "in time"),
        (half_a_body, StoreUnreachable, "broke off"),
        (reset, StoreUnreachable, "broke off"),
        (lambda it: it.reply(b"", 503), StoreUnreachable, "answers 503"),
        (lambda it: it.reply(b"", 429, Retry_After=120), StoreUnreachable, "answers 429"),
        (lambda it: it.reply(b"", 401), StoreRefused, "wants credentials"),
        (lambda it: it.reply(b"", 403), StoreRefused, "wants credentials"),
        (lambda it: it.reply(b"", 302, Location="https://sso.example.com/login?t=SECRET"), StoreUnreadable, "sends us to sso.example.com"),
        (lambda it: it.reply(b""), StoreUnreadable, "an empty answer"),
        (lambda it: it.reply(b"{}"), StoreUnreadable, "does not answer as MLflow"),
        (lambda it: it.reply(b"[]"), StoreUnreadable, "not a JSON object"),
        (lambda it: it.reply(b'{"experiments": "x"}'), StoreUnreadable, "something other than a list"),
        (lambda it: it.reply(b'{"experiments": [{"experim'), StoreUnreadable, "not a JSON object"),
        (lambda it: it.reply(b"[" * 100_000), StoreUnreadable, "not a JSON object"),
        (lambda it: it.reply(b"<html>SECRET</html>", Content_Type="text/html"), StoreUnreadable, "not a JSON object"),
        (lambda it: it.reply(b"<html>SECRET</html>", 404), StoreError, "answers 404"),
        (lambda it: it.reply(b'{"error_code": "X", "message": "\\u001b[31mno"}', 500), StoreError, r"answers 500 to .*: \\u001b\[31mno"),
        (lambda it: it.reply(json.dumps(EXPERIMENTS | {"next_page_token": "same"}).encode()), StoreUnreadable, "stopped after 4 pages"),
        (lambda it: it.reply(b"\x1f\x8b no gzip", Content_Encoding="gzip"), StoreUnreachable, "damaged"),
    ],
)  # fmt: skip
def test_a_misbehaving_server_raises_one_error_within_the_deadline(hurry, answer, error, words):
    start = time.monotonic()
    with server_that(answer) as (_, uri), pytest.raises(error, match=words) as caught:
        HttpStore(split_uri(uri)).read_experiments()
    assert time.monotonic() - start < SECONDS + 3
    assert "SECRET" not in str(caught.value)
    assert uri in str(caught.value)
    assert caught.value.hint or "500" in words


@pytest.mark.parametrize(
    ("answer", "words"),
    [(huge, "larger than 64 MB"), (bomb, "larger than 64 MB"), (many_values, "millions of empty values")],
)
def test_a_response_that_would_exhaust_memory_is_rejected(answer, words):
    with server_that(answer) as (_, uri), pytest.raises(StoreUnreadable, match=words) as caught:
        HttpStore(split_uri(uri)).read_experiments()
    assert uri in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("http://127.0.0.1:1", StoreUnreachable, "accepts no connection"),
        ("http://no-such-host.invalid:5000", StoreUnreachable, "no server of that name"),
        ("http://127.0.0.1:99999", StoreNotFound, "not the address"),
        ("http://", StoreNotFound, "names no server"),
        ("http://user:hunter2@", StoreNotFound, "names no server"),
    ],
)
def test_an_unreachable_address_raises_an_error(hurry, uri, error, words):
    with pytest.raises(error, match=words) as caught:
        open_store(uri).read_experiments()
    assert "hunter2" not in str(caught.value)


def test_tls_to_a_port_without_tls_raises_an_error(hurry):
    with server_that(lambda it: it.reply(b"{}")) as (_, uri), pytest.raises(StoreUnreachable, match="TLS") as error:
        open_store(uri.replace("http:", "https:")).read_experiments()
    assert "does not speak TLS" in error.value.message
    assert "http://" in error.value.hint


def test_an_untrusted_certificate_is_reported(hurry, tmp_path, monkeypatch):
    import ssl
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {} -out {}"
    subprocess.run(made.format(key, certificate).split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with server_that(lambda it: it.reply(b"{}")) as (server, uri):
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with pytest.raises(StoreUnreachable, match="certificate is not trusted") as error:
            open_store(uri.replace("http:", "https:")).read_experiments()
        assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in error.value.hint
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "nothing.pem"))
        with pytest.raises(StoreNotFound, match=r"There is no certificate .*nothing\.pem"):
            open_store(uri.replace("http:", "https:")).read_experiments()


def silent_about_runs(it):
    it.reply(json.dumps(EXPERIMENTS).encode()) if "experiments" in it.path else silent(it)


def test_a_request_to_a_busy_server_is_retried():
    def answer(it):
        if "experiments" in it.path and len(it.server.questions) < 3:
            it.reply(b"", 503 if len(it.server.questions) == 1 else 429, Retry_After="0")
        else:
            it.reply(json.dumps(EXPERIMENTS).encode() if "experiments" in it.path else b"{}")

    with server_that(answer) as (server, uri):
        found = open_store(uri).read_experiments()
        assert found.column("name").to_pylist() == ["one"]
        assert len(server.questions) == 5


def test_a_status_500_without_mlflow_error_is_retried_once():
    """MLflow 3.17 imports a module in each search; if that fails, a concurrent search may see it half imported."""
    page, mlflow_error = (
        b"<!doctype html><h1>Internal Server Error</h1>",
        b'{"error_code": "INTERNAL_ERROR", "message": "no"}',
    )

    def once(it):
        if len(it.server.questions) == 1:
            it.reply(page, 500)
        else:
            it.reply(json.dumps(EXPERIMENTS).encode() if "experiments" in it.path else b"{}")

    with server_that(once) as (_, uri):
        assert open_store(uri).read_experiments().num_rows == 1
    for body, questions in [(page, 2), (mlflow_error, 1)]:
        with server_that(lambda it, body=body: it.reply(body, 500)) as (server, uri):
            with pytest.raises(RequestRejected):
                open_store(uri).read_experiments()
            assert len(server.questions) == questions


@pytest.mark.parametrize(
    ("retry_after", "at_least"),
    [
        (lambda: "1", 1.0),
        (lambda: formatdate(time.time() + 3, usegmt=True), 1.5),
        (lambda: formatdate(time.time() - 60, usegmt=True), 0.2),
        (lambda: "when it suits you", 0.2),
        (lambda: "Mon, 99 Foo 20000 00:00:00 GMT", 0.2),
    ],
)
def test_retry_after_is_respected_in_seconds_or_as_a_date(retry_after, at_least):
    moments = []

    def answer(it):
        moments.append(time.monotonic())
        if len(moments) == 1:
            it.reply(b"", 503, Retry_After=retry_after())
        else:
            it.reply(json.dumps(EXPERIMENTS).encode() if "experiments" in it.path else b"{}")

    with server_that(answer) as (_, uri):
        open_store(uri).read_experiments()
    assert at_least <= moments[1] - moments[0] < at_least + 3


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("answer", [silent, silent_about_runs, lambda it: it.reply(b"", 429, Retry_After=20)])
@pytest.mark.parametrize("method", ["read_experiments()", "read_metric_history(['1' * 32, '2' * 32], ['loss', 'auc'])"])
def test_ctrl_c_ends_a_read_within_two_seconds(answer, method):
    """Also when the main thread waits for several concurrent requests."""
    with server_that(answer) as (server, uri):
        code = f"from qualia_lab.stores.open import open_store\nlist(open_store({uri!r}).{method})"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not server.questions and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in stderr
    assert process.returncode in (1, 130, -signal.SIGINT)


def test_no_requests_are_sent_after_ctrl_c_in_a_notebook():
    """In a notebook the process continues after a Ctrl-C, and so would threads that read page after page."""
    pages = iter(range(100_000))

    def answer(it):
        time.sleep(0.05)
        if "bulk" in it.path:
            it.reply(b"", 404)
        else:
            page = next(pages)
            it.say({"metrics": lying_server.points("loss", page, 1), "next_page_token": str(page)})

    with server_that(answer) as (server, uri):
        reading = open_store(uri).read_metric_history(["1" * 32, "2" * 32], ["loss", "auc"])
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(reading)
        time.sleep(0.5)
        count = len(server.questions)
        time.sleep(0.5)
        assert len(server.questions) == count > 4


def test_invalid_values_affect_only_themselves():
    run = {
        "info": {"run_id": "r1", "experiment_id": 1, "status": "FINISHED", "start_time": "1000", "end_time": "soon", "lifecycle_stage": "active"},
        "data": {
            "params": [{"key": "a", "value": "\ud800"}, {"key": "b", "value": ["x"]}, "no object", {"key": "c"}],
            "metrics": [{"key": "m", "value": "NaN", "step": "3"}, {"key": "n", "value": "soon"}, {"key": "o", "value": 1}],
            "tags": None,
        },
        "inputs": {"dataset_inputs": [{"dataset": None, "tags": 3}]},
    }  # fmt: skip

    def answer(it):
        if "experiments" in it.path:
            it.reply(json.dumps(EXPERIMENTS).encode())
        elif "runs/search" in it.path:
            it.reply(json.dumps({"runs": [run, 7, {}]}).encode())
        else:
            it.reply(b"", 404)

    with server_that(answer) as (_, uri):
        tables = open_store(uri).read(["r1"])
    assert tables.runs.to_pylist()[0]["start_time"] == 1000
    assert tables.params.to_pylist()[0]["value"] == "\\ud800"
    assert tables.metrics.column("key").to_pylist() == ["m", "o"]
    assert set(tables.problems.column("subject").to_pylist()) == {"param", "end_time", "metric n"}


# Credentials


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    for name in ("USERNAME", "PASSWORD", "TOKEN", "AUTH", "AWS_SIGV4", "INSECURE_TLS", "SERVER_CERT_PATH", "CLIENT_CERT_PATH"):  # fmt: skip
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name in ("MLFLOW_WORKSPACE", "DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_aws_signing_without_its_package_raises_an_error_with_an_install_hint(monkeypatch, no_credentials):
    monkeypatch.setenv("MLFLOW_TRACKING_AWS_SIGV4", "true")
    monkeypatch.setitem(sys.modules, "requests_auth_aws_sigv4", None)  # as if it were not installed
    with pytest.raises(ExtraMissing, match="MLFLOW_TRACKING_AWS_SIGV4") as raised:
        open_store("http://127.0.0.1:9").read_experiments()
    assert raised.value.hint == "Install it: pip install 'qualia-lab[aws]'"


@pytest.mark.parametrize(
    ("uri", "environment", "expected"),
    [
        ("http://host:5000", {}, None),
        ("http://ada:p%40ss@host:5000", {}, basic("ada", "p@ss")),
        ("http://ada:p@s/s@host:5000", {}, basic("ada", "p@s/s")),
        ("http://host", {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "pw"}, basic("ada", "pw")),
        ("http://host", {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ("http://host", {"MLFLOW_TRACKING_TOKEN": "t", "MLFLOW_TRACKING_USERNAME": "a", "MLFLOW_TRACKING_PASSWORD": "b"}, basic("a", "b")),
        ("databricks", {"DATABRICKS_HOST": "https://db.example.com/", "DATABRICKS_TOKEN": "t"}, "Bearer t"),
    ],
)  # fmt: skip
def test_credentials_are_read_from_the_same_sources_as_mlflow(monkeypatch, no_credentials, uri, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    access = find_access(split_uri(uri))
    assert access.headers.get("Authorization") == expected
    assert access.base in ("http://host:5000", "http://host", "https://db.example.com")
    assert "Bearer" not in repr(access)


def test_credentials_in_files(no_credentials):
    (no_credentials / ".mlflow").mkdir()
    (no_credentials / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = 100%\n"
    )
    (no_credentials / ".databrickscfg").write_text(
        "[DEFAULT]\nhost = a\ntoken = 1\n[work]\nhost = https://w\ntoken = 2\n"
    )
    assert find_access(split_uri("http://host")).headers["Authorization"] == basic("ada", "100%")
    assert find_access(split_uri("databricks")).base == "https://a"
    assert find_access(split_uri("databricks://work")).headers == {"Authorization": "Bearer 2"}


def test_headers_are_sent_and_secrets_are_not_shown(monkeypatch, no_credentials):
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    with server_that(lambda it: it.reply(b"", 401)) as (server, uri):
        with pytest.raises(StoreRefused, match="refused these credentials") as caught:
            open_store(uri.replace("//", "//ada:hunter2@") + "/prefix/").read_experiments()
        path, headers, _ = server.questions[0]
    assert path == "/prefix/api/2.0/mlflow/experiments/search"
    assert (headers["Authorization"], headers["X-MLFLOW-WORKSPACE"]) == (basic("ada", "hunter2"), "team")
    assert "hunter2" not in str(caught.value)
    assert "ada" not in str(caught.value)


def test_a_token_with_a_line_break_raises_an_error_without_the_token(monkeypatch, no_credentials):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hun\nter2")
    with pytest.raises(StoreRefused) as caught:
        open_store("http://host")
    assert "hun" not in str(caught.value)


def test_credentials_do_not_follow_a_redirect(no_credentials):
    with server_that(lambda it: it.reply(b"{}")) as (thief, elsewhere):
        with (
            server_that(lambda it: it.reply(b"", 307, Location=elsewhere)) as (_, uri),
            pytest.raises(StoreUnreadable, match="sends us to"),
        ):
            open_store(uri.replace("//", "//ada:hunter2@")).read_experiments()
        assert thief.questions == []


# Concurrency


def test_in_parallel_preserves_order_and_respects_the_limit():
    running, most, lock = 0, 0, threading.Lock()

    def ask(number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002 * (number % 3))
        with lock:
            running -= 1
        return number * number

    assert list(in_parallel(ask, range(40), 4)) == [number * number for number in range(40)]
    assert 1 < most <= 4
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda number: 1 // number, [1, 0, 1]))
