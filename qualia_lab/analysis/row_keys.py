"""By what a row of an evaluation is recognised in another one: a dataset record, a request id, or its inputs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.structured_text import flat, parse_json
from qualia_lab.masking.redactor import is_cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

KeyKind = Literal["record", "request", "inputs"]
KEY_KINDS: tuple[KeyKind, ...] = ("record", "request", "inputs")
KEY_WORDS = {"record": "dataset record", "request": "client_request_id", "inputs": "inputs"}

_MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class RowKeys:
    """The keys of a row, "" for those that it does not have.

    Attributes:
        record: the id of the dataset record with the same inputs.
        request: its client_request_id.
        inputs: a digest of its inputs.
    """

    record: str = ""
    request: str = ""
    inputs: str = ""

    def of(self, kind: KeyKind) -> str:
        """The key of one kind."""
        key: str = getattr(self, kind)
        return key


def inputs_key(inputs: object) -> str:
    """A digest of inputs that does not depend on the order of keys or on white space between them; "" for none.

    Args:
        inputs: a JSON text, another text, or parsed values.
    """
    if isinstance(inputs, str):
        try:
            inputs = parse_json(inputs)
        except ValueError:
            inputs = " ".join(str(inputs).split())
    if inputs in (None, "", {}, []):
        return ""
    try:
        text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=str)
    except (RecursionError, TypeError, ValueError):
        return ""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def keys_of_trace(
    trace: Mapping[str, Any], inputs: str | None, records: Mapping[str, tuple[str, Mapping[str, str]]]
) -> RowKeys:
    """The keys of a trace.

    Args:
        trace: a row of schema.TRACES.
        inputs: the inputs of its root span; None if they were not read. Then its preview is used unless it is cut,
            since two requests with the same start are not the same request.
        records: the dataset records, as `record_of_inputs` returns them.

    Returns:
        The keys.
    """
    preview = trace["request_preview"] or ""
    digest = inputs_key(inputs) if inputs else "" if is_cut(preview) else inputs_key(preview)
    return RowKeys(records[digest][0] if digest in records else "", trace["client_request_id"] or "", digest)


def record_of_inputs(records: pa.Table) -> dict[str, tuple[str, Mapping[str, str]]]:
    """The dataset records by the digest of their inputs.

    MLflow does not record in a trace which record it is of. Inputs that several records share name none of them.

    Args:
        records: schema.EVALUATION_RECORDS.

    Returns:
        The record id and its tags, by digest.
    """
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    repeated = set()
    for row in records.to_pylist():
        digest = inputs_key(row["inputs"] or "")
        if digest in found and found[digest][0] != row["record_id"]:
            repeated.add(digest)
        if digest:
            found[digest] = (row["record_id"], _tags(row["tags"]))
    return {digest: record for digest, record in found.items() if digest not in repeated}


def _tags(text: str | None) -> Mapping[str, str]:
    try:
        value = parse_json(text or "{}")
    except ValueError:
        return {}
    return flat(value, _MOST_TAGS) if isinstance(value, dict) and value else {}
