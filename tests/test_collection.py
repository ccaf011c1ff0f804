"""Python's collector of cyclic garbage is paused for a block, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from qualia_lab.collection import collection_paused


def test_the_collector_is_as_before_also_after_an_error():
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collection_paused():
        assert not gc.isenabled()
        with collection_paused():
            pass
        assert not gc.isenabled()
        _ = 1 / 0
    assert gc.isenabled()
