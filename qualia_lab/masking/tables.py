"""Masks secrets in tables. Equal secrets of one name get the same number, so that runs can still be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.masking.candidates import candidate_rows
from qualia_lab.masking.json_text import mask_json
from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules, is_secret_key
from qualia_lab.masking.text import MASK_PATTERN, MAY_HOLD, mask_value, may_hold_secret, replace_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qualia_lab.masking.candidates import Rows
    from qualia_lab.tables import RunTables

# Arrow compiles a pattern at each call, in which time Python searches about this many bytes.
_FEW_BYTES = 8_000
# The tables of keys and values, with the word for one of their keys.
KEYED = {"params": "param", "tags": "tag", "experiment_tags": "experiment tag"}
# Columns of text that are masked only by form, with a description of each.
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


class Masker:
    """Masks values and texts with numbered masks, and remembers the number of each secret for each name.

    The numbers reveal nothing about the secrets: they count them in the order in which they were read.
    """

    def __init__(self, rules: MaskRules = DEFAULT_RULES) -> None:
        self.rules = rules
        self._numbers: dict[str, dict[str, int]] = {}
        self._highest: dict[str, int] = {}

    def value(self, what: str, key: str, value: str) -> str:
        """The value of a param or tag, masked entirely if the name is that of a secret, else where it looks like one.

        Args:
            what: `param`, `tag` or `experiment tag`; their numbers are independent.
            key: the name of the param or tag.
            value: the stored value.
        """
        return mask_value(key, value, lambda secret: self._mask(f"{what} {key}", secret), self.rules)

    def text(self, scope: str, text: str) -> str:
        """The text with everything masked that has the form of a secret. `scope`: what is numbered together."""
        return replace_secrets(text, lambda secret: self._mask(scope, secret), self.rules)

    def json(self, scope: str, text: str) -> str:
        """The same for text that may be JSON, which stays JSON."""
        return mask_json(text, lambda secret: self._mask(scope, secret), self.rules)

    def remember(self, what: str, key: str, stored: str, shown: str) -> None:
        """Continue an earlier numbering, given one value both as stored and as it was shown with masks."""
        probe = Masker(self.rules)
        probe.value(what, key, stored)
        secrets = list(probe._numbers.get(f"{what} {key}", {}))
        numbers = list(dict.fromkeys(int(mark[1]) for mark in MASK_PATTERN.finditer(shown) if mark[1]))
        scope = f"{what} {key}"
        self.reserve(scope, shown)
        if len(secrets) == len(numbers):
            for secret, number in zip(secrets, numbers, strict=True):
                self._numbers.setdefault(scope, {}).setdefault(secret, number)

    def reserve(self, scope: str, shown: str) -> None:
        """Never give a new secret of this scope a number that is used in this text."""
        for mark in MASK_PATTERN.finditer(shown):
            self._highest[scope] = max(self._highest.get(scope, 0), int(mark[1] or 0))

    def _mask(self, scope: str, secret: str) -> str:
        if MASK_PATTERN.fullmatch(secret):
            return secret
        numbers = self._numbers.setdefault(scope, {})
        if secret not in numbers:
            numbers[secret] = self._highest[scope] = self._highest.get(scope, 0) + 1
        return f"‹masked {numbers[secret]}›"


def mask_tables(tables: RunTables, masker: Masker) -> RunTables:
    """Mask the secrets in tables.

    Args:
        tables: the tables as they are stored.
        masker: keeps the numbers from one call to the next, so that tables of several reads can be compared.

    Returns:
        The masked tables; `masked_keys` lists what was masked in them.
    """
    changed: dict[str, pa.Table] = {}
    for name, what in KEYED.items():
        changed[name] = mask_keyed(getattr(tables, name), what, masker)
    for name in _TEXTS:
        changed[name] = mask_texts(getattr(tables, name), name, masker)
    return replace(tables, **changed)


def masked_keys(tables: RunTables) -> tuple[str, ...]:
    """The names of what is masked in these tables: `param db_password`, `tag mlflow.source.name`, `artifact URI`."""
    names: dict[str, None] = {}
    for name, what in KEYED.items():
        table = getattr(tables, name)
        for key in sorted(
            pc.unique(table.filter(_matches(table.column("value"), MASK_PATTERN.pattern)).column("key")).to_pylist()
        ):
            names[f"{what} {key}"] = None
    for name, columns in _TEXTS.items():
        for column_name, what in columns.items():
            if pc.any(_matches(getattr(tables, name).column(column_name), MASK_PATTERN.pattern)).as_py():
                names[what] = None
    return tuple(names)


def masked_columns(tables: Mapping[str, pa.Table]) -> tuple[str, ...]:
    """The columns of these tables, by a name for each, that hold a mask, and the keys in tables of keys and values."""
    names: dict[str, None] = {}
    for name, table in tables.items():
        for field in table.schema:
            if field.type == pa.string() and pc.any(_matches(table.column(field.name), MASK_PATTERN.pattern)).as_py():
                keyed = field.name == "value" and table.schema.get_field_index("key") >= 0
                keys = sorted({row["key"] for row in masked_rows(table)}) if keyed else [field.name]
                names |= dict.fromkeys(f"{name} {key}" for key in keys)
    return tuple(names)


def mask_keyed(table: pa.Table, what: str, masker: Masker) -> pa.Table:
    """A table with columns `key` and `value`, with the secrets in its values masked."""
    if not table.num_rows:
        return table
    keys = whole(table.column("key")).dictionary_encode()
    is_secret = np.array([is_secret_key(key, masker.rules) for key in keys.dictionary.to_pylist()], np.bool_)
    by_name = np.append(is_secret, False)[numbers_of(filled(keys.indices, -1))]
    values = table.column("value")
    [candidates] = candidate_rows([values])
    by_name[_may_hold_secrets(values, candidates)] = True
    return _with_changes(
        table,
        "value",
        np.flatnonzero(by_name),
        lambda row: masker.value(what, row["key"], row["value"]),
        masker,
        what,
    )


def mask_texts(table: pa.Table, name: str, masker: Masker) -> pa.Table:
    """A table with the secrets in its text columns masked. `name`: the name of the table; it may lack columns."""
    return mask_columns(table, _TEXTS[name], masker)


def mask_columns(
    table: pa.Table, whats: Mapping[str, str], masker: Masker, change: Callable[[str, str], str] | None = None
) -> pa.Table:
    """A table with the secrets in some of its columns masked.

    Args:
        table: the table; it may lack columns.
        whats: for each column what its masks are numbered together with.
        masker: masks, with consistent numbers over all tables.
        change: a method of the masker, called with what is numbered together and a text; None for `Masker.text`.
    """
    if not table.num_rows:
        return table
    change = change or masker.text
    place_of = table.schema.get_field_index  # in less time than the list of all names; -1 without such a column
    texts = {column_name: what for column_name, what in whats.items() if place_of(column_name) >= 0}
    candidates = candidate_rows([table.column(column_name) for column_name in texts])
    for (column_name, what), rows in zip(texts.items(), candidates, strict=True):
        if not len(rows):
            continue
        table = _with_changes(
            table,
            column_name,
            _may_hold_secrets(table.column(column_name), rows),
            lambda row, at=column_name, as_=what: change(as_, row[at]),
            masker,
            what,
        )
    return table


def _may_hold_secrets(values: pa.ChunkedArray, rows: Rows) -> Rows:
    """Which of these rows hold a text that contains something of a secret of a known form."""
    if not len(rows):
        return rows
    texts = values.take(column_of(rows, pa.int64()))
    if texts.nbytes <= _FEW_BYTES:
        return rows[[text is not None and may_hold_secret(text) for text in texts.to_pylist()]]
    encoded = whole(texts).dictionary_encode()
    found = np.append(_as_mask(_matches(encoded.dictionary, MAY_HOLD)), False)
    remaining: Rows = rows[found[numbers_of(filled(encoded.indices, -1))]]
    return remaining


def _matches(values: pa.Array | pa.ChunkedArray, pattern: str) -> pa.Array:
    return pc.match_substring_regex(whole(values), pattern)


def _as_mask(values: pa.Array) -> np.ndarray[Any, Any]:
    return numbers_of(filled(pc.cast(values, pa.int8()), 0)).astype(np.bool_)


def _with_changes(  # noqa: PLR0917
    table: pa.Table, place: str, rows: Rows, change: Any, masker: Masker, what: str
) -> pa.Table:
    """The table with a function applied to the texts of some rows; the same object if nothing changes."""
    if not len(rows):
        return table
    is_keyed = place == "value" and table.schema.get_field_index("key") >= 0
    needed = table.select(["key", "value"] if is_keyed else [place])
    candidates = needed.take(column_of(rows, pa.int64())).to_pylist()
    texts = [row[place] for row in candidates]
    for row in candidates:  # a store may contain texts that look like our masks: no secret may get the same number
        if row[place] is not None and MASK_PATTERN.search(row[place]):
            masker.reserve(f"{what} {row['key']}" if is_keyed else what, row[place])
    shown: dict[tuple[str | None, str | None], str | None] = {(None, None): None}  # by key and text: many repeat
    new = []
    for text, row in zip(texts, candidates, strict=True):
        same = (row["key"] if is_keyed and text is not None else None, text)
        if same not in shown:
            shown[same] = change(row)
        new.append(shown[same])
    if new == texts:
        return table
    values = whole(table.column(place))
    mask = np.zeros(len(values), np.int8)
    mask[rows] = 1
    changed = pc.replace_with_mask(values, pc.cast(column_of(mask, pa.int8()), pa.bool_()), column(new, pa.string()))
    return table.set_column(table.column_names.index(place), table.schema.field(place), changed)


def masked_rows(table: pa.Table) -> list[Mapping[str, Any]]:
    """The rows of a table with columns `key` and `value` whose value contains a mask."""
    rows: list[Mapping[str, Any]] = table.filter(_matches(table.column("value"), MASK_PATTERN.pattern)).to_pylist()
    return rows
