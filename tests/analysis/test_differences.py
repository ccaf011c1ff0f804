"""Environments, structured text and line differences: exact on small cases, against other parsers on many."""

from __future__ import annotations

import difflib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from qualia_lab.analysis.artifact_tables import ROWS, compare_structures, compare_tables
from qualia_lab.analysis.environments import UNPINNED, environment, requirements
from qualia_lab.analysis.image_names import display_titles, logged_image, without_small_copies
from qualia_lab.analysis.structured_text import differing_names, flat, parse_json, parse_yaml
from qualia_lab.analysis.text_differences import LONGEST, text_difference

CONDA = """\
channels: [conda-forge]
dependencies:
- python=3.10.4
- conda-forge::numpy=1.26.4=py310h
- pip<=23
- pip:
  - mlflow==2.9.2
  - scikit_learn[extra]==1.3.0 ; python_version > "3.8"
"""


def test_an_environment_is_read_from_all_files_of_mlflow():
    files = {
        "model/conda.yaml": CONDA,
        "model/requirements.txt": "mlflow==2.9.2\n--index-url https://u:secret@host/simple\ntorch==2.1 --hash=sha256:0\n",
        "model/python_env.yaml": "python: 3.10.4\nbuild_dependencies: [setuptools==68]\ndependencies: [-r requirements.txt]\n",
        "model/MLmodel": "flavors:\n  python_function: {python_version: 3.10.4}\n",
    }
    assert environment(files) == {
        "Python": "3.10.4", "mlflow": "2.9.2", "numpy": "1.26.4", "pip": "<=23", "scikit-learn": "1.3.0", "torch": "2.1",
    }  # fmt: skip


def test_conflicting_versions_are_joined_and_secrets_in_urls_are_removed():
    files = {
        "a/requirements.txt": "numpy==1\nmine @ https://user:pw@host/x.whl?token=1",
        "b/requirements.txt": "numpy==2",
    }
    assert environment(files) == {"numpy": "1, 2", "mine": "at https://host/x.whl"} | {}


@pytest.mark.parametrize(
    "text", ["", "[" * 50_000, "a: &x [1]\nb: *x", "dependencies: 3", "- 1\n- {pip: 4}", "\0", "{"]
)
def test_a_broken_environment_file_is_ignored(text):
    assert environment(dict.fromkeys(("conda.yaml", "MLmodel", "python_env.yaml"), text)) == {}


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,6}[A-Za-z0-9])?", fullmatch=True)
SPECIFIERS = st.sampled_from(["", "==1.2", ">=1,<2", "~=1.4.2", "!=3", "==1.*", ">= 1.0 , != 1.5"])
EXTRAS = st.sampled_from(["", "[a]", "[a, b]"])
MARKERS = st.sampled_from(["", ' ; python_version > "3"', "; sys_platform == 'win32'"])


@given(st.one_of(st.tuples(NAMES, EXTRAS, SPECIFIERS, MARKERS).map("".join), st.text("ab-=<>1.[],; @#\t", max_size=12)))
def test_requirements_are_parsed_as_by_packaging(line):
    try:
        expected = Requirement(line)
    except InvalidRequirement:
        return
    if expected.url or "===" in line:
        return
    ((name, version),) = requirements(line)
    assert name == canonicalize_name(expected.name)
    clauses = {f"{clause.operator}{clause.version}" for clause in expected.specifier}
    assert {UNPINNED} if not clauses else clauses == ({version} if version == UNPINNED else set(_clauses(version)))


def _clauses(version):
    return (clause if clause[0] in "<>=!~" else f"=={clause}" for clause in version.split(","))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_two_json_texts_have_no_differing_path_only_when_equal(one, other):
    entries = {"a": flat(parse_json(json.dumps(one)), 99), "b": flat(parse_json(json.dumps(other)), 99)}
    # 1 and "1" are written alike, as in params; everything else is distinguished
    assert (differing_names(entries) == []) == (_as_texts(one) == _as_texts(other))


def _as_texts(value):
    if isinstance(value, dict) and value:
        return {key: _as_texts(inner) for key, inner in value.items()}
    if isinstance(value, list) and value:
        return [_as_texts(inner) for inner in value]
    return value if isinstance(value, str) else json.dumps(value)


@given(st.recursive(st.text("ab1", max_size=3), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text("k"), x)))
def test_yaml_of_strings_round_trips(value):
    assert parse_yaml(yaml.safe_dump(value, default_style='"')) == value


@pytest.mark.parametrize(
    "text", ["a: &a [x]\nb: [*a, *a]", "[" * 100 + "]" * 100, "a: [", "a: !!python/object/apply:os.system [x]\nb: *z"]
)
def test_yaml_with_aliases_deep_nesting_or_errors_is_refused(text):
    with pytest.raises(ValueError, match="it "):
        parse_yaml(text)


def test_yaml_tags_are_ignored():
    assert parse_yaml("!!python/object/apply:os.system ['true']") == ["true"]


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_a_line_difference_transforms_the_first_text_into_the_second(old, new):
    found = text_difference("\n".join(old), "\n".join(new))
    rebuilt, at = [], 0
    for line in found.lines:
        if line.kind == "gap":
            rebuilt += old[at : at + int(line.text)]
            at += int(line.text)
        elif line.kind == "same":
            assert old[at] == line.text
            rebuilt.append(line.text)
            at += 1
        elif line.kind == "removed":
            assert old[at] == line.text
            at += 1
        else:
            rebuilt.append(line.text)
    assert rebuilt == new
    assert at == len(old)
    assert (found.removed, found.added) == (
        sum(line.kind == "removed" for line in found.lines),
        sum(line.kind == "added" for line in found.lines),
    )


def test_a_changed_line_is_shown_with_three_lines_of_context():
    old = [str(number) for number in range(100)]
    found = text_difference("\n".join(old), "\n".join([*old[:50], "x", *old[51:]]))
    shown = [line.text for line in found.lines]
    assert shown == ["47", "47", "48", "49", "50", "x", "51", "52", "53", "46"]
    assert [line.kind for line in found.lines if line.kind == "gap"] == ["gap", "gap"]
    assert len(list(difflib.unified_diff(old, [*old[:50], "x", *old[51:]], lineterm=""))) == len(shown) - 2 + 3
    assert text_difference("a\n" * (LONGEST + 1), "").cut


def test_structures_are_compared_path_by_path():
    texts = {
        "a": '{"lr": 0.1, "layers": [1, 2], "name": "x"}',
        "b": '{"lr": 0.2, "layers": [1], "name": "x"}',
        "c": "{",
    }
    table = compare_structures(texts, "json")
    assert table.rows == ("lr", "layers[1]")
    assert table.cells == {"a": ("0.1", "2"), "b": ("0.2", "")}
    assert table.note == "1 cannot be read"
    many = {run: json.dumps(dict.fromkeys(map(str, range(200)), run)) for run in "ab"}
    assert compare_structures(many, "json").note == f"showing {ROWS} of 200 that differ"


def test_tables_are_compared_cell_by_cell():
    table = compare_tables({"a": "name,f1\ncat,0.5\ndog,0.7\n", "b": "name,f1\ncat,0.5\ndog,0.8\n"})
    assert (table.rows, table.cells) == (("row 2 (dog), f1",), {"a": ("0.7",), "b": ("0.8",)})
    assert "different shapes" in compare_tables({"a": "x,y\n1,2\n", "b": "x,y\n1,2\n3,4\n"}).note


def test_columns_of_secrets_are_masked_where_tables_are_compared():
    table = compare_tables({"a": "password,f1\nhunter2,0.5\n", "b": "password,f1\nswordfish,0.5\n"})
    assert table.rows == ("row 1, password",)
    assert {*table.cells.values()} == {("‹masked›",)}
    shared = compare_tables({"a": "password,f1\nhunter2,0.5\n", "b": "password,f1\nhunter2,0.6\n"})
    assert "hunter2" not in str(shared)
    assert shared.cells == {"a": ("0.5",), "b": ("0.6",)}


def test_key_and_step_are_parsed_from_logged_image_names():
    for sign in "+%":
        path = f"images/val~samples{sign}step{sign}12{sign}timestamp{sign}1700{sign}0a-1"
        image = logged_image(f"{path}.png")
        assert (image.key, image.step, image.timestamp) == ("val/samples", 12, 1700)
        assert logged_image(f"{path}{sign}compressed.webp") is None
        assert image.title == "val/samples, step 12"
    assert logged_image("plots/roc.PNG").title == "plots/roc.PNG"
    assert logged_image("plots/roc.PNG").step is None
    assert logged_image("model.pkl") is None


def test_thumbnails_are_left_out_where_their_image_exists():
    images = [f"images/a{sign}step{sign}1{sign}timestamp{sign}2{sign}u1" for sign in "+%"]
    existing = [f"{picture}.png" for picture in images] + [
        "table_images/eval/1.png",
        "thumbs/compressed.webp",
        "b.webp",
    ]
    thumbnails = [f"{images[0]}+compressed.webp", f"{images[1]}%compressed.webp", "table_images/eval/1.webp"]
    assert without_small_copies([*existing, *thumbnails]) == existing
    assert without_small_copies(thumbnails) == thumbnails


def test_logged_images_have_titles_and_are_sorted_by_step():
    names = [f"images/{key}+step+{step}+timestamp+{at}+{own}.png" for key, step, at, own in (
        ("b", 1, 5, "u"), ("a", 119, 1, "u1"), ("a", 20, 4, "u2222222x"), ("a", 20, 3, "u3333333x"),
    )]  # fmt: skip
    shown = display_titles(["config.json", *names, "images/roc.png"])
    assert [title for _, title in shown] == [
        "config.json", "a, step 20 (u3333333)", "a, step 20 (u2222222)", "a, step 119", "b, step 1", "images/roc.png",
    ]  # fmt: skip
    assert [path for path, _ in shown][1:5] == [names[3], names[2], names[1], names[0]]
