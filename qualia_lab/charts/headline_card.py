"""The headline as HTML and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab.escaping import for_html, one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.headline import Headline

# The MIME type of a headline as data, with which two notebooks are compared.
HEADLINE_MIME = "application/vnd.qualia-lab.headline+json"

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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        """Add the headline as data to what is displayed; notebooks do not show it."""
        lead = [one_line(sentence, _WIDTH) for sentence in self.headline.lead]
        return {HEADLINE_MIME: {"lead": lead, "run_ids": list(self.headline.run_ids)}}
