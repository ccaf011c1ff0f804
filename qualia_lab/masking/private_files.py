"""What a Redactor shows of an artifact: pictures and lists of packages as they are, of texts what is allowed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.masking.redactor import Redactor

# The table that mlflow.evaluate logs: its scores stay, its texts are hidden.
_EVALUATION_TABLE = "eval_results_table.json"
# Shown without content, too: what a run was made with, in files that MLflow writes.
NOT_SHOWN = "‹not shown›"  # instead of a default of a param of a model
_MODEL_FILE = "MLmodel"
_ENVIRONMENT = (_MODEL_FILE, "requirements.txt", "conda.yaml", "python_env.yaml")
# Of a model's file without content: what MLflow says of the model by itself, and of its flavours and columns.
_FACTS = re.compile(
    r"(artifact_path|mlflow_version|model_id|model_size_bytes|model_uuid|run_id|utc_time_created): *[\w.:/' -]+"
)
_FLAVOUR = re.compile(r"  [\w.]+:|    \w*version: *[\w.+']+")
_SIGNATURE = ("inputs", "outputs", "params")
_OF_A_COLUMN = (
    "name",
    "type",
    "required",
    "optional",
    "tensor-spec",
    "items",
    "properties",
    "values",
    "shape",
    "default",
)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF")
_TABLES = (b"PAR1", b"ARROW1", b"SQLite format 3\0")  # binary files that hold texts
_IN_FILE = "in a file "


def private_bytes(
    path: str,
    data: bytes,
    redactor: Redactor,
    *,
    is_whole: bool,
    change: Callable[[bytes, Callable[[str], str]], bytes],
) -> bytes:
    """The start of a file as it is shown.

    Args:
        path: the path of the artifact.
        data: its first bytes.
        redactor: replaces.
        is_whole: whether the bytes are all of the file.
        change: applies a function to the text of a file, whatever its encoding; returns binary files as they are.

    Raises:
        StoreError: it is not shown, because words cannot be taken out of it.
    """
    name = path.rpartition("/")[2]
    if data.startswith(_PICTURES):
        return data
    if not redactor.privacy.content and name not in _ENVIRONMENT:
        if name == _EVALUATION_TABLE and is_whole and (table := _without_texts(data, redactor)) is not None:
            return table
        raise StoreError(f"{one_line(path, 100)} is not shown, as CONTENT = False leaves out what people wrote.", "")
    if not redactor.privacy.content and name == _MODEL_FILE:
        data = change(data, _facts_of_model)
    if not redactor.privacy.redact:
        return data
    if data.startswith(_TABLES):
        raise StoreError(f"{one_line(path, 100)} is not shown, as nothing can be redacted in a binary table.", "")
    return change(data, redactor.unnumbered)


def _facts_of_model(text: str) -> str:
    """What an MLmodel file says without words of people, which metadata, prompts and configs may be."""
    facts: list[str] = []
    signature: dict[str, str] = {}
    block = part = ""
    for line in text.splitlines():
        if not line.startswith(" "):
            block, part = line.rstrip(), ""
            facts += [block] if block == "flavors:" or _FACTS.fullmatch(block) else []
        elif block == "flavors:" and _FLAVOUR.fullmatch(line.rstrip()):
            facts.append(line)
        elif block == "signature:":
            part = part if line.startswith("   ") else line.partition(":")[0].strip()
            signature[part] = f"{signature.get(part, '')} {line.strip()}".strip()
    kept = [_columns_without_texts(name, signature[name]) for name in _SIGNATURE if name in signature]
    return "\n".join((*facts, "signature:", *kept, ""))


def _columns_without_texts(name: str, entry: str) -> str:
    """`  params: '[…]'` without defaults that hold texts; "" if it is not written as MLflow does."""
    quoted = re.fullmatch(rf"{name}: '(.*)'", entry)
    try:
        columns = json.loads(quoted[1].replace("''", "'")) if quoted else None
    except (ValueError, RecursionError):
        return ""
    if not isinstance(columns, list) or not all(isinstance(one, dict) for one in columns):
        return ""
    for one in columns:
        if '"' in json.dumps(one.get("default")):
            one["default"] = NOT_SHOWN
    written = json.dumps([{key: one[key] for key in _OF_A_COLUMN if key in one} for one in columns], ensure_ascii=False)
    written = written.replace("'", "''")
    return f"  {name}: '{written}'"


def _without_texts(data: bytes, redactor: Redactor) -> bytes | None:
    """A logged table with its texts hidden; None if it is none."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(table, dict) or not isinstance(table.get("data"), list):
        return None
    return json.dumps(table | {"data": _hidden(table["data"], redactor)}, ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


def _hidden(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, list):
        return [_hidden(inner, redactor) for inner in value]
    if isinstance(value, dict):
        return redactor.hidden(json.dumps(value), _IN_FILE)
    return redactor.plain(value, _IN_FILE) if isinstance(value, str) else value
