"""Paged requests to a server, protected against endless pages."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.http.rows import info_of, run_id_of
from qualia_lab.stores.limits import MAX_PAGES_WITHOUT_NEW, Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

# How entries are recognized as new: by id, or for points, which have none, by a hash of the whole page.
_IDS: dict[str, Callable[[list[Json]], list[Hashable]]] = {
    "experiments": lambda items: [_text(item.get("experiment_id")) for item in items],
    "runs": lambda items: [run_id_of(item) for item in items],
    "models": lambda items: [_text(info_of(item).get("model_id")) for item in items],
    "files": lambda items: [_text(item.get("path")) for item in items],
    "metrics": lambda items: [hash(repr(items))] if items else [],
    "traces": lambda items: [_text(item.get("trace_id") or item.get("request_id")) for item in items],
    "model_versions": lambda items: [f"{item.get('version')} {item.get('name')}" for item in items],
    "registered_models": lambda items: [_text(item.get("name")) for item in items],
    "datasets": lambda items: [_text(item.get("dataset_id")) for item in items],
    "records": lambda items: [_text(item.get("dataset_record_id")) for item in items],
}


def read_pages(
    client: RestClient,
    method: str,
    path: str,
    parameters: Mapping[str, Any],
    field: str,
    *,
    budget: Budget | None = None,
) -> Iterator[Json]:
    """Every entry of every page of one query. Entries that are not JSON objects are skipped.

    Args:
        client: sends the requests.
        method: GET, or POST with the parameters as JSON.
        path: the endpoint.
        parameters: the parameters, without a page token.
        field: the name of the list of entries, a key of `_IDS`.
        budget: limits shared with other queries; None for limits of its own.

    Raises:
        StoreUnreadable: the server returns pages without new entries, or more than the limits allow.
        StoreError: see `RestClient.request_json`.
    """
    budget = budget or Budget(client.uri.safe, field)
    seen: set[int] = set()
    token, pages, pages_without_new, seconds_waited = "", 0, 0, 0.0
    while True:
        request = {**parameters, "page_token": token} if token else parameters
        since = time.monotonic()
        answer, size = client.request_json_with_size(
            method,
            path,
            parameters=_in_address(request) if method == "GET" else (),
            body=None if method == "GET" else request,
            seconds=max(client.seconds - seconds_waited, 0.05),
        )
        seconds_waited += time.monotonic() - since
        items = _items(answer.get(field))
        if not isinstance(items, list):
            raise StoreUnreadable(f"{client.uri.safe} gave something other than a list of {field}.", "Is it MLflow's?")
        objects = [item for item in items if isinstance(item, dict)]
        pages += 1
        budget.spend(len(items), size)
        yield from objects
        token = answer.get("next_page_token") or ""
        if not token:
            return
        before = len(seen)
        seen.update(hash(entry_id) for entry_id in _IDS[field](objects) if entry_id)
        pages_without_new, seconds_waited = (0, 0.0) if len(seen) > before else (pages_without_new + 1, seconds_waited)
        if pages_without_new == MAX_PAGES_WITHOUT_NEW or seconds_waited >= client.seconds:
            raise StoreUnreadable(
                f"{client.uri.safe} gives pages of {field} without end, with nothing new in them: "
                f"stopped after {pages:,} pages.",
                "Look at the server's log.",
            )


def _in_address(parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Parameters for an address, in which a list is one parameter for each of its items."""
    return [
        (name, one) for name, value in parameters.items() for one in (value if isinstance(value, list) else [value])
    ]


def _items(given: Any) -> Any:
    """The entries of a page; MLflow gives the records of a dataset as a list in a text of JSON."""
    if not isinstance(given, str):
        return given or []
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given


def _text(value: Any) -> str:
    return "" if value is None else str(value)
