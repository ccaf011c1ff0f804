"""Read the values of the `parameters` cell of a notebook without running it."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any, TypedDict

from qualia_lab.errors import NotebookError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PARAMETER_TAGS = frozenset({"parameters", "injected-parameters"})

# The values that a command has to know before it runs the cells.
_REQUIRED = ("TRACKING_URI", "RUN_IDS", "ENGINE", "TRACES")


def read_parameters(path: Path) -> dict[str, Any]:
    """Return the literals assigned in the cells tagged `parameters` or, by papermill, `injected-parameters`.

    Later assignments override earlier ones. Values of other names that are not literals are skipped.

    Args:
        path: the file of the notebook.

    Returns:
        {name: value}.

    Raises:
        NotebookError: the file is not a notebook, or TRACKING_URI, RUN_IDS, ENGINE or TRACES is not set to a literal.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return parameters_of(cells, path)
    except FileNotFoundError as error:
        raise NotebookError(f"There is no notebook at {path}.", "Check the path.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotebookError(f"{path} is not a notebook.", "Open it in Jupyter to see what is wrong.") from error


def parameters_of(cells: Iterable[Mapping[str, Any]], path: Path) -> dict[str, Any]:
    """Return the literals in the parameters cells of a notebook, see `read_parameters`.

    Args:
        cells: the cells of the notebook.
        path: its file, for messages.

    Raises:
        NotebookError: TRACKING_URI, RUN_IDS, ENGINE or TRACES is not set to a literal.
    """
    sources = ["".join(cell["source"]) for cell in cells if PARAMETER_TAGS & set(cell["metadata"].get("tags", ()))]
    values: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for source in sources:
        try:
            statements = ast.parse(source).body
        except (SyntaxError, ValueError) as error:
            line = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise NotebookError(
                f"The parameters cell of {path} is not valid Python{line}.",
                "Correct it in Jupyter; commands that start with % or ! belong in another cell.",
            ) from error
        for statement in statements:
            names, value = _assigned(statement)
            for name in names:
                values[name] = value
                unread.pop(name, None)
            for name in set(_changed(statement)) - set(names):
                unread[name] = ast.get_source_segment(source, statement) or name
    for name in _REQUIRED:
        if name in unread:
            raise NotebookError(
                f"The parameters cell of {path} sets {name} by an expression that is not a literal: "
                f"{one_line(unread[name], 100)}",
                f"Write the value itself, as in {name} = {_EXAMPLES[name]}, or run the notebook in Jupyter.",
            )
    return values


def run_ids_of(path: Path, parameters: dict[str, Any]) -> tuple[str, ...]:
    """Return the run ids in the parameters, or (). Raises NotebookError if RUN_IDS is not a list of strings."""
    run_ids = parameters.get("RUN_IDS")
    if run_ids is None:
        return ()
    if not isinstance(run_ids, list | tuple) or not all(isinstance(run_id, str) for run_id in run_ids):
        raise NotebookError(
            f"RUN_IDS in the parameters cell of {path} is not a list of strings: {one_line(repr(run_ids), 100)}",
            f"Write RUN_IDS = {_EXAMPLES['RUN_IDS']}; papermill takes a list as: -y \"RUN_IDS: ['ID', 'ID']\"",
        )
    return tuple(run_ids)


class GivenPrivacy(TypedDict):
    """What a notebook says of people's words, as the arguments of `load_runs`; None where it says nothing."""

    redact: bool | None
    content: bool | None


def privacy_in(parameters: Mapping[str, Any]) -> GivenPrivacy:
    """Return what REDACT and CONTENT in the parameters say."""
    redact, content = (
        value if isinstance(value := parameters.get(name), bool) else None for name in ("REDACT", "CONTENT")
    )
    return {"redact": redact, "content": content}


def run_ids_in(cells: Iterable[Mapping[str, Any]], path: Path) -> tuple[str, ...]:
    """Return the run ids in the parameters cells of a notebook, or ().

    Args:
        cells: the cells of the notebook.
        path: its file, for messages.

    Raises:
        NotebookError: the parameters are invalid.
    """
    return run_ids_of(path, parameters_of(cells, path))


_EXAMPLES = {
    "TRACKING_URI": "'sqlite:////data/mlflow.db'",
    "RUN_IDS": "['ID', 'ID']",
    "ENGINE": "'duckdb'",
    "TRACES": "{'experiment_ids': ['1']}",
}


def _assigned(statement: ast.stmt) -> tuple[list[str], Any]:
    """Return the names and the value of `NAME = literal`, which may be annotated or chained; else no names."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    else:
        return [], None
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if len(names) < len(targets):
        return [], None
    try:
        return names, ast.literal_eval(statement.value)  # type: ignore[arg-type]
    except (ValueError, TypeError, MemoryError, RecursionError):
        return [], None


def _changed(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement may set, delete or modify, as `RUN_IDS.sort()` and `RUN_IDS[0] = …` do."""
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return  # `RUN_IDS: list[str]` alone sets nothing
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.value, ast.Name):
            called_or_set = isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load)
            if called_or_set:
                yield node.value.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
