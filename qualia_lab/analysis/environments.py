"""Read which Python and library versions a run used, from the files that MLflow logs with a model."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.structured_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# File names set by mlflow.utils.environment and mlflow.utils.requirements_utils.
FILE_NAMES = ("requirements.txt", "conda.yaml", "python_env.yaml", "MLmodel")

PYTHON = "Python"
UNPINNED = "any version"

# PEP 508: a name, extras, and versions or a URL; the marker after `;` says when it applies, so it is ignored.
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
    """Whether an artifact is an environment file, by its name."""
    return PurePosixPath(path).name in FILE_NAMES


def environment(files: Mapping[str, str]) -> dict[str, str]:
    """Read the pinned versions from the environment files of one run.

    A line that is no requirement is skipped.

    Args:
        files: the text of each file, by its path.

    Returns:
        The version of each package, `Python` first, then by name (normalised as in PEP 503). A version is `1.26.4`
        where it is pinned exactly, otherwise the specifiers as written; several that contradict each other are joined.
    """
    versions_of: dict[str, set[str]] = {}
    for path, text in sorted(files.items()):
        for name, version in _stated_versions(PurePosixPath(path).name, text):
            versions_of.setdefault(name, set()).add(version)
    for versions in versions_of.values():
        if len(versions) > 1:
            versions.discard(UNPINNED)
    return {
        name: ", ".join(sorted(versions_of[name]))
        for name in sorted(versions_of, key=lambda name: (name != PYTHON, name))
    }


def requirements(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, version) for each requirement of a requirements.txt; options and comments are skipped."""
    for line in text.replace("\\\n", " ").splitlines():
        stated = re.split(r"(?:^|\s)#|\s--", line, maxsplit=1)[0].strip()
        match = _REQUIREMENT.fullmatch(stated) if len(stated) < 500 else None
        if match:
            name, clauses, address = match.groups()
            yield _normalised(name), f"at {_without_secrets(address)}" if address else _version(clauses)


def _stated_versions(file_name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, version) for everything that one file states."""
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
            yield from _python_requirement(function.get("python_version"))
        return
    yield from _python_requirement(content.get("python"))
    for part in _texts_and_mappings(content.get("dependencies")):
        if isinstance(part, dict):
            yield from requirements("\n".join(line for line in _list(part.get("pip")) if isinstance(line, str)))
        elif file_name == "conda.yaml":
            yield from _conda_requirement(part)
        else:
            yield from requirements(part)


def _conda_requirement(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, version) of one conda dependency."""
    match = _CONDA.fullmatch(text.strip()) if len(text) < 500 else None
    if match is None:
        return
    name, version, clauses = match.groups()
    if name.lower() == "python":
        yield from _python_requirement(version or (clauses or "").lstrip("="))
    else:
        yield _normalised(name), version or _version(clauses)


def _python_requirement(version: Any) -> Iterator[tuple[str, str]]:
    """Yield the Python version if it is one."""
    if isinstance(version, str) and _PYTHON_VERSION.fullmatch(version):
        yield PYTHON, version


def _version(clauses: str | None) -> str:
    """The pinned version, the specifiers without spaces, or `any version`."""
    if not clauses:
        return UNPINNED
    plain = re.sub(r"\s+", "", clauses)
    exact = re.fullmatch(r"={2,3}([^,*]+)", plain)
    return exact[1] if exact else plain


def _normalised(name: str) -> str:
    """A package name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _without_secrets(address: str) -> str:
    """A URL without user, password, query and fragment."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", address)[0])


def _list(value: Any) -> list[Any]:
    """The value if it is a list, otherwise an empty list."""
    return value if isinstance(value, list) else []


def _texts_and_mappings(value: Any) -> Iterator[str | dict[Any, Any]]:
    """The strings and mappings in a value that may be a list."""
    return (part for part in _list(value) if isinstance(part, str | dict))
