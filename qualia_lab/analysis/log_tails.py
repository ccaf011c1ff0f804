"""Which artifacts are logs, and how a log ends."""

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
_TROUBLE = re.compile(r"(?i)trace|err|exception")

LINE_WIDTH = 400  # characters of a line that are shown


def looks_like_log(path: str) -> bool:
    """Whether an artifact's path is that of a log, by its name alone."""
    name = path.rpartition("/")[2]
    return bool(_LOG.fullmatch(path) and _TEXT_SUFFIX.fullmatch(name))


def log_rank(path: str) -> tuple[bool, int, str]:
    """Sorts logs: what is named for an error first, then those nearest to the root."""
    return not _TROUBLE.search(path.rpartition("/")[2]), path.count("/"), path


def last_lines(text: str, count: int) -> tuple[tuple[str, ...], int]:
    """The last lines of a log, and how many there are in all.

    As a terminal would have shown them: without colours, and of a line that a progress bar wrote over and over only
    what it says at last. Blank lines at the end are left out; long lines keep their start and their end.
    """
    lines = [_ANSI.sub("", line).rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return tuple(map(_cut, lines[-count:])), len(lines)


def _cut(line: str) -> str:
    half = LINE_WIDTH // 2
    return line if len(line) <= LINE_WIDTH else f"{line[:half]} … {line[-half:]}"
