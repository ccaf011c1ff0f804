"""A table for a paper, shown as HTML and exported as LaTeX, Markdown or CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.scores import statistic_label
from qualia_lab.charts.group_means import mean_notes
from qualia_lab.escaping import DASH, for_csv, for_html, for_latex, for_markdown, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.analysis.paper_table import Entry, PaperNumbers

_ARROWS = {True: "↑", False: "↓", None: ""}
_LATEX_MISSING = "--"
_LATEX_ARROWS = {True: r" $\uparrow$", False: r" $\downarrow$", None: ""}


@dataclass(frozen=True)
class PaperTable:
    r"""Means ± half of the 95 % interval; the best mean is bold, those not significantly different are underlined.

    It is displayed as HTML in a notebook. `.latex` (which needs `\usepackage{booktabs}`), `.markdown` and `.csv` are
    strings.
    """

    numbers: PaperNumbers

    @property
    def latex(self) -> str:
        """A bare `tabular` with booktabs rules, preceded by the notes as comments."""
        numbers = self.numbers
        shape = "l" * len(self._params) + "r" + "r" * len(numbers.metrics)
        header = [*map(for_latex, self._params), "$n$"]
        header += [
            for_latex(metric) + _LATEX_ARROWS[direction]
            for metric, direction in zip(numbers.metrics, numbers.directions, strict=True)
        ]
        lines = [f"% {line}" for line in self._notes()]
        lines += [rf"\begin{{tabular}}{{{shape}}}", r"\toprule", " & ".join(header) + r" \\", r"\midrule"]
        lines += [" & ".join(row) + r" \\" for row in self._rows(for_latex, _latex_entry, _LATEX_MISSING)]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    @property
    def markdown(self) -> str:
        """A GitHub Markdown table, followed by a line that explains its marks."""
        header = [*map(for_markdown, self._params), "n"]
        header += [f"{for_markdown(metric)} {arrow}".strip() for metric, arrow in self._metrics()]
        lines = [header, *([["---"] * len(self._params) + ["---:"] * (len(header) - len(self._params))])]
        lines += self._rows(for_markdown, _markdown_entry)
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{table}\n\n{for_markdown(' '.join(self._notes()))}\n"

    @property
    def csv(self) -> str:
        """CSV with unrounded numbers: for each metric n, mean, interval bounds, and the mark `best` or `level`."""
        header = list(self._params)
        for metric in self.numbers.metrics:
            header += [f"{metric} {what}" for what in ("n", "mean", "95 % low", "95 % high", "mark")]
        lines = [[for_csv(one_line(text)) for text in header]]
        for row in self.numbers.rows:
            cells = [for_csv(one_line(value or "")) for value in row.params or ("all runs",)]
            for entry in row.entries:
                group = entry.group
                ends = (group.interval.low, group.interval.high) if group.interval else (None, None)
                cells += [str(len(group.values))]
                cells += ["" if number is None else repr(number) for number in (group.mean, *ends)]
                cells += ["best" if entry.best else "level" if entry.level else ""]
            lines.append(cells)
        return "\n".join(",".join(line) for line in lines) + "\n"

    def __repr__(self) -> str:
        return self.markdown

    def _repr_html_(self) -> str:
        header = [*map(for_html, self._params), "n"]
        header += [f"{for_html(metric)} {arrow}".strip() for metric, arrow in self._metrics()]
        head = "".join(f"<th>{text}</th>" for text in header)
        rows = "".join(
            "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in self._rows(for_html, _html_entry)
        )
        notes = f"<p><small>{for_html(' '.join(self._notes()))}</small></p>"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"

    @property
    def _params(self) -> tuple[str, ...]:
        return self.numbers.params or ("",)

    def _metrics(self) -> list[tuple[str, str]]:
        return [
            (metric, _ARROWS[direction])
            for metric, direction in zip(self.numbers.metrics, self.numbers.directions, strict=True)
        ]

    def _rows(
        self, escape: Callable[[str], str], show: Callable[[Entry, int], str], missing: str = DASH
    ) -> list[list[str]]:
        """Return the cells of each row: params, n of the first metric, metrics."""
        rows = []
        for row in self.numbers.rows:
            n = len(row.entries[0].group.values)
            params = [missing if value is None else escape(value) for value in row.params or ("all runs",)]
            rows.append([*params, str(n), *(show(entry, n) for entry in row.entries)])
        return rows

    def _notes(self) -> list[str]:
        """Return the notes on the table as sentences."""
        numbers = self.numbers
        metric_texts = ", ".join(one_line(statistic_label(numbers.statistic, metric), 80) for metric in numbers.metrics)
        notes = [f"Mean over n runs of {metric_texts}, ± half of the 95 % interval."]
        notes += mean_notes([*(row.entries[0].group for row in numbers.rows), *numbers.empty])
        if numbers.empty:
            notes.append(f"Configurations without a usable value, left out: {len(numbers.empty):,}.")
        run_counts = {len(entry.group.values) for row in numbers.rows for entry in row.entries if entry.text}
        if any(entry.best for row in numbers.rows for entry in row.entries):
            restriction = " of three runs or more" if run_counts & {1, 2} and max(run_counts) > 2 else ""
            notes.append(
                f"Bold: the best mean{restriction}. Underlined: not significantly different from it (5 %, Holm)."
            )
        if run_counts & {1, 2}:
            notes.append("Values of one or two runs were not compared.")
        if numbers.hidden_params:
            notes.append(
                f"The configurations also differ in {', '.join(one_line(key, 60) for key in numbers.hidden_params)}."
            )
        if numbers.more:
            notes.append(f"Showing {len(numbers.rows)} of {len(numbers.rows) + numbers.more:,} configurations.")
        return notes


def _own_n(entry: Entry, n: int) -> str:
    """Return the n of the value if it differs from that of the row."""
    return "" if entry.text is None or len(entry.group.values) == n else f" (n={len(entry.group.values)})"


def _latex_entry(entry: Entry, n: int) -> str:
    if entry.text is None:
        return _LATEX_MISSING
    text = entry.text
    shown = text.mean if text.half_width is None else rf"{text.mean} \pm {text.half_width}"
    if text.exponent:
        shown = rf"({shown}) \cdot 10^{{{text.exponent}}}"
    shown = rf"$\mathbf{{{shown}}}$" if entry.best else f"${shown}$"
    return (rf"\underline{{{shown}}}" if entry.level else shown) + _own_n(entry, n)


def _plain(entry: Entry) -> str:
    if entry.text is None:
        return DASH
    text = entry.text
    shown = text.mean if text.half_width is None else f"{text.mean} ± {text.half_width}"
    return f"({shown})e{text.exponent}" if text.exponent else shown


def _markdown_entry(entry: Entry, n: int) -> str:
    shown = _plain(entry)
    return (f"**{shown}**" if entry.best else f"<u>{shown}</u>" if entry.level else shown) + _own_n(entry, n)


def _html_entry(entry: Entry, n: int) -> str:
    shown = _plain(entry).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")  # on one line, also on paper
    return (f"<b>{shown}</b>" if entry.best else f"<u>{shown}</u>" if entry.level else shown) + _own_n(entry, n)
