"""Recognise log files among artifacts, and extract their last lines."""

from __future__ import annotations

import re

# `train.log`, `train.log.1`, `stdout`, `stderr.txt`, `logs/output.txt`, `traceback.txt`, `slurm-123.out`.
_LOG = re.compile(
    r"(?i)(.*/)?([^/]+\.(log|out|err)(\.\d+)?"
    r"|([^/]*[._-])?(std_?(out|err)|traceback|error|exception|logs?|output|console)([._-][^/]*)?(?<!\.json)"
    r"(?<!\.csv)(?<!\.html))"
)
_TEXT_SUFFIX = re.compile(r"(?i)(.*\.(log|out|err|txt)(\.\d+)?|[^.]*)")
_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_ERROR_NAME = re.compile(r"(?i)trace|err|exception")

LINE_WIDTH = 400  # characters shown per line


def looks_like_log(path: str) -> bool:
    """Whether an artifact is a log, by its path alone."""
    name = path.rpartition("/")[2]
    return bool(_LOG.fullmatch(path) and _TEXT_SUFFIX.fullmatch(name))


def log_rank(path: str) -> tuple[bool, int, str]:
    """A sort key for logs: those named after an error first, then those nearest to the root."""
    return not _ERROR_NAME.search(path.rpartition("/")[2]), path.count("/"), path


def last_lines(text: str, count: int) -> tuple[tuple[str, ...], int]:
    """The last lines of a log, as a terminal would have shown them.

    Colours are removed, and of a line that a progress bar overwrote only the final text is kept. Blank lines at the end
    are dropped; long lines keep their start and their end.

    Args:
        text: the log.
        count: the number of lines to return.

    Returns:
        The lines, and the total number of lines.
    """
    lines = [_ANSI.sub("", line).rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(map(_shorten, lines[-count:])), len(lines)


def _shorten(line: str) -> str:
    """The line, without its middle where it is too long."""
    half = LINE_WIDTH // 2
    return line if len(line) <= LINE_WIDTH else f"{line[:half]} … {line[-half:]}"
