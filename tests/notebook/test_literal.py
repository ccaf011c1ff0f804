"""What gets into a code cell is the value and nothing else."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from qualia_lab.sections.literal import assignment, literal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_a_literal_evaluates_to_its_value(value):
    assert eval(literal(value)) == value


def test_not_a_number_is_written_as_a_number():
    assert math.isnan(eval(literal(math.nan)))


@given(st.text())
def test_jupyter_runs_the_same_assignment_that_was_written(value):
    source = TransformerManager().transform_cell(assignment("NAME", value))
    (statement,) = ast.parse(source).body
    assert ast.literal_eval(statement.value) == value


def test_every_hostile_string_comes_back_byte_for_byte(shared_data: Path):
    cases = json.loads((shared_data / "hostile.json").read_text())["cases"]
    strings = [case["value"] for case in cases if isinstance(case.get("value"), str)]
    assert len(strings) > 50
    for value in strings:
        assert ast.literal_eval(literal(value)) == value
        assert len(ast.parse(assignment("NAME", [value, value])).body) == 1


@pytest.mark.parametrize("name", ["x=1; import os", "class", "1a", "a b", "", "a\nb"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="not a name"):
        assignment(name, 1)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", ("a",)])
def test_a_value_of_another_type_is_refused(value):
    with pytest.raises(TypeError):
        literal(value)
