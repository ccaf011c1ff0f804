"""The parsers take whatever a store, a server or a file holds: a few hundred inputs each, and every input that failed.

QUALIA_TEST_EXAMPLES is how many. `python -m tests.fuzz` goes on for as long as it is told.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import fuzz_with_hypothesis
from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS, Target

EXAMPLES = int(os.environ.get("QUALIA_TEST_EXAMPLES", "150"))
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_its_seeds(name):
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_whatever_it_is_given(name):
    @settings(max_examples=EXAMPLES, suppress_health_check=CHECKS)
    @given(st.data())
    def tried(data):
        TARGETS[name].run(data.draw(inputs(TARGETS[name])))

    tried()


def test_the_input_of_a_fault_is_written_to_a_file(tmp_path, monkeypatch):
    def refuse(data):
        if b"<" in data:
            raise ValueError(data)

    monkeypatch.setitem(TARGETS, "faulty", Target(refuse, (b"a seed", b"<b>")))
    with pytest.raises(ValueError, match="<"):
        fuzz_with_hypothesis("faulty", 20, tmp_path)
    [written] = tmp_path.iterdir()
    with pytest.raises(ValueError, match="<"):
        refuse(written.read_bytes())
