"""`Namespace`: base class of `runs.plot`, `runs.artifacts` and others, which group the methods on loaded runs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, ClassVar

from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from qualia_lab.runs.loaded import Loaded


class Namespace:
    """A group of methods. Displayed by itself, it lists them, each with the first sentence of its docstring."""

    name: ClassVar[str]

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def __dir__(self) -> list[str]:
        return public_names(type(self))

    def __repr__(self) -> str:
        entries = self._entries()
        width = max(len(call) for call, _ in entries)
        return "\n".join(f"{call:{width}}  {summary}" for call, summary in entries)

    def _repr_html_(self) -> str:
        items = (f"<li><code>{for_html(call)}</code> {for_html(summary)}</li>" for call, summary in self._entries())
        return f"<ul>{''.join(items)}</ul>"

    def _entries(self) -> list[tuple[str, str]]:
        kind = type(self)
        return [(f"runs.{self.name}.{method}(…)", first_sentence(kind, method)) for method in public_names(kind)]


def public_names(kind: type) -> list[str]:
    """The public methods that a class defines, sorted."""
    return sorted(name for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name)))


def properties_and_methods(kind: type) -> list[str]:
    """The public properties and methods that a class defines, sorted."""
    return sorted(name for name in vars(kind) if not name.startswith("_"))


def first_sentence(kind: type, name: str) -> str:
    """The first sentence of a method's docstring."""
    text = inspect.getdoc(getattr(kind, name)) or ""
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0]
