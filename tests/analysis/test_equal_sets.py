"""Runs with equal results are found as by comparing each with each, and among many in seconds."""

from __future__ import annotations

import math
import time

from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.findings.duplicates import _are_equal, _equal_sets

near = st.sampled_from([0.1234567, 123.4567, 1e-7, 5e8, 0.0, -0.5004, 0.9995, math.nan, math.inf, -math.inf])
moved = st.sampled_from([lambda x: x, lambda x: round(x, 3) if math.isfinite(x) else x, lambda x: x * (1 + 1e-6)])
moved |= st.sampled_from([lambda x: x + 1e-4, lambda x: x + 6e-4, lambda x: x * 1.01])
values = st.dictionaries(st.sampled_from("abc"), st.builds(lambda move, x: move(x), moved, near), max_size=3)


@given(st.lists(values, max_size=10), st.sampled_from([2, 3, 6]))
def test_the_sets_are_those_of_comparing_each_with_the_first_of_each_set(found, digits):
    results = {str(place): one for place, one in enumerate(found)}
    expected: list[list[str]] = []
    for run_id, one in results.items():
        if one:
            like = [equal for equal in expected if _are_equal(results[equal[0]], one, digits)]
            like[0].append(run_id) if like else expected.append([run_id])
    assert _equal_sets(results, digits) == expected


def test_twenty_thousand_repetitions_are_compared_in_seconds():
    results = {str(run): {"loss": run / 7, "auc": run % 13 / 13} for run in range(20_000)}
    started = time.process_time()
    assert len(_equal_sets(results, 6)) == 20_000
    assert time.process_time() - started < 5
