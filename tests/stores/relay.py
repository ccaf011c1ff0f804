"""A relay before a real server, which writes down every question and may change what is asked and answered."""

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
class Relay:
    """Where the server is reached through a relay, and what it was asked: the path's end, the body, the answer."""

    uri: str
    asked: list[tuple[str, str, dict]] = field(default_factory=list)

    @property
    def runs(self) -> Counter[str]:
        """How often each run was in an answer."""
        found = [run for _, _, answer in self.asked for run in answer.get("runs", [])]
        return Counter(run["info"]["run_id"] for run in found)

    @property
    def ends(self) -> Counter[str]:
        """How often each kind of question was asked."""
        return Counter("/".join(path.split("/")[-2:]) for path, _, _ in self.asked)

    def asked_twice(self) -> list[tuple[str, str]]:
        """The questions that were asked again in the same words."""
        return [
            question for question, times in Counter((path, body) for path, body, _ in self.asked).items() if times > 1
        ]


def as_it_is(said: dict) -> dict:
    """Nothing is changed."""
    return said


@contextlib.contextmanager
def relayed(
    server: str, question: Callable[[dict], dict] = as_it_is, answer: Callable[[dict, dict], dict | None] | None = None
) -> Iterator[Relay]:
    """A server of our own that hands each question on.

    question: makes of what is asked with a JSON body what the server is asked.
    answer: makes of what was asked and the server's answer that of the relay; of None, a 400.
    """
    target = urlsplit(server).netloc

    def hand_on(it: Handler) -> None:
        asked = _json(it.body)
        connection = http.client.HTTPConnection(target, timeout=60)
        headers = {"Content-Type": "application/json"} if it.body else {}
        sent = json.dumps(question(asked)).encode() if it.body else None
        connection.request(it.command, it.path, sent, headers)
        told = connection.getresponse()
        status, data = told.status, told.read()
        connection.close()
        if answer is not None and status == 200 and it.body:
            changed = answer(asked, _json(data))
            status = 400 if changed is None else status
            data = json.dumps(changed or {"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}).encode()
        said.asked.append((it.path.partition("?")[0], it.path + it.body.decode(), _json(data)))
        it.reply(data, status, Content_Type=told.headers["Content-Type"])

    with server_that(hand_on) as (_, uri):
        said = Relay(uri)
        yield said


def _json(data: bytes) -> dict:
    try:
        return json.loads(data)
    except ValueError:
        return {}
