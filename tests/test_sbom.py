"""The list of components has CycloneDX's form, names every requirement, and is the same for the same environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.sbom import bill_of_materials

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bill():
    return bill_of_materials()


def test_the_bill_has_the_form_of_cyclonedx(bill):
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    assert set(bill) == {
        "bomFormat",
        "specVersion",
        "serialNumber",
        "version",
        "metadata",
        "components",
        "dependencies",
    }
    for one in [bill["metadata"]["component"], *bill["components"]]:
        assert set(one) <= {"type", "bom-ref", "name", "version", "purl", "licenses"}
        assert one["type"] in ("application", "library")
        assert re.fullmatch(r"pkg:pypi/[a-z0-9-]+@[^@/\s]+", one["purl"])
        for licence in one.get("licenses", ()):
            assert list(licence) in (["expression"], ["license"])
    references = [one["bom-ref"] for one in [bill["metadata"]["component"], *bill["components"]]]
    assert len(references) == len(set(references))
    assert sorted(one["ref"] for one in bill["dependencies"]) == sorted(references)
    assert {other for one in bill["dependencies"] for other in one["dependsOn"]} <= set(references)


def test_the_bill_names_every_requirement_with_the_version_that_is_installed(bill):
    wanted = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {canonicalize_name(Requirement(one).name) for one in wanted}
    known = {canonicalize_name(one["name"]): one["version"] for one in bill["components"]}
    assert {name: known.get(name) for name in names} == {name: version(name) for name in names}
    [own] = [one["dependsOn"] for one in bill["dependencies"] if one["ref"] == bill["metadata"]["component"]["bom-ref"]]
    assert {re.match(r"pkg:pypi/(.+)@", one)[1] for one in own} == names
    assert len(known) > len(names)


def test_nearly_every_component_states_its_licence(bill):
    without = [one["name"] for one in bill["components"] if "licenses" not in one]
    assert len(without) <= len(bill["components"]) // 20, without


def test_the_command_writes_the_same_file_each_time_and_names_no_place(tmp_path):
    texts = []
    for name in ("a.json", "b.json"):
        command = [sys.executable, "-m", "release.sbom", str(tmp_path / name)]
        subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["components"]
    assert str(CHECKOUT) not in texts[0]
    assert "file:" not in texts[0]
