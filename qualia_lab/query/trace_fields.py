"""The fields that a filter for traces can name, with helpful errors for unknown ones."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from qualia_lab.errors import FilterError
from qualia_lab.query.conditions import Field, Kind
from qualia_lab.query.tokens import Token, unquoted

TEXTS = (
    "trace_id",
    "experiment_id",
    "run_id",
    "name",
    "state",
    "request_preview",
    "response_preview",
    "client_request_id",
    "session_id",
    "user",
    "model_id",
    "prompt",
)
TIMES = ("request_time", "end_time")
NUMBERS = ("input_tokens", "output_tokens", "total_tokens", "total_cost")
ATTRIBUTES = (*TEXTS, *TIMES, "duration", *NUMBERS)
# Other names of attributes, among them those of MLflow.
_ALIASES = {
    "request_id": "trace_id",
    "timestamp": "request_time",
    "timestamp_ms": "request_time",
    "execution_time": "duration",
    "execution_time_ms": "duration",
    "end_time_ms": "end_time",
    "status": "state",
    "session": "session_id",
    "tokens": "total_tokens",
    "cost": "total_cost",
}
SPAN_KEYS = ("name", "type", "status", "content")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("attr", "attribute", "attributes", "trace"), "attribute"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("metadata", "request_metadata"), "metadata"),
    **dict.fromkeys(("span", "spans"), "span"),
    **dict.fromkeys(("feedback", "feedbacks"), "feedback"),
    **dict.fromkeys(("expectation", "expectations"), "expectation"),
    **dict.fromkeys(("issue", "issues"), "issue"),
}
_TABLES = {
    "attribute": "traces",
    "tag": "tags",
    "metadata": "metadata",
    "feedback": "assessments",
    "expectation": "assessments",
    "issue": "assessments",
}
# Tags and metadata for which MLflow has a column of its own.
_COLUMNS = {
    ("tag", "mlflow.traceName"): "name",
    ("metadata", "mlflow.trace.session"): "session_id",
    ("metadata", "mlflow.sourceRun"): "run_id",
}
_SPAN_ATTRIBUTES = "attributes."


@dataclass(frozen=True)
class TraceField(Field):
    """The left side of a comparison: an attribute of a trace, a tag, metadata, an assessment, or something of a span.

    Attributes:
        kind: attribute, tag, metadata, feedback, expectation, issue, span (one of SPAN_KEYS) or span_attribute.
        key: for attributes one of ATTRIBUTES (times and `duration` are in ms); for issues `id`.
    """

    @property
    def table(self) -> str:
        """The table of TraceTables that holds the field; "" for spans."""
        return "tags" if self == PROMPT else _TABLES.get(self.kind, "")

    @property
    def is_of_span(self) -> bool:
        """Whether the field is one of a span."""
        return self.kind in ("span", "span_attribute")

    @property
    def is_assessment(self) -> bool:
        """Whether the values are those of feedback or of an expectation."""
        return self.kind in ("feedback", "expectation")

    @property
    def is_text(self) -> bool:
        """Whether the values can be compared with a pattern."""
        return self.kind != "attribute" or self.key in TEXTS

    @property
    def is_only_text(self) -> bool:
        """Whether the values cannot be compared with a number."""
        return self.kind in ("span", "issue") or (self.kind == "attribute" and self.key in TEXTS)


PROMPT = TraceField("attribute", "prompt")  # in a tag, as a list
RUN = TraceField("attribute", "run_id")
CONTENT = TraceField("span", "content")


def trace_field(token: Token, text: str, quoted_key: str = "") -> TraceField:
    """The field that a token names.

    Args:
        token: a path such as `tags.topic`, or a word.
        text: the whole filter, for errors.
        quoted_key: a key in quotes that directly follows the path, as in span.attributes.`my key`; "" for none.

    Raises:
        FilterError: there is no such field.
    """
    if token.kind != "path":
        return _attribute(unquoted(token.text), token, text)
    prefix, _, written = token.text.partition(".")
    kind, key = _KINDS.get(prefix.strip("`").lower()), unquoted(written)
    if kind is None:
        suggestions = get_close_matches(prefix.lower(), _KINDS, 1)
        hint = f"Did you mean {suggestions[0]}.{written}? " if suggestions else ""
        hint += "Fields are trace.…, tags.…, metadata.…, feedback.…, expectation.…, issue.id and span.…"
        raise FilterError(f"There is no kind of field called {prefix}.", hint, text=text, position=token.position)
    position = token.position + len(prefix) + 1
    if kind == "span" and key.lower().startswith(_SPAN_ATTRIBUTES):
        kind, key = "span_attribute", key[len(_SPAN_ATTRIBUTES) :] or unquoted(quoted_key)
    if not key:
        hint = f"For example {prefix}.name; put a key with special characters in backticks."
        raise FilterError(f"After {token.text} a key is missing.", hint, text=text, position=position)
    if kind == "attribute":
        return _attribute(key, token, text)
    if kind == "span" and key not in SPAN_KEYS:
        hint = f"It has {', '.join(SPAN_KEYS)} and attributes.KEY."
        raise FilterError(
            f"A span has no {key} to compare.", _near(key, SPAN_KEYS) + hint, text=text, position=position
        )
    if kind == "issue" and key != "id":
        raise FilterError(f"An issue has no {key} to compare.", "Write issue.id.", text=text, position=position)
    column = _COLUMNS.get((kind, key))
    return TraceField("attribute", column) if column else TraceField(kind, key)


def trace_field_name(field: Field) -> str:
    """The name of the field for messages."""
    prefixes = {"attribute": "", "span_attribute": "span.attributes.", "tag": "tags."}
    return prefixes.get(field.kind, f"{field.kind}.") + field.key


def _attribute(key: str, token: Token, text: str) -> TraceField:
    name = _ALIASES.get(key.lower(), key.lower())
    if name == "text":
        return CONTENT
    if name in ATTRIBUTES:
        return TraceField("attribute", name)
    hint = _near(name, (*ATTRIBUTES, *_ALIASES, "text"))
    hint += f"Attributes are {', '.join(ATTRIBUTES)}; others are written tags.{key}, metadata.{key} or feedback.{key}."
    raise FilterError(f"A trace has no attribute {key}.", hint, text=text, position=token.position)


def _near(name: str, names: tuple[str, ...]) -> str:
    suggestions = get_close_matches(name.lower(), names, 1)
    return f"Did you mean {suggestions[0]}? " if suggestions else ""
