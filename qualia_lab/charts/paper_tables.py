"""Tables for a paper with several experiments: one table per experiment, each with its own best value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.escaping import for_html, for_latex, for_markdown, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.charts.paper_table import PaperTable


@dataclass(frozen=True)
class PaperTables:
    """A paper table per experiment; `.latex`, `.markdown` and `.csv` concatenate them under the experiments' names."""

    tables: Mapping[str, PaperTable]

    @property
    def latex(self) -> str:
        """The tabulars, each preceded by a comment that names its experiment."""
        return "\n".join(f"% {one_line(for_latex(name))}\n{table.latex}" for name, table in self.tables.items())

    @property
    def markdown(self) -> str:
        """The Markdown tables, each under the bold name of its experiment."""
        return "\n".join(f"**{for_markdown(name)}**\n\n{table.markdown}" for name, table in self.tables.items())

    @property
    def csv(self) -> str:
        """The CSV tables, each with its own header, separated by empty lines."""
        return "\n".join(table.csv for table in self.tables.values())

    def __repr__(self) -> str:
        return "\n\n".join(f"{one_line(name, 60)}\n{table!r}" for name, table in self.tables.items())

    def _repr_html_(self) -> str:
        return "".join(
            f"<p><b>{for_html(one_line(name, 60))}</b></p>{table._repr_html_()}" for name, table in self.tables.items()
        )
