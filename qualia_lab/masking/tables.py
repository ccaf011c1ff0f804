"""Masks secrets in tables: equal secrets of one name get the same number, so that runs can still be compared."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules, is_never_masked, is_secret_key
from qualia_lab.masking.text import MARK, MAY_HOLD, is_nothing, replace_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.tables import RunTables

# What holds values by names, and what the names are called.
KEYED = {"params": "param", "tags": "tag", "experiment_tags": "experiment tag"}
# Texts that are masked by their form alone, and what they are called.
_TEXTS = {
    "experiments": {"name": "experiment name", "artifact_location": "artifact location"},
    "runs": {"run_name": "run name", "user_id": "user", "artifact_uri": "artifact URI"},
    "datasets": {
        "name": "dataset name",
        "source": "dataset source",
        "schema": "dataset schema",
        "profile": "dataset profile",
    },
    "logged_models": {"name": "model name", "artifact_location": "model location"},
    "missing": {"reason": "reason"},
    "problems": {"subject": "problem", "reason": "problem"},
}


# Names of what is an address, which says more with its host than without it.
_ADDRESSES = re.compile(r"(?i)(ur[li]|dsn|webhook|conn(ection)?_?str(ing)?)s?\Z")
_MARKED = "‹masked( [0-9]+)?›"


class Masker:
    """Masks values and texts, and remembers for each name which secret has which number.

    The numbers say nothing of the secrets: they count them in the order in which they were met.
    """

    def __init__(self, rules: MaskRules = DEFAULT_RULES) -> None:
        self.rules = rules
        self._numbers: dict[str, dict[str, int]] = {}
        self._highest: dict[str, int] = {}

    def value(self, what: str, key: str, value: str) -> str:
        """The value of a param or tag: all of it is masked by a secret name, else what has the form of a secret.

        what: `param` or `tag`, whose names are numbered each for itself.
        """
        if is_never_masked(key, self.rules):
            return value
        scope = f"{what} {key}"
        if is_secret_key(key, self.rules) and not is_nothing(value):
            by_form = self.text(scope, value)
            return by_form if _ADDRESSES.search(key) and _is_masked_address(by_form) else self._mask(scope, value)
        return self.text(scope, value)

    def text(self, scope: str, text: str) -> str:
        """The text with what has the form of a secret masked."""
        return replace_secrets(text, lambda secret: self._mask(scope, secret), self.rules)

    def remember(self, what: str, key: str, stored: str, shown: str) -> None:
        """Go on with the numbers of an earlier time, of which one value is known as stored and as shown."""
        met: list[str] = []
        before = self._numbers, self._highest
        self._numbers, self._highest = {}, {}
        try:
            self.value(what, key, stored)
            met = list(self._numbers.get(f"{what} {key}", {}))
        finally:
            self._numbers, self._highest = before
        numbers = list(dict.fromkeys(int(mark[1]) for mark in MARK.finditer(shown) if mark[1]))
        scope = f"{what} {key}"
        self.reserve(scope, shown)
        if len(met) == len(numbers):
            for secret, number in zip(met, numbers, strict=True):
                self._numbers.setdefault(scope, {}).setdefault(secret, number)

    def reserve(self, scope: str, shown: str) -> None:
        """Give no new secret a number that stands in this text."""
        for mark in MARK.finditer(shown):
            self._highest[scope] = max(self._highest.get(scope, 0), int(mark[1] or 0))

    def _mask(self, scope: str, secret: str) -> str:
        if MARK.fullmatch(secret):
            return secret
        numbers = self._numbers.setdefault(scope, {})
        if secret not in numbers:
            numbers[secret] = self._highest[scope] = self._highest.get(scope, 0) + 1
        return f"‹masked {numbers[secret]}›"


def mask_tables(tables: RunTables, masker: Masker | None = None) -> tuple[RunTables, tuple[str, ...]]:
    """The tables without the secrets that they hold, and what was masked: `param db_password`, `artifact URI`.

    masker: remembers numbers from one call to the next, so that tables read apart can be compared.
    """
    masker = masker or Masker()
    changed: dict[str, pa.Table] = {}
    for name, what in KEYED.items():
        changed[name] = mask_keyed(getattr(tables, name), what, masker)
    for name in _TEXTS:
        changed[name] = mask_texts(getattr(tables, name), name, masker)
    found = replace(tables, **changed)
    return found, masked_keys(found)


def masked_keys(tables: RunTables) -> tuple[str, ...]:
    """What is masked in these tables, by name: `param db_password`, `tag mlflow.source.name`, `artifact URI`."""
    said: dict[str, None] = {}
    for name, what in KEYED.items():
        table = getattr(tables, name)
        for key in sorted(pc.unique(table.filter(_holds(table.column("value"), _MARKED)).column("key")).to_pylist()):
            said[f"{what} {key}"] = None
    for name, columns in _TEXTS.items():
        for place, what in columns.items():
            if pc.any(_holds(getattr(tables, name).column(place), _MARKED)).as_py():
                said[what] = None
    return tuple(said)


def mask_keyed(table: pa.Table, what: str, masker: Masker) -> pa.Table:
    """A tidy table of `key` and `value` with its secrets masked."""
    keys = whole(table.column("key")).dictionary_encode()
    named = np.array([is_secret_key(key, masker.rules) for key in keys.dictionary.to_pylist()], np.bool_)
    values = whole(table.column("value"))
    places = numbers_of(filled(keys.indices, -1))
    by_name = np.append(named, False)[places] if len(places) else np.zeros(0, np.bool_)
    looked_at = np.flatnonzero(by_name | _truths(_holds(values, MAY_HOLD)))
    return _with_changes(
        table, "value", looked_at, lambda row: masker.value(what, row["key"], row["value"]), masker, what
    )


def mask_texts(table: pa.Table, name: str, masker: Masker) -> pa.Table:
    """A table with the secrets in its texts masked. name: that of the table."""
    for place, what in _TEXTS[name].items():
        if place not in table.column_names:
            continue
        looked_at = np.flatnonzero(_truths(_holds(table.column(place), MAY_HOLD)))
        table = _with_changes(
            table,
            place,
            looked_at,
            lambda row, at=place, as_=what: masker.text(as_, row[at]),
            masker,
            what,
        )
    return table


def _holds(values: pa.Array | pa.ChunkedArray, pattern: str) -> pa.Array:
    return filled_false(pc.match_substring_regex(whole(values), pattern))


def filled_false(values: pa.Array) -> pa.Array:
    """Truth values with false in the place of null."""
    return pc.and_kleene(values, pc.is_valid(values)) if values.null_count else values


def _truths(values: pa.Array) -> np.ndarray[Any, Any]:
    return numbers_of(pc.cast(values, pa.int8())).astype(np.bool_)


def _is_masked_address(text: str) -> bool:
    return "://" in text and MARK.search(text) is not None and not any(char.isspace() for char in MARK.sub("", text))


def _with_changes(  # noqa: PLR0917
    table: pa.Table, place: str, rows: np.ndarray[Any, Any], change: Any, masker: Masker, what: str
) -> pa.Table:
    """The table with the texts of some rows changed; the same table where none is."""
    if not len(rows):
        return table
    looked_at = table.take(column_of(rows.astype(np.int64), pa.int64())).to_pylist()
    texts = [row[place] for row in looked_at]
    for row in looked_at:  # a store may hold what looks like a mask of ours: no secret is to be equal to it
        if row[place] is not None and MARK.search(row[place]):
            masker.reserve(f"{what} {row['key']}" if place == "value" else what, row[place])
    new = [None if text is None else change(row) for text, row in zip(texts, looked_at, strict=True)]
    if new == texts:
        return table
    values = whole(table.column(place))
    mask = np.zeros(len(values), np.int8)
    mask[rows] = 1
    changed = pc.replace_with_mask(values, pc.cast(column_of(mask, pa.int8()), pa.bool_()), column(new, pa.string()))
    return table.set_column(table.column_names.index(place), table.schema.field(place), changed)


def marked_rows(table: pa.Table) -> list[Mapping[str, Any]]:
    """The rows of a tidy table whose value holds a mask."""
    rows: list[Mapping[str, Any]] = table.filter(_holds(table.column("value"), _MARKED)).to_pylist()
    return rows
