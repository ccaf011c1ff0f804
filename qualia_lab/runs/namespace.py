"""Namespace: methods of one kind over the loaded runs, to tab through: `runs.plot.`, `runs.artifacts.`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, ClassVar

from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from qualia_lab.runs.loaded import Loaded


class Namespace:
    """Shown by itself it lists its methods, each with the first sentence of what it does."""

    name: ClassVar[str]

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def __dir__(self) -> list[str]:
        return public_names(type(self))

    def __repr__(self) -> str:
        told = self._told()
        width = max(len(call) for call, _ in told)
        return "\n".join(f"{call:{width}}  {what}" for call, what in told)

    def _repr_html_(self) -> str:
        items = (f"<li><code>{for_html(call)}</code> {for_html(what)}</li>" for call, what in self._told())
        return f"<ul>{''.join(items)}</ul>"

    def _told(self) -> list[tuple[str, str]]:
        return [(f"runs.{self.name}.{one}(…)", first_sentence(type(self), one)) for one in public_names(type(self))]


def public_names(kind: type) -> list[str]:
    """The names of a class that are for a person."""
    return sorted(name for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name)))


def properties_and_methods(kind: type) -> list[str]:
    """The names of a class that are for a person, what is read without a call among them."""
    return sorted(name for name in vars(kind) if not name.startswith("_"))


def first_sentence(kind: type, name: str) -> str:
    """What a method does, in the first sentence of its docstring."""
    text = inspect.getdoc(getattr(kind, name)) or ""
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0]
