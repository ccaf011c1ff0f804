"""Promises 4 and 5 of snapshots: what was changed in one is said or makes no difference; two writers leave a whole one."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qualia_lab.errors import OutputNotWritable, QualiaLabError
from tests.cli.command import CHECKOUT, QUALIA, environment, run_here
from tests.stores.content import content

from .small_store import words_of, write_small_store


def everything(folder: Path) -> dict[str, list[str]]:
    """All that a snapshot gives, artifacts too."""
    return content(f"snapshot:{folder}", artifacts=True)


def kept(root: Path, folder: Path) -> Path:
    done = run_here(QUALIA, "snapshot", root, folder, "--artifacts", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def true(tmp_path_factory):
    """A snapshot, another one of other runs, and what is in the first."""
    folder = tmp_path_factory.mktemp("snapshots")
    write_small_store(folder / "mlruns", 4)
    write_small_store(folder / "others" / "mlruns", 5)
    first = kept(folder / "mlruns", folder / "first")
    second = kept(folder / "others" / "mlruns", folder / "second")
    return first, second, everything(first)


def flipped(place: float):
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(place * (len(data) - 1))] ^= 0xFF
        path.write_bytes(data)

    return damage


def cut(part: float):
    return lambda path: path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])


DAMAGES = {
    **{f"a byte changed at {place}": flipped(place) for place in (0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.0)},
    **{f"cut to {part}": cut(part) for part in (0.0, 0.5, 0.99)},
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


def said_or_same(folder: Path, before: dict[str, list[str]]) -> str:
    """ "" where a sentence was said or all is as it was, else what is wrong."""
    try:
        found = everything(folder)
    except QualiaLabError as error:
        return "" if error.message and error.message.endswith(".") else f"no sentence: {error.message}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "" if found == before else "other content, and not a word"


def test_a_part_that_was_changed_is_said(true, tmp_path, record_counts):
    first, _, before = true
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    tried, wrong = 0, []
    for name in names:
        if name == "manifest.json":
            continue
        for what, damage in DAMAGES.items():
            folder = tmp_path / "damaged"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(first, folder)
            damage(folder / name)
            tried += 1
            if found := said_or_same(folder, before):
                wrong.append((name, what, found))
    record_counts(promise=4, kind="damaged files of snapshots", tried=tried, failed=len(wrong))
    assert tried >= 80
    assert not wrong, wrong


def tables_of(folder: Path) -> dict[str, list[str]]:
    """The files of each table of a snapshot."""
    manifest = json.loads((folder / "manifest.json").read_text())
    found: dict[str, list[str]] = {}
    for file in [*manifest["tables"], *(file for part in manifest["parts"] for file in part["files"])]:
        found.setdefault(file["table"], []).append(file["file"])
    return found


def test_parts_that_were_exchanged_are_said(true, tmp_path, record_counts):
    """With those of another snapshot, and with each other."""
    first, second, before = true
    ours, theirs = tables_of(first), tables_of(second)
    exchanges = [(files[0], second / theirs[table][0]) for table, files in ours.items()]
    exchanges += [(files[0], first / files[1]) for files in ours.values() if len(files) > 1]
    exchanges += [(ours["params"][0], first / ours["metrics"][0])]
    wrong = []
    for name, other in exchanges:
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(first, folder)
        shutil.copy(other, folder / name)
        if found := said_or_same(folder, before):
            wrong.append((name, other.name, found))
    record_counts(promise=4, kind="exchanged files of snapshots", tried=len(exchanges), failed=len(wrong))
    assert len(exchanges) >= 6
    assert not wrong, wrong


def changed(manifest: dict, chance: random.Random) -> str:
    """Change one value somewhere in a manifest; says where."""
    node, path = manifest, []
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = chance.choice(keys)
        path.append(str(key))
        if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.9:
            node = node[key]
            continue
        node[key] = chance.choice(
            [None, -1, 10**30, "", "../../etc/passwd", "/etc/passwd", [], {}, "parts/nosuch", True, "\0", [[]], 1.5]
        )
        return f"{'.'.join(path)} = {node[key]!r}"


def test_a_manifest_of_other_words_is_said_or_makes_no_difference(true, tmp_path, record_counts):
    first, _, before = true
    folder = tmp_path / "damaged"
    shutil.copytree(first, folder)
    whole = (first / "manifest.json").read_text()
    chance, wrong = random.Random(4), []
    # What a snapshot says of itself and not of its runs may be anything.
    about = re.compile(r"(tracking_uri|beside|choice|written_by|name|finished|artifacts|keys|experiments|runs)\b")
    tried = 150
    for _ in range(tried):
        manifest = json.loads(whole)
        where = changed(manifest, chance)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        found = said_or_same(folder, before)
        if found and not (found.startswith("other content") and about.search(where)):
            wrong.append((where, found))
    record_counts(promise=4, kind="changed manifests", tried=tried, failed=len(wrong))
    assert not wrong, wrong


@pytest.mark.parametrize("lists", ["parts", "tables"])
def test_a_manifest_that_lists_fewer_files_is_damaged(lists, true, tmp_path):
    first, *_ = true
    folder = tmp_path / "damaged"
    shutil.copytree(first, folder)
    manifest = json.loads((first / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {lists: manifest[lists][:-1]}))
    with pytest.raises(QualiaLabError, match="damaged"):
        everything(folder)


def test_a_damaged_snapshot_is_read_anew(true, tmp_path):
    first, _, before = true
    root = first.parent / "mlruns"
    folder = tmp_path / "kept"
    shutil.copytree(first, folder)
    for file in tables_of(folder)["params"]:
        flipped(0.25)(folder / file)
    done = run_here(QUALIA, "snapshot", root, folder, "--artifacts", "--again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert everything(folder) == before


# Two at once


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("snapshot", "STORE", "OUT/kept", "--artifacts", "--again"),
        ("new", "--tracking-uri", "STORE", "--yes", "--force", "--output", "OUT/n.ipynb"),
    ],
    ids=["snapshot", "new"],
)
def test_two_commands_at_once_leave_one_whole_result(words, true, tmp_path, record_counts):
    first, _, before = true
    root = first.parent / "mlruns"
    command = [*QUALIA, *words_of(words, root, tmp_path)]
    both = [
        subprocess.Popen(
            command, cwd=CHECKOUT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = [(one.communicate(timeout=120)[1], one.returncode) for one in both]
    wrong = [
        (text, code)
        for text, code in said
        if code != 0 and not (code == OutputNotWritable.exit_code and "Another command is writing" in text)
    ]
    if words[0] == "new":
        is_whole = len(json.loads((tmp_path / "n.ipynb").read_text())["cells"]) > 10
    else:
        is_whole = everything(tmp_path / "kept") == before
    failed = len(wrong) if is_whole else len(said)
    record_counts(promise=5, kind="commands at once", tried=len(said), failed=failed)
    assert not wrong
    assert is_whole
    assert 0 in {code for _, code in said}
    assert not list(tmp_path.rglob("*.tmp"))
