"""docs/reliability.md is what its generator makes of the counts beside it, and says what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.page import LEAST, PROMISES, Count, Record, as_json, page, read, summed, tried

CHECKOUT = Path(__file__).parents[1]
STORED = CHECKOUT / "docs/reliability.json"


def test_the_page_is_what_the_generator_makes_of_the_counts():
    record = read(STORED)
    assert page(record) == (CHECKOUT / "docs/reliability.md").read_text(encoding="utf-8")
    assert as_json(record) == STORED.read_text(encoding="utf-8")
    assert sum(one.tried for one in record.counts) > 10_000
    assert [what for what, least, kinds in LEAST if tried(record, kinds) < least] == []
    assert record.failed == 0


def test_what_was_counted_names_nothing_of_the_machine_but_its_kind():
    text = STORED.read_text(encoding="utf-8")
    assert not re.search(r"/(home|tmp|root|work|usr|opt)/|://|@", text)
    assert re.search(r"\d+ cores, ", text)


def test_counts_of_a_kind_are_added_up_in_the_order_of_promises():
    lines = [
        json.dumps({"promise": 7, "kind": "b", "tried": 1, "failed": 1}),
        json.dumps({"promise": 2, "kind": "a", "tried": 5, "failed": 0}),
        "",
        json.dumps({"promise": 7, "kind": "b", "tried": 2, "failed": 0}),
    ]
    assert summed(lines) == (Count(2, "a", 5, 0), Count(7, "b", 3, 1))


def test_the_page_says_every_failure_and_every_promise_that_nothing_was_tried_for():
    record = Record("2026-11-28", {"machine": "2 cores"}, {"values": 10}, 3, {"passed": 4, "failed": 1}, ())
    said = page(replace(record, counts=(Count(2, "values", 12_345, 6),)))
    assert "| values | 12,345 | **6** |" in said
    assert "- tests: 4 passed, 1 failed" in said
    assert "- 10 values" in said
    assert said.count("Nothing was tried in this run.") == len(PROMISES) - 1
    assert replace(record, counts=(Count(2, "values", 12_345, 6),)).failed == 7


def test_the_long_run_can_be_asked_what_it_does():
    for module in ("tests.soak", "tests.fuzz", "tests.lying_server", "tests.fault_proxy"):
        done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=CHECKOUT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"python -m {module}" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "code", "has_page", "words"),
    [
        ("def test_one(): pass\ndef test_two(): assert False\n", 1, True, "- tests: 1 passed, 1 failed"),
        ("", 1, False, "the tests ended with exit code 5, not after all of it"),
    ],
    ids=["a failed test", "no test"],
)
def test_the_long_run_fails_with_its_tests_and_without_them(source, code, has_page, words, tmp_path):
    (tmp_path / "test_some.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--fuzz", "0", "--suites", tmp_path / "test_some.py", "--output", tmp_path / "page.md"],
        cwd=CHECKOUT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert (tmp_path / "page.md").exists() == has_page
    assert words in ((tmp_path / "page.md").read_text() if has_page else done.stderr)
