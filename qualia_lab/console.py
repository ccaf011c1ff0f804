"""Terminal output, questions and exit codes; the only module that writes to stdout and stderr.

Data goes to stdout (`show`, `table`), everything else to stderr (`say`, `step`, `progress`, `ask`). Callers pass
strings of a store through `escaping.for_terminal`; here every text is escaped again, and the secrets of the tracking
URI are redacted.

Exit codes: 0 success, 2 wrong usage, 70 internal error, 130 interrupted, 141 broken pipe on stdout, 143 terminated; for
the others see `qualia_lab.errors`.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import traceback
import warnings
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NoReturn, TextIO

import click

from qualia_lab.console_table import Column, lay_out, wrap
from qualia_lab.errors import FilterError, NothingChosen, QualiaLabError
from qualia_lab.escaping import for_terminal, visible
from qualia_lab.interruptions import Terminated, raise_on_sigterm, restore_sigterm
from qualia_lab.names import display_width
from qualia_lab.stores.uri import TrackingUri, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rich.progress import Progress

QUIET_SECONDS = 1.0  # seconds without output before a waiting message is written
PROGRESS_DELAY = 0.5  # seconds before a progress bar appears, and between its updates

Colour = Literal["red", "yellow", "grey"]
_COLOURS: Mapping[Colour, str] = {"red": "1;31", "yellow": "1;33", "grey": "2"}

_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN")

_uris: list[TrackingUri] = []
_debug = False
_operations: list[str] = []  # the current operations, the innermost last
_has_output = threading.Event()  # set once something was written
_write_lock = threading.RLock()  # for one text at a time
_elapsed_shown = threading.Event()  # set while the line of `waiting` is on the terminal


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command and exit; an exception becomes an error message, a hint and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Characters that the encoding lacks are written as escapes instead of raising an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of libraries are not meant for users of a command
    redact_secrets_of(os.environ.get("MLFLOW_TRACKING_URI", ""), *sys.argv[1:])
    secrets = tuple(filter(None, (os.environ.get(name) for name in _SECRET_VARIABLES)))
    _uris.append(TrackingUri(safe="", full="", secrets=secrets))
    notice = threading.Timer(QUIET_SECONDS, _write_waiting_notice)
    notice.daemon = True
    if not (sys.stderr is not None and sys.stderr.isatty()):
        notice.start()
    code = _exit_code_of(command)
    notice.cancel()
    sys.exit(code)


def _write_waiting_notice() -> None:
    """Write one line to a pipe or a log if a command has had no output for a second."""
    if not _has_output.is_set():
        say(f"{_operations[-1] if _operations else 'starting'} ...")


def redact_secrets_of(*uris: str) -> None:
    """Redact the secrets of these tracking URIs in all later output; other arguments are ignored."""
    for text in uris:
        uri = split_uri(text.partition("=")[2] if text.startswith("--") else text)
        if uri.secrets:
            _uris.append(uri)


def debug() -> None:
    """Print the traceback of later errors."""
    global _debug  # noqa: PLW0603  a process runs one command
    _debug = True


def show(text: str) -> None:
    """Write a line of data to stdout: unchanged to a pipe, escaped on a terminal."""
    _write(sys.stdout, visible(text) if sys.stdout.isatty() else text)


def say(text: str = "") -> None:
    """Write a message to stderr."""
    _write(sys.stderr, _clean(text))


def fail(error: Exception) -> int:
    """Write the message and the hint of an error; return the exit code.

    An exception that is not a QualiaLabError is reported as a bug.
    """
    if not isinstance(error, QualiaLabError):
        description = for_terminal(f"{type(error).__name__}: {error}")
        error = QualiaLabError(
            f"This is a bug in qualia-lab: {description}",
            "Please report it" + (", with the traceback below." if _debug else "; --debug shows where it happened."),
        )
        error.exit_code = 70
    print_error(error)
    if _debug:
        # Redact before splitting: a secret may contain a line break.
        for line in _clean(traceback.format_exc()).splitlines():
            say(f"    {line}")
    return error.exit_code


def print_error(error: QualiaLabError) -> None:
    """Write the message and the hint of an error; for a FilterError also the filter, with a mark at the position.

    Further lines of the message, such as the source of a cell, are indented, so that they cannot imitate other output.
    """
    first, *further_lines = _clean(error.message).splitlines() or [""]
    _say_labelled("error:", "1;31", first)
    for line in further_lines:
        say(f"    {line.rstrip()}")
    if isinstance(error, FilterError) and error.text:
        before, after = (
            _one_line_in_place(error.text[: error.position]),
            _one_line_in_place(error.text[error.position :]),
        )
        say(f"  {before}{after}")
        say(f"  {' ' * display_width(before)}^")
    if error.hint:
        _say_labelled("hint:", "1;36", error.hint)


def is_interactive() -> bool:
    """Whether questions can be asked: stdin and stderr are terminals."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str = "") -> str:
    """Ask for one line; an empty answer means the default, which may be any string of a store.

    Raises NothingChosen at the end of the input.
    """
    shown = f" [{for_terminal(default)}]" if default else ""
    _write(sys.stderr, _clean(f"{question}{shown}: "), end="")
    try:
        # Not input(), which writes its prompt to stdout.
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        line = "\n"
    if not line:
        say()
        raise NothingChosen("The questions ended before they were answered.", "Answer them, or pass flags: see --help.")
    return line.strip() or default


def confirm(question: str) -> bool:
    """Ask a yes/no question; an empty answer means no."""
    while True:
        answer = ask(f"{question} [y/N]").lower()
        if answer in ("", "n", "no"):
            return False
        if answer in ("y", "yes"):
            return True
        say("Answer y or n.")


@contextmanager
def step(text: str) -> Iterator[Callable[[str], None]]:
    """Show a step on one line, `text ..... outcome`, with a dot each half second; yields a setter of the outcome."""
    outcomes: list[str] = []
    done = threading.Event()
    _write(sys.stderr, _clean(text) + " ...", end="")

    def dots() -> None:
        while not done.wait(PROGRESS_DELAY):
            _write(sys.stderr, ".", end="")

    ticker = threading.Thread(target=dots, daemon=True)
    if sys.stderr.isatty():
        ticker.start()
    try:
        yield outcomes.append
    finally:
        done.set()
        if ticker.is_alive():
            ticker.join()
        say(f" {', '.join(outcomes)}" if outcomes else "")


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show a line with the elapsed seconds on a terminal if the block takes over a second; it is removed at the end.

    On a pipe, the text is written once if the command has had no output for a second.
    """
    _operations.append(text)
    try:
        with _elapsed_line(text) if sys.stderr.isatty() else nullcontext():
            yield
    finally:
        _operations.remove(text)


@contextmanager
def _elapsed_line(text: str) -> Iterator[None]:
    """Update the line of `waiting` on a terminal in a background thread."""
    done = threading.Event()
    started = time.monotonic()
    label = _clean(text)

    def update() -> None:
        pause = QUIET_SECONDS
        while not done.wait(pause):
            with _write_lock:
                _write(sys.stderr, f"\r{label} … {time.monotonic() - started:.0f} s", end="")
                _elapsed_shown.set()
            pause = PROGRESS_DELAY

    ticker = threading.Thread(target=update, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
        with _write_lock:
            _erase_elapsed_line()


@contextmanager
def progress(label: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yields `advance(done, total)`.

    The bar appears only on a terminal and after PROGRESS_DELAY seconds; otherwise the final state is written as a line.
    """
    bar = _bar(label, unit)
    started, counted = time.monotonic(), (0, 0)
    appears = threading.Timer(PROGRESS_DELAY, bar.start)
    if sys.stderr.isatty():
        appears.start()
    _operations.append(label)

    def advance(done: int, total: int) -> None:
        nonlocal counted
        counted = (done, total)
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield advance
    finally:
        _operations.remove(label)
        appears.cancel()
        if appears.ident:
            appears.join()
        if bar.live.is_started:
            bar.stop()
        elif any(counted):
            done, total = counted
            say(f"{label}  {done}/{total} {unit}  {time.monotonic() - started:.1f} s")


def _bar(label: str, unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description} ", markup=False),
        BarColumn(bar_width=24),
        TextColumn(" {task.completed}/{task.total} {task.fields[unit]} ", markup=False),
        TextColumn("{task.elapsed:.1f} s", markup=False),
        console=Console(file=sys.stderr, highlight=False),
    )
    bar.add_task(_clean(label), unit=_clean(unit), total=0)
    return bar


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, to_stderr: bool = False) -> None:
    """Write a table, fitted to the width of a terminal; columns that do not fit are named in a message.

    Args:
        columns: the columns.
        rows: one text for each column; strings of a store need no escaping.
        to_stderr: write to stderr instead of stdout.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    cells = [[_clean(for_terminal(cell)) for cell in row] for row in rows]
    shown_columns = [replace(column, title=_clean(for_terminal(column.title))) for column in columns]
    width = _terminal_width(stream)
    titles, lines, left_out = lay_out(shown_columns, cells, width)
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        titles = [f"\x1b[1m{line}\x1b[0m" for line in titles]
    _write(stream, "\n".join([*titles, *lines]))
    if left_out:
        pronoun = "it" if len(left_out) == 1 else "them"
        message = f"Not shown, for lack of space: {', '.join(left_out)}. A wider terminal shows {pronoun}."
        say("\n".join(wrap(message, width or len(message))))


def sentence(
    text: str, mark: str = "", colour: Colour | None = None, indent: int = 0, *, is_message: bool = False
) -> None:
    """Write a sentence to stdout, after an optional mark; on a terminal it is wrapped and the mark is coloured.

    Args:
        text: the sentence; strings of a store need no escaping.
        mark: a sign or a word at the start of the first line.
        colour: the colour of the mark, if colours are enabled.
        indent: the number of spaces before each line without a mark.
        is_message: write to stderr instead.
    """
    stream = sys.stderr if is_message else sys.stdout
    margin = " " * indent
    prefix = f"{mark} " if mark else margin
    content, width = _clean(for_terminal(text)), _terminal_width(stream)
    lines = [prefix + content] if width is None else wrap(prefix + content, width, margin)
    if mark and colour is not None and _coloured(stream):
        lines[0] = _paint(mark, _COLOURS[colour]) + lines[0][len(mark) :]
    _write(stream, "\n".join(lines))


def can_show(text: str) -> bool:
    """Whether the encoding of the terminal can represent the text."""
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _exit_code_of(command: Callable[[], object]) -> int:
    """Run the command; SIGTERM ends it with 143, and has its default effect once the exit code is known."""
    try:
        raise_on_sigterm()
        code = _run_and_report(command)
        restore_sigterm()
    except Terminated:
        say("\nterminated")
        code = 143
        restore_sigterm()
    return code


def _run_and_report(command: Callable[[], object]) -> int:
    try:
        command()
        sys.stdout.flush()
    except QualiaLabError as error:
        return fail(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        _write(sys.stderr, error.format_message())
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        print_error(QualiaLabError(error.format_message(), f"See {context.command_path} --help." if context else ""))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("\ninterrupted")
        return 130
    except BrokenPipeError:
        # The reader has closed the pipe (`| head`). Python would raise again when it flushes stdout at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return fail(error)
    return 0


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    with _write_lock:
        _has_output.set()
        _erase_elapsed_line()
        stream.write(text + end)
        stream.flush()


def _erase_elapsed_line() -> None:
    if _elapsed_shown.is_set():
        _elapsed_shown.clear()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _clean(text: str) -> str:
    """The text without secrets and control characters."""
    for uri in _uris:
        text = uri.redact(text)
    return visible(text)


def _say_labelled(label: str, colour: str, sentence: str) -> None:
    shown = _paint(label, colour) if _coloured(sys.stderr) else label
    _write(sys.stderr, f"{shown} {for_terminal(_clean(sentence))}")


def _coloured(stream: TextIO) -> bool:
    """Whether the stream is a terminal with colours enabled."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _paint(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m"


def _terminal_width(stream: TextIO) -> int | None:
    """The width of a terminal in columns, or the value of COLUMNS; None if the stream is not a terminal."""
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else os.get_terminal_size(stream.fileno()).columns or 80


def _one_line_in_place(text: str) -> str:
    """The text on one line, with every character at its original position."""
    return visible(re.sub(r"\s", " ", text))
