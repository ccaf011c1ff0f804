"""One question to a server, page after page: until it ends, brings nothing new, or brings more than any store holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.http.rows import info_of, run_id_of
from qualia_lab.stores.limits import PAGES_WITHOUT_NEWS, Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

# By which an entry is known to be another one. Points have none: a page of them is known as a whole.
_IDS: dict[str, Callable[[list[Json]], list[Hashable]]] = {
    "experiments": lambda items: [_text(item.get("experiment_id")) for item in items],
    "runs": lambda items: [run_id_of(item) for item in items],
    "models": lambda items: [_text(info_of(item).get("model_id")) for item in items],
    "files": lambda items: [_text(item.get("path")) for item in items],
    "metrics": lambda items: [hash(repr(items))] if items else [],
}


def read_pages(
    client: RestClient, method: str, path: str, question: Mapping[str, Any], field: str, *, budget: Budget | None = None
) -> Iterator[Json]:
    """Every entry of every page of one question; an entry that is no object is left out.

    Args:
        client: who asks.
        method: GET, or POST with the question as JSON.
        path: of the endpoint.
        question: without a page token.
        field: under which the entries stand: experiments, runs, models, metrics, files.
        budget: what the question may bring together with others; by default its own.

    Raises:
        StoreUnreadable: a server that gives pages without new entries, or more than the budget.
        StoreError: what `RestClient.ask` raises.
    """
    budget = budget or Budget(client.uri.safe, field)
    seen: set[int] = set()
    token, pages, barren, waited = "", 0, 0, 0.0
    while True:
        asked = {**question, "page_token": token} if token else question
        since = time.monotonic()
        answer, size = client.ask_sized(
            method,
            path,
            parameters=list(asked.items()) if method == "GET" else (),
            body=None if method == "GET" else asked,
            seconds=max(client.seconds - waited, 0.05),
        )
        waited += time.monotonic() - since
        items = answer.get(field) or []
        if not isinstance(items, list):
            raise StoreUnreadable(f"{client.uri.safe} gave something else than a list of {field}.", "Is it MLflow's?")
        objects = [item for item in items if isinstance(item, dict)]
        pages += 1
        budget.spend(len(items), size)
        before = len(seen)
        seen.update(hash(one) for one in _IDS[field](objects) if one)
        barren, waited = (0, 0.0) if len(seen) > before else (barren + 1, waited)
        yield from objects
        token = answer.get("next_page_token") or ""
        if not token:
            return
        if barren == PAGES_WITHOUT_NEWS or waited >= client.seconds:
            raise StoreUnreadable(
                f"{client.uri.safe} gives pages of {field} without end, and nothing new in them: "
                f"stopped after {pages:,} pages.",
                "Look at the server's log.",
            )


def _text(value: Any) -> str:
    return "" if value is None else str(value)
