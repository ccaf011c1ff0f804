"""A server for tests that answers as MLflow's would, but for one lie: endless pages, broken JSON, runs of nowhere.

By hand, for a look at what a command makes of it:

    python -m tests.lying_server --list
    python -m tests.lying_server "runs: a fresh token and the same page each time" --port 5001
    qualia findings --tracking-uri http://127.0.0.1:5001
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.server
import itertools
import json
import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[["Handler"], None]


class LyingServer(http.server.ThreadingHTTPServer):
    """Answers every question with `answer(handler)`; keeps the questions."""

    daemon_threads = True

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.questions: list[tuple[str, Any, bytes]] = []
        self.counted = itertools.count(1)  # for tokens and ids that are new each time
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        """A client that gave up is what is tested."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection; `reply` and the methods after it are what answers are made of."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are sent apart, and would wait for each other

    def do_GET(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.questions.append((self.path, self.headers, self.body))
        self.server.answer(self)

    do_POST = do_GET  # noqa: N815 - the library's name

    def reply(self, body=b"", status=200, **headers):
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": len(body)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def say(self, answer: object, status: int = 200) -> None:
        self.reply(json.dumps(answer).encode(), status)

    @property
    def endpoint(self) -> str:
        """`runs/search`, `artifacts/list`, ...: the last two parts of the path."""
        return "/".join(urlsplit(self.path).path.strip("/").split("/")[-2:])

    @property
    def asked(self) -> dict[str, Any]:
        """The question, whether it came as JSON or in the address."""
        in_address = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        return {**in_address, **(json.loads(self.body) if self.body else {})}

    def log_message(self, *args):
        """Nothing."""


@contextlib.contextmanager
def server_that(answer: Answer, port: int = 0) -> Iterator[tuple[LyingServer, str]]:
    """The server and its address, for as long as this lasts."""
    server = LyingServer(answer, port)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


# What is true: one experiment of three runs.

RUN_IDS = [f"{number}" * 32 for number in (1, 2, 3)]
EXPERIMENT = {"experiment_id": "1", "name": "churn", "lifecycle_stage": "active"}


def run(run_id: str, experiment_id: str | None = "1", **info: Any) -> dict[str, Any]:
    """A run as MLflow's server tells of it."""
    number = int(run_id[-1], 16)
    about = {
        "run_id": run_id,
        "run_name": f"run-{run_id[:1]}",
        "experiment_id": experiment_id,
        "status": "FINISHED",
        "start_time": 1_760_000_000_000 + 60_000 * number,
        "end_time": 1_760_000_030_000 + 60_000 * number,
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts",
    } | info
    point = {"key": "val_auc", "value": 0.7 + number / 100, "step": 9, "timestamp": about["end_time"]}
    return {
        "info": {name: value for name, value in about.items() if value is not None},
        "data": {"params": [{"key": "lr", "value": f"0.{number}"}], "metrics": [point], "tags": []},
    }


RUNS = [run(run_id) for run_id in RUN_IDS]


def true_answer(it: Handler) -> None:
    """What a server with these three runs answers."""
    asked, endpoint = it.asked, it.endpoint
    if endpoint == "experiments/search":
        it.say({"experiments": [EXPERIMENT]})
    elif endpoint == "runs/search":
        it.say({"runs": [one for one in RUNS if _is_wanted(one, asked)][: int(asked.get("max_results", 1000))]})
    elif endpoint == "runs/get":
        found = [one for one in RUNS if one["info"]["run_id"] == asked.get("run_id")]
        if found:
            it.say({"run": found[0]})
        else:
            it.say({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}, 404)
    elif endpoint == "logged-models/search":
        it.say({"models": [model("1", RUN_IDS[0])]})
    elif endpoint == "artifacts/list":
        it.say({"files": [] if asked.get("path") else [{"path": "notes.txt", "file_size": "5"}]})
    elif urlsplit(it.path).path == "/get-artifact":
        it.reply(b"hello", Content_Type="text/plain")
    elif endpoint == "metrics/get-history":
        it.say({"metrics": points(asked["metric_key"])})
    elif urlsplit(it.path).path == "/version":
        it.reply(b"3.17.2", Content_Type="text/html")
    else:
        it.say({"error_code": "ENDPOINT_NOT_FOUND", "message": "no such endpoint"}, 404)


def _is_wanted(one: dict[str, Any], asked: dict[str, Any]) -> bool:
    listed = asked.get("filter", "")
    return one["info"]["experiment_id"] in asked.get("experiment_ids", ["1"]) and (
        " IN (" not in listed or one["info"]["run_id"] in listed
    )


def model(model_id: str, run_id: str) -> dict[str, Any]:
    """A logged model as MLflow's server tells of it."""
    about = {"model_id": f"m-{model_id:0>32}", "experiment_id": "1", "name": "net", "source_run_id": run_id}
    return {"info": about | {"status": "LOGGED_MODEL_READY"}}


def points(key: str, first_step: int = 0, count: int = 10) -> list[dict[str, Any]]:
    """A metric's history, and a rising one."""
    return [
        {"key": key, "value": 0.6 + step / 1000, "step": step, "timestamp": 1_760_000_000_000 + 1000 * step}
        for step in range(first_step, first_step + count)
    ]


# What is a lie: the answer of one endpoint, and the truth everywhere else.


def lie(endpoint: str, answer: Answer) -> Answer:
    """This answer at this endpoint, and the truth at all others."""

    def answers(it: Handler) -> None:
        (answer if it.endpoint == endpoint else true_answer)(it)

    return answers


def endless(field: str, items: Callable[[Handler, int], list[Any]]) -> Answer:
    """Pages of these items without end, each with a token that was never there before."""

    def answer(it: Handler) -> None:
        number = next(it.server.counted)
        it.say({field: items(it, number), "next_page_token": f"token-{number}"})

    return answer


def _fresh_id(number: int, place: int = 0) -> str:
    return f"{number * 1000 + place:032x}"


def _fresh_runs(it: Handler, number: int, count: int = 1000) -> list[Any]:
    return [run(_fresh_id(number, place)) for place in range(count)]


def _fresh_experiments(it: Handler, number: int) -> list[Any]:
    return [
        {**EXPERIMENT, "experiment_id": str(number * 1000 + one), "name": f"e{number}-{one}"} for one in range(1000)
    ]


def _of_run(it: Handler, run_id: str, experiment_id: str | None) -> None:
    """The three runs, and one more of this experiment."""
    it.say({"runs": [*RUNS, run(run_id, experiment_id)]})


def _text(text: bytes, status: int = 200, kind: str = "text/html") -> Answer:
    return lambda it: it.reply(text, status, Content_Type=kind)


NO_RIGHTS = json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"}).encode()
LOGIN_PAGE = b"<!doctype html><title>Log in</title>"
CUT = b'{"models": [{"info": {"model_id": "m-1'
STRAY = "a" * 32

LIES: dict[str, Answer] = {
    # Endless: nothing new in any page.
    "experiments: a fresh token and the same page each time": lie(
        "experiments/search", endless("experiments", lambda *_: [EXPERIMENT])
    ),
    "runs: a fresh token and the same page each time": lie("runs/search", endless("runs", lambda *_: RUNS)),
    "models: a fresh token and the same page each time": lie(
        "logged-models/search", endless("models", lambda *_: [model("1", RUN_IDS[0])])
    ),
    "artifacts: a fresh token and the same page each time": lie(
        "artifacts/list", endless("files", lambda *_: [{"path": "notes.txt"}])
    ),
    "histories: a fresh token and the same page each time": lie(
        "metrics/get-history", endless("metrics", lambda *_: points("val_auc"))
    ),
    "experiments: empty pages": lie("experiments/search", endless("experiments", lambda *_: [])),
    "runs: empty pages": lie("runs/search", endless("runs", lambda *_: [])),
    "runs: pages of runs without an id": lie("runs/search", endless("runs", lambda *_: [{"info": None}] * 100)),
    "runs: pages of what is no run": lie("runs/search", endless("runs", lambda *_: [7, None, "run"])),
    "artifacts: empty pages": lie("artifacts/list", endless("files", lambda *_: [])),
    # Endless: something new in every page.
    "experiments: new ones in every page": lie("experiments/search", endless("experiments", _fresh_experiments)),
    "runs: new ones in every page": lie("runs/search", endless("runs", _fresh_runs)),
    "runs: one new one in every page": lie("runs/search", endless("runs", lambda it, n: _fresh_runs(it, n, 1))),
    "models: new ones in every page": lie(
        "logged-models/search", endless("models", lambda it, n: [model(f"{n}-{one}", STRAY) for one in range(100)])
    ),
    "artifacts: new files in every page": lie(
        "artifacts/list",
        endless("files", lambda it, n: [{"path": f"{n}-{one}.txt", "file_size": 1} for one in range(1000)]),
    ),
    "artifacts: new folders in every page": lie(
        "artifacts/list", endless("files", lambda it, n: [{"path": f"{n}-{one}", "is_dir": True} for one in range(100)])
    ),
    "artifacts: folders in folders": lie(
        "artifacts/list",
        lambda it: it.say(
            {"files": [{"path": f"{it.asked.get('path', 'f')}/{n}", "is_dir": True} for n in range(100)]}
        ),
    ),
    "artifacts: a folder in itself": lie(
        "artifacts/list", lambda it: it.say({"files": [{"path": it.asked.get("path", "f"), "is_dir": True}]})
    ),
    "histories: new points in every page": lie(
        "metrics/get-history", endless("metrics", lambda it, n: points("val_auc", n * 1000, 1000))
    ),
    # One run that is wrong among others that are not.
    "runs: one is null": lie("runs/search", lambda it: it.say({"runs": [None, *RUNS]})),
    "runs: one has no info": lie("runs/search", lambda it: it.say({"runs": [{"info": None}, *RUNS]})),
    "runs: one says no experiment": lie("runs/search", lambda it: _of_run(it, STRAY, None)),
    "runs: one is of an experiment that is not there": lie("runs/search", lambda it: _of_run(it, STRAY, "99")),
    "experiments: one has no id": lie(
        "experiments/search", lambda it: it.say({"experiments": [{"name": "lost"}, EXPERIMENT]})
    ),
    # A secondary endpoint that fails.
    "models: no rights": lie("logged-models/search", _text(NO_RIGHTS, 403, "application/json")),
    "models: a login page": lie("logged-models/search", _text(LOGIN_PAGE)),
    "models: cut off": lie("logged-models/search", _text(CUT, kind="application/json")),
    "models: a redirect": lie("logged-models/search", lambda it: it.reply(b"", 302, Location="http://127.0.0.1:9/")),
    "artifacts: no rights": lie("artifacts/list", _text(NO_RIGHTS, 403, "application/json")),
    "artifacts: a login page": lie("artifacts/list", _text(LOGIN_PAGE)),
    "histories: no rights": lie("metrics/get-history", _text(NO_RIGHTS, 403, "application/json")),
    "histories: a login page": lie("metrics/get-history", _text(LOGIN_PAGE)),
    "histories: cut off": lie("metrics/get-history", _text(b'{"metrics": [{"key"', kind="application/json")),
}


# What is no answer at all, or a broken one; on every endpoint.


def silent(seconds: float) -> Answer:
    """No word for so long, in a thread that nobody waits for."""
    return lambda _: time.sleep(seconds)


def drip(handler: Handler) -> None:
    """A body of a space every tenth of a second."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def drip_headers(handler: Handler) -> None:
    """Headers of a letter every tenth of a second."""
    for _ in range(600):
        handler.wfile.write(b"X")
        time.sleep(0.1)


def half_a_body(handler: Handler) -> None:
    """Less than was announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"experiments"')
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """The connection is reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def huge(handler: Handler) -> None:
    """Four gigabytes of spaces."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(4 << 30))
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b" " * (1 << 20))


def bomb(handler: Handler) -> None:
    """300 MB of spaces in a few hundred kilobytes."""
    handler.reply(gzip.compress(b" " * (1 << 20)) * 300, Content_Encoding="gzip")


def many_values(handler: Handler) -> None:
    """60 MB of empty objects, which as Python's would take a gigabyte and a half."""
    handler.reply(b'{"experiments": [' + b"{}," * 20_000_000 + b"{}]}")


FAULTS: dict[str, Answer] = {
    "silent": silent(120),
    "drip": drip,
    "drip_headers": drip_headers,
    "half_a_body": half_a_body,
    "reset": reset,
    "huge": huge,
    "bomb": bomb,
    "many_values": many_values,
    "busy": lambda it: it.reply(b"", 503),
    "too_many": lambda it: it.reply(b"", 429, Retry_After=120),
    "login_page": _text(LOGIN_PAGE),
    "redirect": lambda it: it.reply(b"", 302, Location="https://sso.example.com/login"),
    "no_rights": lambda it: it.reply(b"", 403),
    "empty": lambda it: it.reply(b""),
}


def main() -> None:
    """Start one by hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="of a lie or fault; without one, the truth")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--list", action="store_true", help="say which there are")
    asked = parser.parse_args()
    known = {**LIES, **FAULTS}
    if asked.list:
        print("\n".join(known))
        return
    if asked.name is not None and asked.name not in known:
        parser.error(f"there is no {asked.name!r}; --list says which there are")
    with server_that(known.get(asked.name, true_answer), asked.port) as (server, uri):
        print(f"{asked.name or 'the truth'} at {uri}, until Ctrl-C", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)
                print(f"\r{len(server.questions):,} questions", end="", flush=True)


if __name__ == "__main__":
    main()
