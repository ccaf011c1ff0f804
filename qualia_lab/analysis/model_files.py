"""Read an MLmodel file: flavours, signature, size and versions of a model. The model itself is never loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from qualia_lab.analysis.structured_text import parse_json, parse_yaml
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.masking.private_files import NOT_SHOWN

_FLAVOURS = 10  # a model has two or three
_DEEPEST = 6  # levels of a type such as array(object(…))
_NAME, _VERSION, _TYPE, _DEFAULT = 60, 20, 200, 100  # characters that are kept of untrusted texts
_DIGITS = 15  # of a size
_NO_TYPE = "type not given"
_NULLS = ("", "null", "~")  # as YAML writes them


@dataclass(frozen=True)
class Column:
    """A column of a signature, a tensor of it, or a param.

    Attributes:
        name: its name; "" if it has none.
        type: such as `double`, `tensor float32 [-1, 28, 28]` or `array(string)`.
        is_required: whether inputs must have it.
        default: the default of a param as JSON; "" for columns.
    """

    name: str
    type: str
    is_required: bool = True
    default: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.type}" if self.name else self.type


@dataclass(frozen=True)
class Part:
    """The inputs, outputs or params of a signature.

    Attributes:
        columns: in the order of the signature.
        unread: the text where it is no list of columns; "" if it is.
    """

    columns: tuple[Column, ...]
    unread: str = ""

    def in_short(self) -> str:
        """`long`, `age: long` or `4 columns (age: long, …)`."""
        if self.unread:
            return one_line(self.unread, _NAME)
        if len(self.columns) == 1:
            return str(self.columns[0])
        more = ", …" if len(self.columns) > 1 else ""
        return counted(len(self.columns), "column") + (f" ({self.columns[0]}{more})" if more else "")


@dataclass(frozen=True)
class Signature:
    """What a model takes and returns; None for a part that was not logged."""

    inputs: Part | None = None
    outputs: Part | None = None
    params: Part | None = None

    def in_short(self) -> str:
        """`4 columns (sepal length: double, …) → long`; "" if nothing is known."""
        if self.inputs is None and self.outputs is None and self.params is None:
            return ""
        said = " → ".join("not given" if part is None else part.in_short() for part in (self.inputs, self.outputs))
        if self.params is None or not self.params.columns:
            return said
        return f"{said}; {counted(len(self.params.columns), 'param')}"


@dataclass(frozen=True)
class ModelFile:
    """What an MLmodel file says.

    Attributes:
        flavours: the name and the version of each, "" where none is given.
        signature: the signature.
        size: of the files of the model in bytes, as MLflow measured it when the model was logged.
        mlflow_version, python_version, created: with which the model was logged, and when in UTC; "" if not given.
        run_id, model_id: the run and the logged model that the file names; "" for none.
        example: the file with the example of an input; "" for none.
    """

    flavours: tuple[tuple[str, str], ...]
    signature: Signature
    size: int | None
    mlflow_version: str
    python_version: str
    created: str
    run_id: str
    model_id: str
    example: str

    def flavours_in_short(self) -> str:
        """`python_function, sklearn 1.9.1`."""
        return ", ".join(f"{name} {version}".strip() for name, version in self.flavours)


def read_model_file(text: str) -> ModelFile:
    """Read the text of an MLmodel file, which is untrusted: aliases and tags of YAML are not followed.

    Args:
        text: the file.

    Raises:
        ValueError: it is no valid YAML, or says nothing of a model.
    """
    try:
        return _read(parse_yaml(text))
    except RecursionError as error:  # a type within types, written as text
        raise ValueError("it is nested too deeply") from error


def _read(content: Any) -> ModelFile:
    if not isinstance(content, dict) or not isinstance(content.get("flavors"), dict):
        raise ValueError("it lists no flavours")  # noqa: TRY004 - the text is wrong, not a type
    flavours = content["flavors"]
    function = flavours.get("python_function")
    example = content.get("saved_input_example_info")
    size = _text(content, "model_size_bytes")
    return ModelFile(
        flavours=tuple(_flavour(str(name), given) for name, given in [*flavours.items()][:_FLAVOURS]),
        signature=_signature(content.get("signature")),
        size=int(size) if size.isdecimal() and size.isascii() and len(size) <= _DIGITS else None,
        mlflow_version=_text(content, "mlflow_version")[:_VERSION],
        python_version=_text(function, "python_version")[:_VERSION],
        created=_text(content, "utc_time_created")[:_NAME],
        run_id=_text(content, "run_id")[:_NAME],
        model_id=_text(content, "model_id")[:_NAME],
        example=_text(example, "artifact_path")[:_NAME],
    )


def _text(mapping: Any, key: str) -> str:
    """The text of a key; "" where there is none."""
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return value.strip() if isinstance(value, str) and value.strip() not in _NULLS else ""


def _flavour(name: str, given: Any) -> tuple[str, str]:
    """The name of a flavour and the version of its library, whose key is named after the flavour."""
    short = name.removeprefix("mlflow.")
    version = _text(given, f"{short}_version") or _text(given, "version")
    return short[:_NAME], version[:_VERSION]


def _signature(given: Any) -> Signature:
    return Signature(*(_part(_text(given, name)) for name in ("inputs", "outputs", "params")))


def _part(text: str) -> Part | None:
    if not text:
        return None
    try:
        columns = parse_json(text)
    except ValueError:
        columns = None
    if not isinstance(columns, list):
        return Part((), unread=text[:_TYPE])
    return Part(tuple(map(_column, columns)))


def _column(given: Any) -> Column:
    if not isinstance(given, dict):
        return Column("", str(given)[:_NAME])
    name = given.get("name")
    return Column(
        name=name[:_TYPE] if isinstance(name, str) else "",
        type=_type(given, _DEEPEST)[:_TYPE],
        is_required=given.get("required") is not False and given.get("optional") is not True,
        default=_default(given["default"]) if "default" in given else "",
    )


def _default(value: Any) -> str:
    return NOT_SHOWN if value == NOT_SHOWN else json.dumps(value, ensure_ascii=False)[:_DEFAULT]


def _type(given: Any, deepest: int) -> str:
    """A type in words: `double`, `tensor float32 [-1, 4]`, `array(string)`, `object(role: string, …)`, `map(long)`."""
    if not isinstance(given, dict):
        return str(given)[:_NAME]
    kind = str(given.get("type") or given.get("dtype") or _NO_TYPE)[:_NAME]
    tensor, properties = given.get("tensor-spec"), given.get("properties")
    if isinstance(tensor, dict):
        shape = tensor.get("shape")
        said = f" {str(shape)[:_NAME]}" if isinstance(shape, list) else ""
        return f"tensor {str(tensor.get('dtype') or _NO_TYPE)[:_NAME]}{said}"
    if deepest == 0:
        return "…"
    for inner in ("items", "values"):
        if inner in given:
            return f"{kind}({_type(given[inner], deepest - 1)})"
    if isinstance(properties, dict):
        fields = [f"{str(name)[:_NAME]}: {_type(one, deepest - 1)}" for name, one in [*properties.items()][:_FLAVOURS]]
        return f"{kind}({', '.join(fields + ['…'] * (len(properties) > _FLAVOURS))})"
    shape = given.get("shape")
    return f"{kind} {str(shape)[:_NAME]}" if isinstance(shape, list) else kind
