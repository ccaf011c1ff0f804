"""Objects that installed packages add through entry points: listed without importing them, loaded one by one.

A fault costs only the object that has it, and is described in a sentence with the name of the package.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

_DOCUMENTED = "See docs/guide/extending.md."


@dataclass(frozen=True)
class Kind:
    """A kind of objects that packages can add.

    Attributes:
        group: the group of entry points.
        noun: the word for such an object in messages.
        reserved: the names that qualia-lab uses itself.
        why_wrong: returns why the object of a name cannot be used, such as `is a str, not a Section`, or None.
        names: the pattern of valid names.
    """

    group: str
    noun: str
    reserved: frozenset[str]
    why_wrong: Callable[[str, Any], str | None]
    names: str = r"[A-Za-z]\w{0,63}"


@dataclass(frozen=True)
class Added:
    """An object that a package adds.

    Attributes:
        name: the name of its entry point.
        package: the name and version of the package.
        module: the module that the entry point names.
        value: the object.
    """

    name: str
    package: str
    module: str
    value: Any


@dataclass(frozen=True)
class Fault:
    """An object that cannot be used.

    Attributes:
        name: the name of its entry point.
        subject: what it is and whose, such as `rule slow_runs of lab-rules 1.0`.
        reason: why it cannot be used; a sentence with `The` and the subject before it.
        hint: what to do.
    """

    name: str
    subject: str
    reason: str
    hint: str

    @property
    def message(self) -> str:
        """The subject and the reason as a sentence."""
        return f"The {self.subject} {self.reason}."

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


def added_names(kind: Kind) -> tuple[str, ...]:
    """Return the names that packages add, sorted, without those that qualia-lab uses; nothing is imported."""
    return tuple(sorted({name for name, _, _ in _entries(kind.group)} - kind.reserved))


def load_added(kind: Kind, name: str) -> Added | Fault | None:
    """Import the object of this name.

    Args:
        kind: the kind of object.
        name: the name of its entry point.

    Returns:
        The object, why it cannot be used, or None if no package adds one of this name. If several packages do, it is
        that of the first package in alphabetical order.
    """
    if name in kind.reserved:
        return None
    of_name = (_load(kind, *entry) for entry in _entries(kind.group) if entry[0] == name)
    return next(of_name, None)


def load_all(kind: Kind) -> tuple[tuple[Added, ...], tuple[Fault, ...]]:
    """Import all objects of a kind.

    Args:
        kind: the kind of object.

    Returns:
        The objects, by package and name, and the faults of those that cannot be used.
    """
    added, faults = [], []
    owners = dict.fromkeys(kind.reserved, "qualia-lab")
    for name, package, entry in _entries(kind.group):
        owner = owners.get(name)
        owners.setdefault(name, package)
        loaded = _load(kind, name, package, entry) if owner is None else _taken(kind, name, package, owner)
        if isinstance(loaded, Fault):
            faults.append(loaded)
        else:
            added.append(loaded)
    return tuple(added), tuple(faults)


def raised(kind: Kind, added: Added, error: BaseException) -> Fault:
    """Return the fault of an object whose function raised an error."""
    reason = f"raised {_described(error, added.module)}"
    return _fault(kind, added.name, added.package, reason, "Correct it, or uninstall that package.")


def returned(kind: Kind, added: Added, reason: str) -> Fault:
    """Return the fault of an object whose function returned what cannot be used, such as `returned a list`."""
    return _fault(kind, added.name, added.package, reason, _DOCUMENTED)


def type_name(value: object) -> str:
    """Return the type of a value with its article, for messages: `a str`, `an int`."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {one_line(name, 60)}"


def _entries(group: str) -> tuple[tuple[str, str, EntryPoint], ...]:
    """Return (name, package, entry point) of a group, sorted by package and name; a broken package is passed over."""
    return _entries_on(group, tuple(sys.path))


@cache
def _entries_on(group: str, _path: tuple[str, ...]) -> tuple[tuple[str, str, EntryPoint], ...]:
    # entry_points() of importlib.metadata raises if the file of a single package is malformed.
    found: dict[tuple[str, str], tuple[str, str, EntryPoint]] = {}
    for name, package, entry in _read_entries(group):
        found.setdefault((package.partition(" ")[0], name), (name, package, entry))
    return tuple(found[key] for key in sorted(found))


def _read_entries(group: str) -> Iterator[tuple[str, str, EntryPoint]]:
    from importlib.metadata import distributions

    for distribution in distributions():
        with suppress(Exception):
            entries = [entry for entry in distribution.entry_points if entry.group == group]
            package = f"{distribution.name} {distribution.version}" if entries else ""
            yield from [(entry.name, one_line(package, 80), entry) for entry in entries]


def _load(kind: Kind, name: str, package: str, entry: EntryPoint) -> Added | Fault:
    return _load_on(kind, name, package, entry, tuple(sys.path))


@cache  # so that a package whose import fails is not imported again for each file of each run
def _load_on(kind: Kind, name: str, package: str, entry: EntryPoint, _path: tuple[str, ...]) -> Added | Fault:
    if not re.fullmatch(kind.names, name, re.ASCII):
        return _fault(kind, name, package, f"has a name that does not match {kind.names}", "Rename it there.")
    try:
        value = entry.load()
    except (Exception, SystemExit) as error:
        module = entry.value.partition(":")[0]
        reason = f"cannot be imported: {_described(error, module)}"
        return _fault(kind, name, package, reason, "Correct, update or uninstall that package.")
    wrong = kind.why_wrong(name, value)
    if wrong is not None:
        return _fault(kind, name, package, wrong, _DOCUMENTED)
    return Added(name, package, entry.module, value)


def _taken(kind: Kind, name: str, package: str, owner: str) -> Fault:
    reason = f"is left out, because {owner} has a {kind.noun} of that name"
    return _fault(kind, name, package, reason, "Rename it there, or uninstall one of them.")


def _fault(kind: Kind, name: str, package: str, reason: str, hint: str) -> Fault:
    return Fault(name, f"{kind.noun} {one_line(name, 60)} of {package}", reason, hint)


def _described(error: BaseException, module: str) -> str:
    """`KeyError: 'x' in lab_rules.slow, line 12`: the last line of the package that was running."""
    text = one_line(f"{type(error).__name__}: {error}", 200).rstrip(".")
    if isinstance(error, SyntaxError):
        return text  # which names the file and the line
    package, place, trace = module.partition(".")[0], "", error.__traceback__
    while trace is not None:
        running = str(trace.tb_frame.f_globals.get("__name__", ""))
        if running.partition(".")[0] == package:
            place = f" in {one_line(running, 80)}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return text + place
