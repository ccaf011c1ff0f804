"""All details of a run as HTML and text, foldable to a one-line summary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from qualia_lab.analysis.image_names import display_titles, without_small_copies
from qualia_lab.analysis.origins import NOTE
from qualia_lab.charts.blocks import Block, block_html
from qualia_lab.charts.descriptions import OF_RUN, description_html, description_lines, descriptions_by_owner
from qualia_lab.charts.previews.pictures import picture_width
from qualia_lab.charts.sizes import size_text
from qualia_lab.counts import counted
from qualia_lab.escaping import DASH, for_html, one_line
from qualia_lab.study.statuses import status_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.charts.previews import Preview
    from qualia_lab.stores.protocol import ArtifactFile
    from qualia_lab.tables import RunTables

_FILES_LISTED = 50


@dataclass(frozen=True)
class RunCard:
    """All details of a run. Strings come from a store and are escaped when rendered.

    Attributes:
        label: the label of the run.
        tables: the tables of this run only.
        files: the artifacts of the run.
        notes: sentences shown below the tables.
        previews: previews of artifacts.
        primary_metric: the metric in the summary; None for none.
        folded: whether the HTML is folded to the summary at first.
    """

    label: str
    tables: RunTables
    files: Sequence[ArtifactFile]
    notes: Sequence[str]
    previews: Sequence[Preview]
    primary_metric: str | None = None
    folded: bool = False

    def __repr__(self) -> str:
        lines = [self.label, self.summary()]
        if note := self._note():
            lines += ["", "Description", *(f"  {line}" for line in description_lines(note, OF_RUN))]
        for block in self._blocks():
            lines += ["", f"{block.title} ({', '.join(block.header)})"]
            lines += ["  " + "  ".join(one_line(cell, 100) for cell in row) for row in block.rows]
        return "\n".join(one_line(line, 200) if not line.startswith("  ") else line for line in lines)

    def _repr_html_(self) -> str:
        note = self._note()
        parts = [f"<p><b>Description</b></p>{description_html(note, OF_RUN)}"] if note else []
        parts += ['<div style="display:flex;flex-wrap:wrap;gap:0 28px">']
        parts += map(block_html, self._blocks())
        parts.append("</div>")
        parts += [f"<p><small>{for_html(note)}</small></p>" for note in self.notes]
        parts.append(_pictures([preview for preview in self.previews if preview.picture]))
        parts += [_preview_title(one, "p") + one.html for one in self.previews if not one.picture]
        # Everything is inside the fold, including pictures: data URIs are shown in untrusted notebooks, too.
        opened = "" if self.folded else " open"
        summary_html = f"<b>{for_html(self.label)}</b> · {for_html(self.summary())}"
        return f"<details{opened}><summary>{summary_html}</summary>{''.join(parts)}</details>"

    def summary(self) -> str:
        """Return the status, the primary metric if the run has it, and the duration."""
        run = self.tables.runs.to_pylist()[0]
        status = run["status"] or "UNKNOWN"
        latest = dict(zip(*(self.tables.metrics.column(name).to_pylist() for name in ("key", "value")), strict=True))
        metric = self.primary_metric
        value = f"{metric} {_text(latest[metric])}" if metric in latest else ""
        took = _duration(run["start_time"], run["end_time"])
        return " · ".join(filter(None, (status_text(status), value, took)))

    def _blocks(self) -> Iterable[Block]:
        """Yield every non-empty table."""
        tables = self.tables
        yield Block("Details", ("field", "value"), self._details())
        tags = tables.tags.filter(pc.not_equal(tables.tags.column("key"), NOTE)) if self._note() else tables.tags
        for title, table, columns, number_columns in (
            ("Params", tables.params, ("key", "value"), 0),
            ("Metrics", tables.metrics, ("key", "value", "step"), 2),
            ("Tags", tags, ("key", "value"), 0),
            ("Datasets", tables.datasets, ("name", "digest", "context", "source_type"), 0),
            ("Logged models", tables.logged_models, ("name", "model_id", "model_type", "status"), 0),
            ("Not readable", tables.problems, ("subject", "reason"), 0),
        ):
            if table.num_rows:
                rows = sorted(
                    tuple(DASH if row[column] is None else _text(row[column]) for column in columns)
                    for row in table.to_pylist()
                )
                header = tuple(column.replace("_", " ") for column in columns)
                yield Block(f"{title} ({table.num_rows})", header, rows, number_columns)
        if self.files:
            yield self._artifacts()

    def _artifacts(self) -> Block:
        """Return the files; MLflow's small copies of pictures are only counted."""
        size_of = {file.path: size_text(file.size) for file in self.files}
        paths = without_small_copies(size_of)
        shown = display_titles(paths)[:_FILES_LISTED]
        count_text = f"showing {len(shown)} of {len(paths):,}" if len(paths) > len(shown) else str(len(paths))
        hidden = len(size_of) - len(paths)
        count_text += f", and {counted(hidden, 'small copy', 'small copies')} of pictures" if hidden else ""
        rows = [(title, size_of[path]) for path, title in shown]
        return Block(f"Artifacts ({count_text})", ("path", "size"), rows, number_columns=1)

    def _note(self) -> str:
        """Return the description of the run, or ""."""
        return next(iter(descriptions_by_owner(self.tables.tags, "run_id").values()), "")

    def _details(self) -> list[tuple[str, ...]]:
        run = self.tables.runs.to_pylist()[0]
        names = self.tables.experiments.column("name").to_pylist()
        return [
            ("run id", run["run_id"]),
            ("experiment", f"{names[0] if names else ''} ({run['experiment_id']})"),
            ("status", _text(run["status"]).lower() or "unknown"),
            ("start", _time_text(run["start_time"]) or DASH),
            ("end", _time_text(run["end_time"]) or DASH),
            ("duration", _duration(run["start_time"], run["end_time"]) or DASH),
            *((name, run[key]) for name, key in (("user", "user_id"), ("parent run", "parent_run_id")) if run[key]),
            *([("lifecycle stage", run["lifecycle_stage"])] if run["lifecycle_stage"] != "active" else []),
            ("artifacts at", _text(run["artifact_uri"]) or DASH),
        ]


def _pictures(previews: Sequence[Preview]) -> str:
    """Render pictures side by side, in rows that wrap, none wider than its share."""
    if not previews:
        return ""
    style = f"max-width:{picture_width(len(previews))}px;overflow-wrap:anywhere"
    shown = "".join(f'<div style="{style}">{_preview_title(one, "div")}{one.html}</div>' for one in previews)
    return f'<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-end">{shown}</div>'


def _preview_title(preview: Preview, tag: str) -> str:
    """Render the path of a preview and the remark on it."""
    remark = f" <small>{for_html(preview.remark)}</small>" if preview.remark else ""
    return f"<{tag}><b>{for_html(preview.title)}</b>{remark}</{tag}>" if preview.title else ""


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else str(value)


def _time_text(milliseconds: int | None) -> str:
    """Format a time in UTC to the second."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(start: int | None, end: int | None) -> str:
    if start is None or end is None:
        return ""
    minutes, seconds = divmod(round((end - start) / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
