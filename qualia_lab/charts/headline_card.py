"""The headline as HTML and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.headline import Headline

_WIDTH = 700  # characters of a sentence


@dataclass(frozen=True)
class HeadlineCard:
    """A headline, shown as HTML or text. Strings in it may come from a store and are escaped when rendered."""

    headline: Headline

    def __repr__(self) -> str:
        return "\n".join(one_line(sentence, _WIDTH) for sentence in self.headline.sentences)

    def _repr_html_(self) -> str:
        lead = "<br>".join(for_html(one_line(sentence, _WIDTH)) for sentence in self.headline.lead)
        parts = [f'<p class="lead" style="font-size:1.15em">{lead}</p>']
        if self.headline.trouble:
            parts.append(f"<p>{for_html(one_line(self.headline.trouble, _WIDTH))}</p>")
        if self.headline.next:
            parts.append(f"<p><b>Next:</b> {for_html(one_line(self.headline.next, _WIDTH))}</p>")
        return "".join(parts)
