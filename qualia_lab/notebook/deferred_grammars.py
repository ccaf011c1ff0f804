"""Import nbformat without compiling the grammars of a format checker that notebooks do not need."""

from __future__ import annotations

import contextlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "rfc3987_syntax"


@contextlib.contextmanager
def deferred_grammars() -> Iterator[None]:
    """Import packages that import jsonschema, without its compiling 38 grammars of IRIs, which takes over a second.

    With JupyterLab in the environment, jsonschema has `rfc3987_syntax`, which compiles them when it is imported. In
    this block it is imported on the first check of an IRI instead. The schema of notebooks has no such check.
    """
    if _NAME in sys.modules or find_spec(_NAME) is None:
        yield
        return
    deferred = ModuleType(_NAME)
    deferred.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[_NAME] = deferred
    try:
        yield
    finally:
        if sys.modules.get(_NAME) is deferred:
            del sys.modules[_NAME]


def _is_valid_syntax(term: str, value: str) -> bool:
    from importlib import import_module

    return bool(import_module(_NAME).is_valid_syntax(term, value))
