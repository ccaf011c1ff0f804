"""Metrics whose key ends like a statistic: `metrics.reward.mean` is the metric `reward.mean` where a run has it."""

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


def with_whole_keys(store: TrackingStore, query: Query) -> Query:
    """The query as MLflow would read it: a key that a run has is that metric, and a statistic only where none has it.

    A whole key is put into backticks, which no statistic is read from. Where a run has the metric before the dot too,
    `notes` says how each is spelled. The store is asked for keys only where one ends like a statistic.

    Raises:
        FilterError: where the filter or the order cannot be read.
    """
    texts = (query.filter, *query.order_by)
    asked = {key: bare for text in texts for _, key, bare in _ends_like_a_statistic(text)}
    if not asked:
        return query
    among = replace(query, filter="", order_by=(), limit=None)
    there = read_keys(store, among, [*asked, *asked.values()])["metric"]
    whole = asked.keys() & there
    both = sorted(key for key in whole if asked[key] in there)
    notes = [
        f"metrics.{key} is read as the metric of that name; for the {key.rpartition('.')[2]} of the history of "
        f"{asked[key]} write metrics.`{asked[key]}`.{key.rpartition('.')[2]}."
        for key in both
    ]
    return replace(
        query,
        filter=_quoted(query.filter, whole),
        order_by=tuple(_quoted(text, whole) for text in query.order_by),
        notes=(*query.notes, *notes),
    )


def _ends_like_a_statistic(text: str) -> Iterator[tuple[Token, str, str]]:
    """The paths of a text that name a metric and a statistic, each with its whole key and the key before the dot."""
    tokens = tokenize(text)
    for token, after in pairwise(tokens):
        prefix, _, key = token.text.partition(".")
        if token.kind != "path" or KINDS.get(prefix.strip("`").lower()) != "metric" or key != unquoted(key):
            continue
        bare, statistic = split_statistic(key)
        if bare != key and bare and not (statistic == "at" and after.text == "("):
            yield token, key, bare


def _quoted(text: str, whole: Collection[str]) -> str:
    """The text with these keys in backticks."""
    for token, key, _ in reversed(list(_ends_like_a_statistic(text))):
        if key in whole:
            text = f"{text[: token.position]}metrics.`{key}`{text[token.position + len(token.text) :]}"
    return text
