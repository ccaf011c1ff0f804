"""The page of checked findings lists exactly the findings on stores of third parties, with a verdict on each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .findings_checked import STORES, findings_of

PAGE = Path(__file__).parents[1] / "docs/findings_checked.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (\w+) \| (.+) \|$", re.MULTILINE)
FEWEST_USEFUL = 3  # useful findings in a store with five comparable runs or more
COMPARABLE = ("cr21-hpo/logs/mlruns", "pycaret-tutorials/tutorials/mlruns", "torch-points3d/mlruns")


def rows_of(store):
    """Rule, sentence, verdict and how it was checked, for one store."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {store}\n")[2].partition("\n## ")[0]
    return ROW.findall(section)


@pytest.mark.parametrize("store", STORES)
def test_the_page_lists_exactly_the_findings(store, shared_data):
    assert sorted(findings_of(shared_data / "stores", store)) == sorted(
        (rule, said) for rule, said, *_ in rows_of(store)
    )


def test_three_of_four_findings_are_useful_and_none_is_false():
    verdicts = [verdict for store in STORES for _, _, verdict, _ in rows_of(store)]
    assert set(verdicts) <= {"useful", "obvious", "noise"}
    assert verdicts.count("useful") >= 0.75 * len(verdicts)
    for store in COMPARABLE:
        assert [row[2] for row in rows_of(store)].count("useful") >= FEWEST_USEFUL
