"""Which Python and libraries a run was made with, by the files that MLflow logs beside a model."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.structured_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# mlflow.utils.environment and mlflow.utils.requirements_utils give these files their names.
FILE_NAMES = ("requirements.txt", "conda.yaml", "python_env.yaml", "MLmodel")

PYTHON = "Python"
UNPINNED = "any version"

# PEP 508: a name, extras, and versions or an address; what follows `;` says when it applies, not what it is.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_CLAUSE = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
_REQUIREMENT = re.compile(
    rf"({_NAME})\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*(?:\(?\s*({_CLAUSE}(?:\s*,\s*{_CLAUSE})*)\s*,?\s*\)?|@\s*(\S+))?\s*(?:;.*)?"
)
# conda: channel::name=version=build, or a name with clauses as above.
_CONDA = re.compile(
    rf"(?:[\w.-]+::)?({_NAME})\s*(?:=\s*([A-Za-z0-9.*+!_-]+)(?:=\S*)?|({_CLAUSE}(?:\s*,\s*{_CLAUSE})*))?"
)
_PYTHON_VERSION = re.compile(r"\d+(\.\d+){0,3}[A-Za-z0-9.+]*")


def is_environment_file(path: str) -> bool:
    """Whether an artifact says which libraries a run was made with, by its name."""
    return PurePosixPath(path).name in FILE_NAMES


def environment(files: Mapping[str, str]) -> dict[str, str]:
    """Name → version of everything that these files of one run (path → text) pin, `Python` first.

    Names are as PEP 503 normalises them. A version is `1.26.4` where one is pinned, else the clauses as written;
    several that contradict each other are joined. A line that is no requirement is passed over.
    """
    found: dict[str, set[str]] = {}
    for path, text in sorted(files.items()):
        for name, version in _stated(PurePosixPath(path).name, text):
            found.setdefault(name, set()).add(version)
    for versions in found.values():
        if len(versions) > 1:
            versions.discard(UNPINNED)
    return {name: ", ".join(sorted(found[name])) for name in sorted(found, key=lambda name: (name != PYTHON, name))}


def requirements(text: str) -> Iterator[tuple[str, str]]:
    """The (name, version) of each line of a requirements.txt that is a requirement; options and comments are none."""
    for line in text.replace("\\\n", " ").splitlines():
        stated = re.split(r"(?:^|\s)#|\s--", line, maxsplit=1)[0].strip()
        match = _REQUIREMENT.fullmatch(stated) if len(stated) < 500 else None
        if match:
            name, clauses, address = match.groups()
            yield _normal(name), f"at {_bare(address)}" if address else _version(clauses)


def _stated(file_name: str, text: str) -> Iterator[tuple[str, str]]:
    if file_name == "requirements.txt":
        yield from requirements(text)
        return
    try:
        content = parse_yaml(text)
    except ValueError:
        return
    if not isinstance(content, dict):
        return
    if file_name == "MLmodel":
        flavours = content.get("flavors")
        function = flavours.get("python_function") if isinstance(flavours, dict) else None
        if isinstance(function, dict):
            yield from _python(function.get("python_version"))
        return
    yield from _python(content.get("python"))
    for part in _texts_and_mappings(content.get("dependencies")):
        if isinstance(part, dict):
            yield from requirements("\n".join(line for line in _list(part.get("pip")) if isinstance(line, str)))
        elif file_name == "conda.yaml":
            yield from _conda(part)
        else:
            yield from requirements(part)


def _conda(text: str) -> Iterator[tuple[str, str]]:
    match = _CONDA.fullmatch(text.strip()) if len(text) < 500 else None
    if match is None:
        return
    name, version, clauses = match.groups()
    if name.lower() == "python":
        yield from _python(version or (clauses or "").lstrip("="))
    else:
        yield _normal(name), version or _version(clauses)


def _python(version: Any) -> Iterator[tuple[str, str]]:
    if isinstance(version, str) and _PYTHON_VERSION.fullmatch(version):
        yield PYTHON, version


def _version(clauses: str | None) -> str:
    if not clauses:
        return UNPINNED
    plain = re.sub(r"\s+", "", clauses)
    exact = re.fullmatch(r"={2,3}([^,*]+)", plain)
    return exact[1] if exact else plain


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bare(address: str) -> str:
    """An address without user, password, query and fragment."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", address)[0])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts_and_mappings(value: Any) -> Iterator[str | dict[Any, Any]]:
    return (part for part in _list(value) if isinstance(part, str | dict))
