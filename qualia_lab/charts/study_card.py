"""What some runs are about, as a person reads it: tasks, objectives, factors, repeats, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qualia_lab.charts.descriptions import OF_EXPERIMENT, description_html, description_lines
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html, one_line
from qualia_lab.names import distinct_names
from qualia_lab.study.overruling import CELL
from qualia_lab.study.sentences import FROM, levels_of, listed, sentences_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.study.study import Study

_WIDTH = 500  # characters of a sentence
_FACTORS = 12
_LEVELS = 6
_DESCRIPTIONS = 3


@dataclass(frozen=True)
class StudyCard:
    """Every string in it may come from a store, and is escaped when it is shown.

    labels: of the runs, by id.  descriptions: what people wrote about the experiments, by the experiments' names.
    """

    study: Study
    labels: Mapping[str, str]
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = []
        for title, text in self._described():
            lines += [title, *(f"    {line}" for line in description_lines(text, OF_EXPERIMENT))]
        for heading, said in self._parts():
            lines += [f"{heading}: {said[0]}", *(" " * (len(heading) + 2) + one for one in said[1:])]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        notes = "".join(
            f"<p><b>{for_html(title)}</b></p>{description_html(text, OF_EXPERIMENT)}"
            for title, text in self._described()
        )
        rows = "".join(
            '<tr><th style="text-align:left;vertical-align:top;white-space:nowrap">'
            f'{for_html(heading)}</th><td style="text-align:left">{"<br>".join(map(for_html, said))}</td></tr>'
            for heading, said in self._parts()
        )
        return f"{notes}<table><tbody>{rows}</tbody></table>"

    def _described(self) -> list[tuple[str, str]]:
        """A title and the text of each description that is shown; the last title says how many are not."""
        shown = list(self.descriptions.items())[:_DESCRIPTIONS]
        names = distinct_names([name for name, _ in shown])
        described = [(f"Description of {name}", text) for name, (_, text) in zip(names, shown, strict=True)]
        rest = len(self.descriptions) - len(shown)
        return [*described, *([(f"and {counted(rest, 'more description')}", f"in {OF_EXPERIMENT}")] if rest else [])]

    def _parts(self) -> list[tuple[str, list[str]]]:
        """A heading and its sentences each."""
        parts = [(heading, [one_line(one, _WIDTH) for one in said]) for heading, said in self._sentences()]
        factors = self._factors()
        place = next((at for at, (heading, _) in enumerate(parts) if heading not in ("Tasks", "Objective")), len(parts))
        return [*parts[:place], *([("Factors", factors)] if factors else []), *parts[place:]]

    def _sentences(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return sentences_of(self.study, self.labels, CELL)

    def _factors(self) -> list[str]:
        """One line per factor, with its levels, and one for those that are tied to it."""
        factors = [one for one in self.study.factors if one.role == "factor"]
        lines = []
        for one in factors[:_FACTORS]:
            levels = levels_of(self.study, one.name)
            said = f"{one.name}: {listed(levels, _LEVELS)}" if len(levels) <= _FACTORS else _span(one.name, levels)
            tied = [other.name for other in self.study.factors if other.tied_to == one.name]
            said += f" (from {FROM[one.source]})" if one.source == "person" else ""
            lines.append(one_line(said + (f"; changes only together with {listed(tied)}" if tied else ""), _WIDTH))
        if len(factors) > _FACTORS:
            lines.append(f"and {len(factors) - _FACTORS:,} more")
        return lines


def _span(name: str, levels: tuple[str, ...]) -> str:
    return f"{name}: {counted(len(levels), 'value')} from {levels[0]} to {levels[-1]}"
