"""`python -m release.sbom FILE`: what qualia-lab and all that it needs here are made of, as CycloneDX 1.5 JSON.

From the distributions that are installed in this environment; nothing is asked over the network. The serial number and
the order are functions of the content, so that the same environment gives the same file.
"""

from __future__ import annotations

import json
import sys
import uuid
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "qualia-lab"


def bill_of_materials(root: str = ROOT, extras: tuple[str, ...] = ()) -> dict[str, Any]:
    """The bill of a distribution: itself, and each distribution that it needs, with the edges between them.

    Args:
        root: the name of the distribution.
        extras: of its extras those whose requirements count too, where they are installed.

    Returns:
        A CycloneDX 1.5 document as `json.dumps` takes it.

    Raises:
        PackageNotFoundError: if `root` is not installed.
    """
    needed = _closure(root, extras)
    reference = {name: _purl(one) for name, (one, _) in needed.items()}
    components = [_component(one, reference[name]) for name, (one, _) in sorted(needed.items())]
    [about] = [one for one in components if one["bom-ref"] == reference[canonicalize_name(root)]]
    dependencies = [
        {"ref": reference[name], "dependsOn": sorted(reference[other] for other in others)}
        for name, (_, others) in sorted(needed.items())
    ]
    content = {
        "metadata": {"component": about | {"type": "application"}},
        "components": [one for one in components if one is not about],
        "dependencies": dependencies,
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))}",
        "version": 1,
        **content,
    }


def _closure(root: str, extras: tuple[str, ...]) -> dict[str, tuple[Distribution, set[str]]]:
    """{name: (distribution, names of those it needs directly)}; a requirement that is not installed is of an extra."""
    found: dict[str, tuple[Distribution, set[str]]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(root), extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        one, needs = found.setdefault(name, (distribution(name), set()))
        for requirement in map(Requirement, one.requires or ()):
            other = canonicalize_name(requirement.name)
            if (requirement.marker is None or requirement.marker.evaluate({"extra": extra})) and _is_installed(other):
                needs.add(other)
                waiting += [(other, its_extra) for its_extra in ("", *requirement.extras)]
    return found


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _purl(one: Distribution) -> str:
    return f"pkg:pypi/{canonicalize_name(one.name)}@{one.version}"


def _component(one: Distribution, purl: str) -> dict[str, Any]:
    component = {"type": "library", "bom-ref": purl, "name": one.name, "version": one.version, "purl": purl}
    return component | ({"licenses": licences} if (licences := _licences(one)) else {})


def _licences(one: Distribution) -> list[dict[str, Any]]:
    """The licence as the distribution states it: an SPDX expression, else the names of its classifiers, else a word."""
    expression = one.metadata.get("License-Expression")
    if expression:
        return [{"expression": expression}]
    names = [
        text.rpartition(" :: ")[2]
        for text in one.metadata.get_all("Classifier") or ()
        if text.startswith("License :: ") and not text.endswith(":: OSI Approved")
    ]
    if not names and (said := (one.metadata.get("License") or "").strip()):
        names = [said.splitlines()[0][:100]]
    return [{"license": {"name": name}} for name in names]


def main() -> None:
    """Write the bill of what is installed, with all extras."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m release.sbom FILE")
    extras = tuple(distribution(ROOT).metadata.get_all("Provides-Extra") or ())
    bill = bill_of_materials(extras=extras)
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(bill['components'])} components\n")


if __name__ == "__main__":
    main()
