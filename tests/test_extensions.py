"""What packages add through entry points works, and what is broken is named with its package and costs nothing else."""

from __future__ import annotations

import sys

import pytest

from qualia_lab import extensions
from qualia_lab.analysis.findings import all_rules, find_findings, rule_faults
from qualia_lab.analysis.findings.settings import chosen_thresholds
from qualia_lab.charts.previews import read_previews
from qualia_lab.errors import QualiaLabError, TemplateError
from qualia_lab.notebook.template import Template, list_templates, read_template, template_names
from qualia_lab.notebook.template_cells import parse_percent
from qualia_lab.sections import SECTIONS
from qualia_lab.sections.added import find_section, section_names, section_titles

from .analysis.study_samples import evidence_of, runs_of
from .charts.test_previews import Place
from .cli.command import QUALIA, run_here
from .notebook.test_plan import planned, some_runs

PUBLIC = [
    *("ArtifactFile", "ArtifactPlace", "Evidence", "Finding", "History", "Number", "PlannedCell", "Preview", "Rule"),
    *("RunTables", "Section", "SectionContext", "Study", "code", "first_lines", "fixed_section", "for_html"),
    *("for_markdown", "markdown", "note", "small"),
]

# Each object is right or wrong in one way; the names say which.
OBJECTS = """
from dataclasses import dataclass
from pathlib import Path

from qualia_lab.extensions import Finding, Preview, Rule, Section, code, first_lines, fixed_section

TEXT = '# %% [markdown]\\n# ## Good text\\n# more\\n\\n# %% section="good"\\n'
NO_TEXT = "good.py"
NO_FILE = Path("not-there.py")

good = fixed_section("good", "Good", "", {"": "1 + 1"})
other_name = fixed_section("another", "Good", "", {"": "1 + 1"})
a_dict = {}


def broken(context):
    return {}["x"]


raises = Section("raises", "Raises", broken)
no_cells = Section("no_cells", "No cells", lambda _: ["1 + 1"])
other_key = Section("other_key", "Other key", lambda _: (code("overview", "1 + 1"),))
same_key = Section("same_key", "Same key", lambda _: (code("same_key", "1"), code("same_key", "2")))
bad_reason = Section("bad_reason", "Bad reason", lambda _: (), lambda _: True)


@dataclass(frozen=True)
class Thresholds:
    least: int = 2


def finding(evidence, rule="good_rule", kind="relation", run_ids=None):
    return Finding(rule, kind, "note", "It is so.", evidence.run_ids if run_ids is None else run_ids)


def good_find(evidence, thresholds):
    return [finding(evidence)] if len(evidence.run_ids) >= thresholds.least else []


good_rule = Rule("good_rule", "always", "", Thresholds(), good_find, lambda *_: ["what needs a camera"])
raises_rule = Rule("raises_rule", "never", "", Thresholds(), lambda evidence, _: evidence.tables["x"])
no_list = Rule("no_list", "never", "", Thresholds(), lambda *_: None)
spoof = Rule("spoof", "never", "", Thresholds(), lambda evidence, _: [finding(evidence, "best_configuration")])
no_run = Rule("no_run", "never", "", Thresholds(), lambda evidence, _: [finding(evidence, "no_run", run_ids=("x",))])
bad_kind = Rule("bad_kind", "never", "", Thresholds(), lambda evidence, _: [finding(evidence, "bad_kind", "not examined")])
no_numbers = Rule("no_numbers", "never", "", {"least": 2}, good_find)


def dat(place, file):
    text = place.read_bytes(file.path, 100).decode()
    if text == "none":
        return None
    if text == "raise":
        raise KeyError(text)
    if text.startswith("<i"):
        return Preview(text)
    return text if text == "a str" else Preview(first_lines("from the package: " + text))
"""
FAULTY_SECTIONS = {
    "not_there": "section not_there of lab-rules 1.5 cannot be imported: ModuleNotFoundError: No module named 'no_such_module'.",
    "no_attribute": "section no_attribute of lab-rules 1.5 cannot be imported: AttributeError: ",
    "failing": "cannot be imported: ZeroDivisionError: division by zero in lab_failing, line 3.",
    "exits": "cannot be imported: SystemExit: 3 in lab_exits, line 1.",
    "syntax": "cannot be imported: SyntaxError: ",
    "a_dict": "section a_dict of lab-rules 1.5 is a dict, not a Section.",
    "other_name": "has another name in its Section, 'another'.",
    "raises": "section raises of lab-rules 1.5 raised KeyError: 'x' in lab_objects, line 17.",
    "no_cells": "returned what is not a tuple of cells.",
    "other_key": "returned a cell with the key 'overview', which does not begin with other_key:.",
    "same_key": "returned two cells with the same key.",
    "bad_reason": "gave a reason to leave it out that is no text.",
}
RULES = ("good_rule", "raises_rule", "no_list", "spoof", "no_run", "bad_kind", "no_numbers")
ENTRIES = {
    "templates": {"text": "lab_objects:TEXT", "no_text": "lab_objects:NO_TEXT", "no_file": "lab_objects:NO_FILE",
                  "observe": "lab_objects:TEXT", "not a name": "lab_objects:TEXT"},
    "sections": {name: f"lab_objects:{name}" for name in FAULTY_SECTIONS}
    | {"good": "lab_objects:good", "overview": "lab_objects:good", "not_there": "no_such_module:SECTION",
       "no_attribute": "lab_objects:NOTHING", "failing": "lab_failing:SECTION", "exits": "lab_exits:SECTION",
       "syntax": "lab_syntax:SECTION"},
    "findings": {name: f"lab_objects:{name}" for name in RULES} | {"spikes": "lab_objects:good_rule"},
    "previews": {"dat": "lab_objects:dat", "png": "lab_objects:dat", "pkl": "lab_objects:dat", "bad": "lab_objects:a_dict"},
}  # fmt: skip


def install(folder, distribution, version, entries):
    """Write the metadata of an installed package into a folder of sys.path."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    groups = (
        "\n".join([f"[qualia_lab.{group}]", *(f"{name} = {value}" for name, value in of_group.items())])
        for group, of_group in entries.items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of sys.path with the package lab-rules, another with the same names, and one whose file is malformed."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "lab_objects.py").write_text(OBJECTS)
    (folder / "lab_failing.py").write_text('"""A module."""\n\nSECTION = 1 / 0\n')
    (folder / "lab_exits.py").write_text("raise SystemExit(3)\n")
    (folder / "lab_syntax.py").write_text("SECTION = (\n")
    install(folder, "lab-rules", "1.5", ENTRIES)
    install(folder, "other-lab", "2.0", {"templates": {"text": "lab_objects:TEXT"}})
    install(folder, "malformed", "0.1", {"templates": {}})
    (folder / "malformed-0.1.dist-info" / "entry_points.txt").write_text("[qualia_lab.templates]\nno equals sign\n")
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("lab_")]:
        del sys.modules[name]


def test_the_public_names_are_exactly_these():
    assert extensions.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(extensions, name).__doc__, name


def test_nothing_is_imported_before_something_of_it_is_needed(site):
    assert "text" in template_names()
    assert "good" in section_names()
    planned(some_runs(2))
    place = Place({"a.txt": "x"})
    assert list(read_previews(place, list(place.list_files())))
    assert not [name for name in sys.modules if name.startswith("lab_")]


def test_a_template_and_a_section_of_a_package_are_used(site, tmp_path):
    plan = planned(some_runs(2), template=read_template("text"))
    assert [(cell.key, cell.source) for cell in plan.cells[:3]] == [
        ("text:0", "## Good text\nmore"),
        ("good:heading", "## Good"),
        ("good", "1 + 1"),
    ]
    assert section_titles(["good", "raises", "a_dict", "nothing", "overview"]) == {
        "good": "Good",
        "raises": "Raises",
        "overview": "Overview",
    }


@pytest.mark.parametrize("name", FAULTY_SECTIONS)
def test_a_broken_section_that_a_template_names_is_an_error_with_its_package(site, name):
    template = f'# %% section="{name}"\n'
    with pytest.raises(TemplateError) as error:
        planned(some_runs(2), template=Template("mine", parse_percent(template)))
    assert FAULTY_SECTIONS[name] in error.value.message
    assert error.value.hint


def test_a_section_of_a_package_never_replaces_one_of_ours(site):
    assert find_section("overview") is SECTIONS["overview"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_text", "The template no_text of lab-rules 1.5 is a text without a line that begins with `# %%`."),
        ("no_file", "The template no_file of lab-rules 1.5 raised FileNotFoundError: "),
        ("not a name", "has a name that does not match"),
    ],
)
def test_a_broken_template_of_a_package_is_an_error(site, name, message):
    with pytest.raises(TemplateError) as error:
        read_template(name)
    assert message in error.value.message


def test_broken_templates_are_listed_with_the_reason(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed, errors = list_templates()
    assert [(one.name, one.origin, text) for one, text in listed][-1] == ("text", "lab-rules 1.5", "Good text")
    assert sorted(error.partition(" of ")[0] for error in errors) == [
        "The template no_file", "The template no_text", "The template not a name",
        "The template observe", "The template text",
    ]  # fmt: skip
    assert any("text of other-lab 2.0 is left out, because lab-rules 1.5 has a template" in error for error in errors)
    assert any("observe of lab-rules 1.5 is left out, because qualia-lab has a template" in error for error in errors)


@pytest.fixture
def evidence():
    return evidence_of(runs_of([({"lr": "0.1"}, {"auc": 0.7}), ({"lr": "0.2"}, {"auc": 0.8})]))


def test_a_rule_of_a_package_finds_and_what_is_wrong_with_others_is_not_examined(site, evidence):
    thresholds = chosen_thresholds({})
    findings = find_findings(evidence, thresholds)
    [good] = [one for one in findings if one.rule == "good_rule"]
    assert good.run_ids == evidence.run_ids
    assert [one.rule for one in findings if one.rule != "not_examined"].count("best_configuration") == 1
    [last] = [one.sentence for one in findings if one.rule == "not_examined"]
    for reason in (
        "what needs a camera",
        "what the rule raises_rule of lab-rules 1.5 looks for, which raised TypeError: ",
        "rule no_list of lab-rules 1.5 looks for, which returned what is not a list of findings",
        "rule spoof of lab-rules 1.5 looks for, which returned a finding of another rule, 'best_configuration'",
        "rule no_run of lab-rules 1.5 looks for, which returned a finding of runs that it was not given",
        "rule bad_kind of lab-rules 1.5 looks for, which returned a finding of the kind 'not examined'",
        "rule no_numbers of lab-rules 1.5 looks for, which has thresholds that are a dict, not an object of a dataclass",
        "rule spikes of lab-rules 1.5 looks for, which is left out, because qualia-lab has a rule of that name",
    ):
        assert reason in last
    built_in = [one for one in findings if one.rule not in ("good_rule", "not_examined")]
    off = chosen_thresholds(dict.fromkeys((*RULES[:-1], "no_numbers"), False))
    assert [one for one in find_findings(evidence, off) if one.rule != "not_examined"] == built_in


def test_thresholds_of_a_rule_of_a_package_are_set_as_those_of_ours(site, evidence):
    assert {rule.name for rule in all_rules()} >= {"good_rule", "raises_rule", "spikes"}
    assert {fault.name for fault in rule_faults()} == {"no_numbers", "spikes"}
    findings = find_findings(evidence, chosen_thresholds({"good_rule": {"least": 3}}))
    assert "good_rule" not in {one.rule for one in findings}
    with pytest.raises(QualiaLabError, match=r"The rule no_numbers of lab-rules 1\.5 has thresholds"):
        chosen_thresholds({"no_numbers": {"least": 3}})


def test_a_preview_of_a_package_shows_its_files_and_a_broken_one_costs_nothing(site):
    pickled = b"\x80\x04\x95"
    files = {"a.dat": "<b>", "b.dat": "none", "c.dat": "raise", "d.dat": "a str", "e.dat": pickled, "f.pkl": pickled}
    place = Place(files | {"g.bad": "text", "h.dat": "<i onclick='x()'>i</i><script>x()</script> $x$"})
    html = {one.title: one.html for one in read_previews(place, list(place.list_files()))}
    assert html["a.dat"] == "<pre>from the package: &lt;b&gt;</pre>"
    assert html["b.dat"] == "<pre>none</pre>"
    assert html["c.dat"].startswith("<pre>raise</pre>")
    assert "The preview dat of lab-rules 1.5 raised KeyError: &#x27;raise&#x27; in lab_objects, line" in html["c.dat"]
    assert "returned a str, not a Preview." in html["d.dat"]
    assert "The preview bad of lab-rules 1.5 is a dict, not a function." in html["g.bad"]
    assert html["g.bad"].startswith("<pre>text</pre>")
    assert html["h.dat"] == "<i>i</i> &#36;x&#36;"
    assert html.keys() == files.keys() - {"e.dat", "f.pkl"} | {"g.bad", "h.dat"}


def test_the_commands_name_broken_packages_and_go_on(site, demo_store, tmp_path):
    done = run_here(QUALIA, "templates", cwd=tmp_path)
    assert done.returncode == 0
    assert "text       lab-rules 1.5  Good text" in done.stdout
    for fault in (
        "The template no_text of lab-rules 1.5 is a text",
        "The section overview of lab-rules 1.5 is left out, because qualia-lab has a section of that name.",
        "The rule no_numbers of lab-rules 1.5 has thresholds that are a dict",
        "The preview png of lab-rules 1.5 is left out, because qualia-lab has a preview of that name.",
    ):
        assert f"error: {fault}" in done.stderr
    where = ("--tracking-uri", f"sqlite:///{demo_store}", "--experiment", "churn")
    done = run_here(QUALIA, "findings", *where, "--fail-on", "good_rule", "--limit", "30", cwd=tmp_path)
    assert done.returncode == 55
    assert "good_rule: It is so." in done.stdout
    assert "The rule no_numbers of lab-rules 1.5 has thresholds that are a dict" in done.stderr
