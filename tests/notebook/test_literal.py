"""Literals in code cells evaluate to exactly the value."""

from __future__ import annotations

import ast
import math

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


def test_nan_is_written_as_a_float():
    assert math.isnan(eval(literal(math.nan)))


@given(st.text())
def test_the_input_transformers_of_ipython_do_not_change_an_assignment(value):
    source = TransformerManager().transform_cell(assignment("NAME", value))
    (statement,) = ast.parse(source).body
    assert ast.literal_eval(statement.value) == value


@pytest.mark.parametrize("name", ["x=1; import os", "class", "1a", "a b", "", "a\nb"])
def test_an_invalid_name_is_rejected(name):
    with pytest.raises(ValueError, match="not a name"):
        assignment(name, 1)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", ("a",)])
def test_a_value_of_an_unsupported_type_is_rejected(value):
    with pytest.raises(TypeError):
        literal(value)
