"""The value that a text represents, regardless of spelling."""

import time
import warnings

import hypothesis
import pytest
from hypothesis import strategies

from qualia_lab.study.values import NONE, canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1e-3", "0.001"),
        ("1", "1.0"),
        (" 0.10 ", "0.1"),
        ("-0", "0"),
        ("1E2", "100"),
        ("True", "true"),
        ("FALSE", "False"),
        ("None", "null"),
        ("none", "None"),
        ("nan", "NaN"),
        ("[64,64]", "[64, 64]"),
        ("[64, 64]", "(64, 64)"),
        ("[1e-3]", "[0.001]"),
        ("{'lr': 0.1, 'depth': 3}", '{"depth": 3, "lr": 1e-1}'),
        ("['adam', None, True]", '["adam", null, true]'),
        ("[adam,sgd]", "[ adam, sgd ]"),
        ("{1, 2}", "{2, 1}"),
    ],
)
def test_spellings_of_the_same_value_are_equal(one, other):
    assert canonical(one) == canonical(other)
    assert hash(canonical(one)) == hash(canonical(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "True"),
        ("0", "false"),
        ("0.1", "0.10000000000000000001"),
        ("0.30000000000000004", "0.3"),
        ("adam", "Adam"),
        ("None", ""),
        ("[1, 2]", "[2, 1]"),
        ("['1']", "[1]"),
        ("[None]", "['None']"),
        ("2024_11", "202411"),
        ("1e400", "1e500"),
        ("[[1], 2]", "[1, [2]]"),
    ],
)
def test_different_values_stay_different(one, other):
    assert canonical(one) != canonical(other)


def test_none_is_recognised_in_any_spelling():
    assert {canonical(text) for text in ("None", "none", "null", " NULL ")} == {NONE}


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 3000 + "]" * 3000, "[" * 900 + "]" * 900, "[-" + "(" * 60 + ")" * 60 + "]", "[" + "-" * 1900 + "1]"),
        *(
            "1e999999999999999999",
            "1e-999999999999999999",
            "[1e99999999999999999999]",
            "9" * 6000,
            "[" + "9" * 1900 + "]",
        ),
        *("{[]: 1}", "{{}}", "[1 + 2]", "[__import__('os')]", "[b'a', 1j, ...]", "\ud800", "[\x00]", "", "[", "]["),
        *("['\\d']", "[1 is 2]", "(" * 49 + "1," + ")" * 49, "[" + "1," * 900 + "]"),
    ],
)
def test_any_text_is_parsed_quickly(text):
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = canonical(text)
    assert hash(value) == hash(canonical(text))
    assert time.process_time() - begin < 0.5


@hypothesis.given(
    strategies.text(max_size=200) | strategies.text("[](){},:'\"0123456789eE.-+ truefalsnN", max_size=200)
)
def test_surrounding_spaces_are_ignored(text):
    assert canonical(text) == canonical(f" {text}\t")


@hypothesis.given(
    strategies.recursive(
        strategies.integers() | strategies.booleans() | strategies.none() | strategies.text("ab'\"\\ ", max_size=4),
        lambda inner: (
            strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text("ab"), inner, max_size=3)
        ),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, list | dict))
)
def test_json_and_python_spellings_are_equal(value):
    import json

    assert canonical(json.dumps(value)) == canonical(repr(value))
