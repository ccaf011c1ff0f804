"""A study as HTML and text: tasks, objectives, factors, seeds, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qualia_lab.charts.descriptions import OF_EXPERIMENT, description_html, description_lines
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line
from qualia_lab.names import distinct_names
from qualia_lab.study.override_hints import CELL
from qualia_lab.study.sentences import SOURCE_TEXT, levels_of, listed, sentences_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.study.study import Study

_WIDTH = 500  # characters of a sentence
_FACTORS = 12
_LEVELS = 6  # values listed per factor
_DESCRIPTIONS = 3


@dataclass(frozen=True)
class StudyCard:
    """A study, shown as HTML or text. Strings in it may come from a store and are escaped when rendered.

    Attributes:
        study: the study.
        labels: the label of each run, by run id.
        descriptions: the descriptions of the experiments, by experiment name.
    """

    study: Study
    labels: Mapping[str, str]
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = []
        for title, text in self._described():
            lines += [title, *(f"    {line}" for line in description_lines(text, OF_EXPERIMENT))]
        for heading, sentences in self._parts():
            lines += [f"{heading}: {sentences[0]}", *(" " * (len(heading) + 2) + one for one in sentences[1:])]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        notes = "".join(
            f"<p><b>{for_html(title)}</b></p>{description_html(text, OF_EXPERIMENT)}"
            for title, text in self._described()
        )
        rows = "".join(
            '<tr><th style="text-align:left;vertical-align:top;white-space:nowrap">'
            f'{for_html(heading)}</th><td style="text-align:left">{"<br>".join(map(for_html, sentences))}</td></tr>'
            for heading, sentences in self._parts()
        )
        return f"{notes}<table><tbody>{rows}</tbody></table>"

    def _described(self) -> list[tuple[str, str]]:
        """Return (title, text) of each description shown, and of a last entry that counts those not shown."""
        shown = list(self.descriptions.items())[:_DESCRIPTIONS]
        names = distinct_names([name for name, _ in shown])
        described = [(f"Description of {name}", text) for name, (_, text) in zip(names, shown, strict=True)]
        rest = len(self.descriptions) - len(shown)
        return [*described, *([(f"and {counted(rest, 'more description')}", f"in {OF_EXPERIMENT}")] if rest else [])]

    def _parts(self) -> list[tuple[str, list[str]]]:
        """Return (heading, sentences) pairs."""
        parts = [(heading, [one_line(one, _WIDTH) for one in sentences]) for heading, sentences in self._sentences()]
        factors = self._factors()
        position = next(
            (index for index, (heading, _) in enumerate(parts) if heading not in ("Tasks", "Objective")), len(parts)
        )
        return [*parts[:position], *([("Factors", factors)] if factors else []), *parts[position:]]

    def _sentences(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return sentences_of(self.study, self.labels, CELL)

    def _factors(self) -> list[str]:
        """Return a line per factor, with its levels and the factors that are tied to it."""
        factors = [factor for factor in self.study.factors if factor.role == "factor"]
        lines = []
        for one in factors[:_FACTORS]:
            levels = levels_of(self.study, one.name)
            said = f"{one.name}: {listed(levels, _LEVELS)}" if len(levels) <= _FACTORS else _span(one.name, levels)
            tied = [other.name for other in self.study.factors if other.tied_to == one.name]
            said += f" (from {SOURCE_TEXT[one.source]})" if one.source == "person" else ""
            lines.append(one_line(said + (f"; changes only together with {listed(tied)}" if tied else ""), _WIDTH))
        if len(factors) > _FACTORS:
            lines.append(f"and {len(factors) - _FACTORS:,} more")
        return lines


def _span(name: str, levels: tuple[str, ...]) -> str:
    return f"{name}: {counted(len(levels), 'value')} from {levels[0]} to {levels[-1]}"
