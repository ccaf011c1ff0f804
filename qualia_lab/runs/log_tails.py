"""The last lines of the logs of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.endings import error_tags
from qualia_lab.analysis.log_tails import last_lines, log_rank, looks_like_log
from qualia_lab.artifacts import HEAD_BYTES, decoded_text, preview_kind
from qualia_lab.errors import QualiaLabError

if TYPE_CHECKING:
    from qualia_lab.charts.log_card import LogTail
    from qualia_lab.runs.loaded import Loaded
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

_LOG_BYTES = 8_000_000  # a larger log is not read, because only its start could be
_LOGS_PER_RUN = 2


def tails_of(loaded: Loaded, run_id: str, lines: int) -> list[LogTail]:
    """The last lines of a run's logs, and errors recorded in its tags."""
    from qualia_lab.charts.log_card import LogTail

    tables = loaded.one(run_id)
    label, status = loaded.labels[run_id], tables.runs.column("status")[0].as_py() or "unknown"
    tails = []
    error = error_tags(tables).get(run_id)
    if error:
        tails.append(LogTail(label, status, "what a tag says", *last_lines(error, lines)))
    place, files, _ = loaded.files.of_run(run_id)
    logs = sorted((file for file in files if looks_like_log(file.path)), key=lambda file: log_rank(file.path))
    for file in logs[:_LOGS_PER_RUN]:
        text, note = _read_log(place, file)
        shown, total = last_lines(text, lines)
        tails.append(LogTail(label, status, file.path, shown, total, note or ("" if shown else "empty")))
    return tails


def _read_log(place: ArtifactPlace, file: ArtifactFile) -> tuple[str, str]:
    """The text of a log, and the reason if it is not shown."""
    if file.size is not None and file.size > _LOG_BYTES:
        return "", f"{file.size / 1e6:,.0f} MB: too large to look for its end"
    try:
        data = place.read_bytes(file.path, _LOG_BYTES)
    except QualiaLabError as error:
        return "", str(error)
    read = decoded_text(data)
    if read is None or preview_kind(file.path, data[:HEAD_BYTES]) not in ("text", "markdown", "json", "table", "html"):
        return "", "not text" if data else "empty"
    return read
