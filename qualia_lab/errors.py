"""Every error a person can meet, and the exit code of each.

QualiaLabError                    1
├── StoreError                    3
│   ├── StoreNotFound             4   nothing is at that tracking URI
│   ├── StoreUnreachable          5   the server or database did not answer
│   ├── StoreRefused              6   it answered, and wants other credentials
│   └── StoreUnreadable           7   it answered with something that is no store
├── SelectionError               10
│   ├── EmptyStore               11   no experiment, or no run at all
│   ├── UnknownExperiment        12
│   ├── UnknownRun               13
│   ├── NoRunMatches             14
│   ├── FilterError              15   the filter or order could not be understood
│   ├── NothingChosen            16   no terminal to ask on, and too few flags
│   └── UnknownKey               17   no run has that metric, param or tag
├── TemplateError                20
├── NotebookError                30
│   ├── OutputExists             31
│   ├── OutputNotWritable        32
│   ├── ExecutionFailed          33   a cell raised, hung or killed the kernel
│   │   └── KernelNotStarted     33   no cell ran
│   └── ExportFailed             34
├── NothingToCompare              1   these runs hold nothing of what is to be computed
├── ExtraMissing                 50   an optional dependency is not installed
├── ForbiddenFinding             55   a finding that was to fail a job was made
├── EngineError                  60   an engine could not be opened, or could not compute
└── SettingsError                65   the project's [tool.qualia] says what cannot be
"""

from __future__ import annotations


class QualiaLabError(Exception):
    """What went wrong in one sentence that names the thing, and in another what to do next."""

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
    """Nothing is at that tracking URI; nothing was created there."""

    exit_code = 4


class StoreUnreachable(StoreError):
    """The server or database did not answer in time."""

    exit_code = 5


class StoreRefused(StoreError):
    """The store answered, and refused these credentials."""

    exit_code = 6


class StoreUnreadable(StoreError):
    """What is there is not a tracking store, or is damaged."""

    exit_code = 7


class SelectionError(QualiaLabError):
    """The runs that were asked for could not be determined."""

    exit_code = 10


class EmptyStore(SelectionError):
    """The store holds no experiment, or no run."""

    exit_code = 11


class UnknownExperiment(SelectionError):
    """No experiment has that name or id."""

    exit_code = 12


class UnknownRun(SelectionError):
    """No run has that id."""

    exit_code = 13


class NoRunMatches(SelectionError):
    """There are runs, and none of them matches."""

    exit_code = 14


class FilterError(SelectionError):
    """A filter or an order could not be understood.

    text: the whole filter; position: 0-based index of the character where it stopped making sense.
    """

    exit_code = 15

    def __init__(self, message: str, hint: str = "", *, text: str = "", position: int = 0) -> None:
        super().__init__(message, hint)
        self.text = text
        self.position = position


class NothingChosen(SelectionError):
    """There is no terminal to ask on, and the flags do not say which runs."""

    exit_code = 16


class UnknownKey(SelectionError, KeyError):
    """No run has a metric, param or tag of that name; also a KeyError, as of any mapping."""

    exit_code = 17


class TemplateError(QualiaLabError):
    """A template could not be found or understood."""

    exit_code = 20


class NotebookError(QualiaLabError):
    """A notebook could not be written, executed or exported."""

    exit_code = 30


class OutputExists(NotebookError):
    """The output is already there, and may hold a person's cells."""

    exit_code = 31


class OutputNotWritable(NotebookError):
    """The output cannot be written where it was asked for."""

    exit_code = 32


class ExecutionFailed(NotebookError):
    """A cell raised, ran past its time limit, or killed the kernel; what ran is saved."""

    exit_code = 33


class KernelNotStarted(ExecutionFailed):
    """The kernel that the notebook asks for is not installed or did not start: no cell ran, nothing was written."""


class ExportFailed(NotebookError):
    """The notebook could not be turned into the other format."""

    exit_code = 34


class NothingToCompare(QualiaLabError):
    """These runs hold nothing of what is to be computed: no run was read, or none has a metric that can lead."""


class ExtraMissing(QualiaLabError):
    """An optional dependency is needed for this and is not installed."""

    exit_code = 50


class ForbiddenFinding(QualiaLabError):
    """Among the runs is what `--fail-on` names."""

    exit_code = 55


class EngineError(QualiaLabError):
    """An engine (DuckDB, Spark) could not be opened for what was asked, or could not compute it."""

    exit_code = 60


class SettingsError(QualiaLabError):
    """The table `[tool.qualia]` of this folder's pyproject.toml says what cannot be."""

    exit_code = 65
