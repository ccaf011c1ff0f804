"""Columns equal those built by pyarrow, and pandas is not imported."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.columns import column

TEXTS = st.lists(st.none() | st.text())
WHOLES = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))
FLOATS = st.lists(st.none() | st.floats(allow_nan=False))
TRUTHS = st.lists(st.none() | st.booleans())


@given(
    st.tuples(TEXTS, st.just(pa.string()))
    | st.tuples(WHOLES, st.just(pa.int64()))
    | st.tuples(FLOATS, st.just(pa.float64()))
    | st.tuples(TRUTHS, st.just(pa.bool_()))
)
def test_a_column_equals_the_array_that_pyarrow_builds(case):
    values, kind = case
    ours = column(values, kind)
    ours.validate(full=True)
    assert ours.equals(pa.array(values, kind))


@pytest.mark.parametrize(
    ("values", "kind"), [(["a", 1], pa.string()), ([1.5], pa.int64()), (["x"], pa.float64()), ([1], pa.bool_())]
)
def test_a_value_of_another_type_is_refused(values, kind):
    with pytest.raises(TypeError):
        column(values, kind)


def test_pandas_is_not_imported():
    code = (
        "import sys; from qualia_lab.tables import table_of; from qualia_lab.schema import METRICS\n"
        "table_of(METRICS, [{'run_id': 'a', 'value': 0.5, 'step': 3}, {'key': 'é'}])\n"
        "import pyarrow; from qualia_lab.columns import texts_of\n"
        "assert texts_of(pyarrow.chunked_array([], pyarrow.string())) == []\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
