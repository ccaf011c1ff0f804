"""One trace as HTML and text: what is known of it, its spans as a tree, and its assessments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.span_tree import span_tree
from qualia_lab.analysis.structured_text import text_of_json
from qualia_lab.analysis.trace_errors import error_message
from qualia_lab.analysis.trace_text import dollars, moment, took
from qualia_lab.escaping import for_html, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SPANS = 100  # spans that are shown; the others are only counted
_DEEPEST = 10  # levels that are indented
_NAME = 80
_TEXT = 1_000  # characters of an input, output, message or rationale in HTML
_LINE = 200  # the same in plain text
_CONTENT = ("inputs", "outputs")
_STATES = {"OK": "finished", "ERROR": "failed", "IN_PROGRESS": "not finished"}


@dataclass(frozen=True)
class TraceCard:
    """One trace for people. Strings come from a store and are escaped when rendered.

    Attributes:
        trace: its row of schema.TRACES.
        experiment: the name of its experiment; "" if it is not known.
        tags: its tags, without those of MLflow.
        spans: its rows of schema.SPANS.
        assessments: its rows of schema.ASSESSMENTS.
        reasons: why it is shown; () for no reason.
        note: what could not be shown; "" for nothing.
        folded: whether the HTML is folded to the summary at first.
    """

    trace: Mapping[str, Any]
    experiment: str
    tags: Mapping[str, str]
    spans: Sequence[Mapping[str, Any]]
    assessments: Sequence[Mapping[str, Any]]
    reasons: Sequence[str] = ()
    note: str = ""
    folded: bool = False

    def __repr__(self) -> str:
        lines = [f"{self._name()} · {self.summary()}", f"  {' · '.join(self._facts())}"]
        lines += [f"  {reason}" for reason in self.reasons]
        for depth, span in self._tree():
            margin = "  " * (min(depth, _DEEPEST) + 1)
            lines.append(margin + _heading(span))
            lines += [f"{margin}  {name}: {one_line(text, _LINE)}" for name, text in _texts(span)]
        for one in self.assessments:
            lines.append("  " + " · ".join(filter(None, _assessed(one))))
        lines += [f"  {note}" for note in self._notes()]
        return "\n".join(_margin(line) + one_line(line) for line in lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{for_html(reason)}</p>" for reason in self.reasons]
        parts.append(f"<p><small>{for_html(' · '.join(self._facts()))}</small></p>")
        parts += [_span_html(depth, span) for depth, span in self._tree()]
        parts += [f"<p><small>{for_html(note)}</small></p>" for note in self._notes()]
        if self.assessments:
            parts.append(_assessments_html(self.assessments))
        opened = "" if self.folded else " open"
        summary = f"<b>{for_html(self._name())}</b> · {for_html(self.summary())}"
        return f"<details{opened}><summary>{summary}</summary>{''.join(parts)}</details>"

    def summary(self) -> str:
        """The state, duration, tokens and cost."""
        trace = self.trace
        tokens = f"{trace['total_tokens']:,} tokens" if trace["total_tokens"] is not None else ""
        state = _STATES.get(trace["state"] or "", one_line(trace["state"] or "state unknown", _NAME))
        return " · ".join(filter(None, (state, took(trace["duration"]), tokens, dollars(trace["total_cost"]))))

    def _name(self) -> str:
        return one_line(self.trace["name"] or "a trace without a name", _NAME)

    def _facts(self) -> list[str]:
        names = (
            ("run", "run_id"),
            ("session", "session_id"),
            ("user", "user"),
            ("client request", "client_request_id"),
        )
        facts = [self.trace["trace_id"], moment(self.trace["request_time"]), self.experiment]
        facts += [f"{name} {self.trace[key]}" for name, key in names if self.trace[key]]
        facts += [f"{key} = {value}" for key, value in self.tags.items()]
        return [one_line(fact, _LINE) for fact in facts if fact]

    def _tree(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        columns = ([span[key] for span in self.spans] for key in ("span_id", "parent_id", "start_ns"))
        for one in span_tree(*columns)[:SPANS]:
            yield one.depth, self.spans[one.row]

    def _notes(self) -> list[str]:
        notes = [f"Showing {SPANS} of {len(self.spans):,} spans."] if len(self.spans) > SPANS else []
        if not self.spans:
            notes.append("Its spans are not in the store, or it has none yet.")
        return [*notes, *([self.note] if self.note else [])]


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]


def _heading(span: Mapping[str, Any]) -> str:
    """`LLM generate · 1.2 s · gpt-4o · 340 tokens · failed`, as one line of plain text."""
    start, end = span["start_ns"], span["end_ns"]
    length = "not ended" if start is None or end is None else took((end - start) / 1e6)
    known = [number for number in (span["input_tokens"], span["output_tokens"]) if number is not None]
    words = [
        f"{one_line(span['type'] or '', 30)} {one_line(span['name'] or 'span', _NAME)}".strip(),
        length,
        one_line(span["model"] or "", _NAME),
        f"{sum(known):,} tokens" if known else "",
        dollars(span["total_cost"]),
        "failed" if span["status"] == "ERROR" else "",
    ]
    return " · ".join(filter(None, words))


def _texts(span: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a span was given and returned, and why it failed."""
    texts = [(name, text_of_json(span[name])) for name in _CONTENT if span[name] not in (None, "", "null")]
    if span["status"] == "ERROR" and (message := error_message(dict(span))):
        texts.append(("error", message))
    return texts


def _span_html(depth: int, span: Mapping[str, Any]) -> str:
    """A span as a fold of its inputs and outputs; those of roots and failed spans are open."""
    indent = f"margin-left:{16 * min(depth, _DEEPEST)}px"
    name, _, rest = _heading(span).partition(" · ")
    heading = f"<b>{for_html(name)}</b>" + (f" · {for_html(rest)}" if rest else "")
    texts = _texts(span)
    if not texts:
        return f'<div style="{indent};padding-left:16px">{heading}</div>'
    opened = " open" if depth == 0 or span["status"] == "ERROR" else ""
    body = "".join(
        '<div style="padding-left:16px;white-space:pre-wrap;overflow-wrap:anywhere">'
        f"<small>{for_html(name)}</small> {for_html(_cut(text))}</div>"
        for name, text in texts
    )
    return f'<details{opened} style="{indent}"><summary>{heading}</summary>{body}</details>'


def _cut(text: str) -> str:
    """The visible text, or its start and a note on the length."""
    text = visible(text)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]} … (showing {_TEXT:,} of {len(text):,} characters)"


def _assessed(one: Mapping[str, Any]) -> list[str]:
    """Name, value, source, rationale of an assessment."""
    value = f"could not judge: {one['error']}" if one["error"] else text_of_json(one["value"] or "")
    kind = "" if one["kind"] == "feedback" else f" ({one['kind']})"
    source = " ".join(filter(None, (one["source_type"], one["source_id"])))
    replaced = "" if one["valid"] is not False else " (replaced)"
    texts = (f"{one['name'] or ''}{kind}", f"{value}{replaced}", source, one["rationale"] or "")
    return [one_line(text, _LINE) for text in texts]


def _assessments_html(assessments: Sequence[Mapping[str, Any]]) -> str:
    left = " style=text-align:left"
    head = "".join(f"<th{left}>{name}</th>" for name in ("assessment", "value", "by", "rationale"))
    rows = "".join(
        f"<tr>{''.join(f'<td{left}>{for_html(text)}</td>' for text in _assessed(one))}</tr>" for one in assessments
    )
    return f'<table style="overflow-wrap:anywhere"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


@dataclass(frozen=True)
class TraceCards:
    """Several traces below each other."""

    cards: Sequence[TraceCard]

    def __len__(self) -> int:
        return len(self.cards)

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.cards))

    def _repr_html_(self) -> str:
        return "".join(card._repr_html_() for card in self.cards)
