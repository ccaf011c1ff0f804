"""All errors that users can see, with the exit code of each.

QualiaLabError                    1
├── StoreError                    3
│   ├── StoreNotFound             4   nothing exists at the tracking URI
│   ├── StoreUnreachable          5   the server or database did not answer
│   ├── StoreRefused              6   it refused the credentials
│   └── StoreUnreadable           7   it is not a tracking store, or damaged
├── SelectionError               10
│   ├── EmptyStore               11   no experiments, or no runs
│   ├── UnknownExperiment        12
│   ├── UnknownRun               13
│   ├── NoRunMatches             14
│   ├── FilterError              15   a filter or an order is invalid
│   ├── NothingChosen            16   too few flags, and no terminal to ask on
│   ├── UnknownKey               17   no run has that metric, param or tag
│   └── NoTraceMatches           18   there are no such traces or models
├── TemplateError                20
├── NotebookError                30
│   ├── OutputExists             31
│   ├── OutputNotWritable        32
│   ├── ExecutionFailed          33   a cell raised, hung or killed the kernel
│   │   └── KernelNotStarted     33   no cell ran
│   ├── ExportFailed             34
│   └── BundleUnreadable         35   it is not a bundle, or it cannot be read safely
├── BundleDiffers                 1   a file or a figure of a bundle is not as recorded
├── NothingToCompare              1   the runs lack the data for a computation
├── ExtraMissing                 50   an optional dependency is not installed
├── ForbiddenFinding             55   a finding that `--fail-on` names exists
├── EngineError                  60   an engine could not be opened, or failed
└── SettingsError                65   [tool.qualia] of the project is invalid
"""

from __future__ import annotations


class QualiaLabError(Exception):
    """Base class of all errors: a message that names the problem, and a hint that says what to do.

    Attributes:
        message: one sentence on what went wrong.
        hint: what to do next, or "".
        exit_code: the exit code of a command that fails with this error.

    Example:
        >>> from qualia_lab import QualiaLabError, open_store
        >>> try:
        ...     open_store("missing-folder")
        ... except QualiaLabError as error:
        ...     print(error.message, error.hint, error.exit_code)
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class StoreError(QualiaLabError):
    """A tracking store could not be opened or read."""

    exit_code = 3


class StoreNotFound(StoreError):
    """Nothing exists at the tracking URI; nothing was created there."""

    exit_code = 4


class StoreUnreachable(StoreError):
    """The server or database did not answer in time."""

    exit_code = 5


class StoreRefused(StoreError):
    """The store refused the credentials."""

    exit_code = 6


class StoreUnreadable(StoreError):
    """The target is not a tracking store, or it is damaged."""

    exit_code = 7


class SelectionError(QualiaLabError):
    """The requested runs could not be determined."""

    exit_code = 10


class EmptyStore(SelectionError):
    """The store has no experiments, or no runs."""

    exit_code = 11


class UnknownExperiment(SelectionError):
    """No experiment has that name or id."""

    exit_code = 12


class UnknownRun(SelectionError):
    """No run has that id."""

    exit_code = 13


class NoRunMatches(SelectionError):
    """There are runs, but none of them matches."""

    exit_code = 14


class FilterError(SelectionError):
    """A filter or an order is invalid.

    Attributes:
        text: the whole filter or order.
        position: the 0-based index of the character at which it is invalid.
    """

    exit_code = 15

    def __init__(self, message: str, hint: str = "", *, text: str = "", position: int = 0) -> None:
        super().__init__(message, hint)
        self.text = text
        self.position = position


class NothingChosen(SelectionError):
    """The flags do not select runs, and there is no terminal to ask on."""

    exit_code = 16


class UnknownKey(SelectionError, KeyError):
    """No run has a metric, param or tag with that name; also a KeyError, as for any mapping."""

    exit_code = 17


class NoTraceMatches(SelectionError):
    """There are no such traces, or no such models."""

    exit_code = 18


class TemplateError(QualiaLabError):
    """A template was not found, or is invalid."""

    exit_code = 20


class NotebookError(QualiaLabError):
    """A notebook could not be written, executed or exported."""

    exit_code = 30


class OutputExists(NotebookError):
    """The output file already exists, and may contain cells that a user wrote."""

    exit_code = 31


class OutputNotWritable(NotebookError):
    """The output file cannot be written at the requested path."""

    exit_code = 32


class ExecutionFailed(NotebookError):
    """A cell raised, exceeded its time limit, or killed the kernel; the outputs so far are saved."""

    exit_code = 33


class KernelNotStarted(ExecutionFailed):
    """The kernel of the notebook is not installed or did not start; no cell ran and nothing was written."""


class ExportFailed(NotebookError):
    """The notebook could not be converted to the other format."""

    exit_code = 34


class BundleUnreadable(NotebookError):
    """A file or folder is not a bundle, or it cannot be read safely."""

    exit_code = 35


class BundleDiffers(QualiaLabError):
    """A file of a bundle is not as recorded, or a figure does not follow from its data."""


class NothingToCompare(QualiaLabError):
    """The runs lack the data for a computation: no run was read, or none has a metric that can be primary."""


class ExtraMissing(QualiaLabError):
    """An optional dependency is required and not installed."""

    exit_code = 50


class ForbiddenFinding(QualiaLabError):
    """The runs have a finding that `--fail-on` names."""

    exit_code = 55


class EngineError(QualiaLabError):
    """An engine (DuckDB, Spark) could not be opened, or failed to compute a result."""

    exit_code = 60


class SettingsError(QualiaLabError):
    """The table `[tool.qualia]` in pyproject.toml is invalid."""

    exit_code = 65
