"""A proxy in front of a real server, which records every request and can change requests and responses."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.lying_server import server_that

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lying_server import Handler


@dataclass
class RecordingProxy:
    """The URI of the proxy, and its requests as (path, path with query and body, response)."""

    uri: str
    requests: list[tuple[str, str, dict]] = field(default_factory=list)

    @property
    def runs(self) -> Counter[str]:
        """The number of responses that each run was in."""
        runs = [run for _, _, response in self.requests for run in response.get("runs", [])]
        return Counter(run["info"]["run_id"] for run in runs)

    @property
    def endpoints(self) -> Counter[str]:
        """The number of requests by the last two components of their path."""
        return Counter("/".join(path.split("/")[-2:]) for path, _, _ in self.requests)

    def repeated_requests(self) -> list[tuple[str, str]]:
        """The requests that were sent more than once."""
        counts = Counter((path, body) for path, body, _ in self.requests)
        return [request for request, count in counts.items() if count > 1]


def unchanged(request: dict) -> dict:
    """The request itself."""
    return request


@contextlib.contextmanager
def recording_proxy(
    server: str,
    change_request: Callable[[dict], dict] = unchanged,
    change_response: Callable[[dict, dict], dict | None] | None = None,
    absent: Callable[[str], bool] = lambda _: False,
) -> Iterator[RecordingProxy]:
    """A local server that forwards each request.

    change_request: changes the JSON body of a request before it is forwarded.
    change_response: returns the response for (JSON body, response of the server); None makes it a status 400.
    absent: whether the server has no endpoint at a path, and answers as MLflow's does then.
    """
    target = urlsplit(server).netloc

    def forward(it: Handler) -> None:
        if absent(it.path):
            it.reply(b"<!doctype html><title>404 Not Found</title>", 404, Content_Type="text/html")
            return
        request = _json(it.body)
        connection = http.client.HTTPConnection(target, timeout=60)
        headers = {"Content-Type": "application/json"} if it.body else {}
        sent = json.dumps(change_request(request)).encode() if it.body else None
        connection.request(it.command, it.path, sent, headers)
        response = connection.getresponse()
        status, data = response.status, response.read()
        connection.close()
        if change_response is not None and status == 200 and it.body:
            changed = change_response(request, _json(data))
            status = 400 if changed is None else status
            data = json.dumps(changed or {"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}).encode()
        proxy.requests.append((it.path.partition("?")[0], it.path + it.body.decode(), _json(data)))
        it.reply(data, status, Content_Type=response.headers["Content-Type"])

    with server_that(forward) as (_, uri):
        proxy = RecordingProxy(uri)
        yield proxy


def _json(data: bytes) -> dict:
    try:
        return json.loads(data)
    except ValueError:
        return {}
