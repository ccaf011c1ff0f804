"""Metric keys that end like a statistic: `metrics.reward.mean` means the metric `reward.mean` where a run has it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from qualia_lab.query.fields import KINDS, split_statistic
from qualia_lab.query.tokens import tokenize, unquoted
from qualia_lab.stores.keys import read_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from qualia_lab.query.tokens import Token
    from qualia_lab.selection import Query
    from qualia_lab.stores.protocol import TrackingStore


def quote_dotted_keys(store: TrackingStore, query: Query) -> Query:
    """Quote the metric keys of a query that end like a statistic, so that it means what it means to MLflow.

    A key such as `reward.mean` is quoted in backticks, which rules out a statistic, if any run has a metric of that
    name. If runs also have a metric `reward`, a note explains how to write each of them. The store is read only if a
    key ends like a statistic.

    Args:
        store: the store, in which the keys are looked up.
        query: the query.

    Returns:
        The query, with quoted keys and notes.

    Raises:
        FilterError: the filter or the order cannot be parsed.
    """
    texts = (query.filter, *query.order_by)
    bare_keys = {key: bare for text in texts for _, key, bare in _statistic_like_keys(text)}
    if not bare_keys:
        return query
    all_runs = replace(query, filter="", order_by=(), limit=None)
    existing = read_keys(store, all_runs, [*bare_keys, *bare_keys.values()])["metric"]
    existing_dotted = bare_keys.keys() & existing
    ambiguous = sorted(key for key in existing_dotted if bare_keys[key] in existing)
    notes = [
        f"metrics.{key} is read as the metric of that name; for the {key.rpartition('.')[2]} of the history of "
        f"{bare_keys[key]} write metrics.`{bare_keys[key]}`.{key.rpartition('.')[2]}."
        for key in ambiguous
    ]
    return replace(
        query,
        filter=_quote_keys(query.filter, existing_dotted),
        order_by=tuple(_quote_keys(text, existing_dotted) for text in query.order_by),
        notes=(*query.notes, *notes),
    )


def _statistic_like_keys(text: str) -> Iterator[tuple[Token, str, str]]:
    """Tokens that may name a metric and a statistic, each with its full key and the key before the last dot."""
    tokens = tokenize(text)
    for token, after in pairwise(tokens):
        prefix, _, key = token.text.partition(".")
        if token.kind != "path" or KINDS.get(prefix.strip("`").lower()) != "metric" or key != unquoted(key):
            continue
        bare, statistic = split_statistic(key)
        if bare != key and bare and not (statistic == "at" and after.text == "("):
            yield token, key, bare


def _quote_keys(text: str, existing_dotted: Collection[str]) -> str:
    """The text with these keys quoted in backticks."""
    for token, key, _ in reversed(list(_statistic_like_keys(text))):
        if key in existing_dotted:
            text = f"{text[: token.position]}metrics.`{key}`{text[token.position + len(token.text) :]}"
    return text
