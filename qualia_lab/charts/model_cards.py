"""Models as folded cards: where each comes from, what it takes and returns, and its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.charts.blocks import Block, block_html
from qualia_lab.counts import counted
from qualia_lab.escaping import DASH, for_html, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.analysis.model_files import Part, Signature

_COLUMNS = 50  # of a part of a signature that are listed
_METRICS = 30


@dataclass(frozen=True)
class ModelCard:
    """A model. Strings come from a store and are escaped when rendered.

    Attributes:
        name: the displayed name of the model.
        summary: what stands beside the name while the card is folded.
        origin: rows of what it was made by and from, and registered as.
        facts: rows on the model itself.
        signature: what it takes and returns; None if that is not known.
        metrics: key, dataset and value of each.
        notes: sentences on what is not known.
    """

    name: str
    summary: str
    origin: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]
    signature: Signature | None
    metrics: Sequence[tuple[str, str, str]]
    notes: Sequence[str] = ()

    def blocks(self) -> Iterator[Block]:
        """Yield every table that has rows."""
        yield Block("Origin", ("field", "value"), self.origin)
        yield Block("Model", ("field", "value"), self.facts)
        if self.signature is not None:
            yield from _signature(self.signature)
        if self.metrics:
            header = ("metric", "dataset", "value")
            yield Block(_title("Metrics", len(self.metrics), _METRICS), header, self.metrics[:_METRICS], 1)


@dataclass(frozen=True)
class ModelCards:
    """Cards of some models, shown as HTML or text.

    Attributes:
        cards: the cards.
        total: of how many models.
        how: how others are shown.
        notes: sentences on what could not be read of all models.
    """

    cards: Sequence[ModelCard]
    total: int
    how: str
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        lines = []
        for card in self.cards:
            lines += [one_line(f"{card.name} · {card.summary}", 200)]
            for block in card.blocks():
                lines += ["", f"{block.title} ({', '.join(block.header)})"]
                lines += ["  " + "  ".join(one_line(cell, 100) for cell in row) for row in block.rows]
            lines += ["", *(one_line(note, 300) for note in card.notes), ""]
        return "\n".join([*lines, *(one_line(note, 300) for note in self._notes())]).rstrip()

    def _repr_html_(self) -> str:
        return "".join([*map(_card_html, self.cards), *map(_note_html, self._notes())])

    def _notes(self) -> list[str]:
        """Return how many models have no card and how to see them, and what could not be read."""
        hidden = len(self.cards) < self.total
        showing = [f"showing {len(self.cards)} of {counted(self.total, 'model')}: {self.how}"] if hidden else []
        return [*showing, *self.notes]


def _card_html(card: ModelCard) -> str:
    summary = f"<b>{for_html(card.name)}</b> · {for_html(card.summary)}" if card.summary else for_html(card.name)
    tables = "".join(map(block_html, card.blocks()))
    notes = "".join(map(_note_html, card.notes))
    body = f'<div style="display:flex;flex-wrap:wrap;gap:0 28px">{tables}</div>{notes}'
    return f"<details><summary>{summary}</summary>{body}</details>"


def _note_html(note: str) -> str:
    return f"<p><small>{for_html(note)}</small></p>"


def _signature(signature: Signature) -> Iterator[Block]:
    for title, part in (("Inputs", signature.inputs), ("Outputs", signature.outputs)):
        if part is not None:
            rows = [(one.name or DASH, one.type, "yes" if one.is_required else "no") for one in part.columns[:_COLUMNS]]
            needed = title == "Inputs" and any(not one.is_required for one in part.columns)
            yield _part(title, part, ("name", "type", "required") if needed else ("name", "type"), rows)
    params = signature.params
    if params is not None and (params.columns or params.unread):
        rows = [(one.name or DASH, one.type, one.default or DASH) for one in params.columns[:_COLUMNS]]
        yield _part("Params", params, ("name", "type", "default"), rows)


def _part(title: str, part: Part, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Block:
    if part.unread:
        return Block(f"{title} (no list of columns)", ("text",), [(part.unread,)])
    return Block(_title(title, len(part.columns), _COLUMNS), header, [row[: len(header)] for row in rows])


def _title(title: str, count: int, most: int) -> str:
    return f"{title} ({count:,})" if count <= most else f"{title} (showing {most} of {count:,})"
