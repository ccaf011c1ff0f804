"""Findings on hundreds of small synthetic stores with known truth.

QUALIA_TEST_STORES is how many of each shape; there are twenty times as many of noise.
"""

from __future__ import annotations

import json
import os
import random
from functools import cache

import pytest
from scipy.stats import binom

from .cli.command import QUALIA, run_here
from .planted import curves, logging_conventions, rare_rules, sweeps, typical_stores
from .planted.facts import judge
from .planted.run_rules import find, headline_and_faults
from .planted.store import PlantedStore

SHAPES = (*sweeps.SHAPES, *curves.SHAPES, *typical_stores.SHAPES, *logging_conventions.SHAPES, *rare_rules.SHAPES)
STORES_PER_SHAPE = int(os.environ.get("QUALIA_TEST_STORES", "2"))
NOT_SEEN = 10_000  # the first seed of stores that were not looked at when the rules and bars were made


@cache
def planted_and_found(shape, seed):
    """A store of a shape, and its findings."""
    planted = shape(100 + seed)
    return planted, find(planted.store)


def test_planted_facts_are_found_without_false_findings():
    missed, false, facts, stores = [], [], 0, 0
    for shape in SHAPES:
        for seed in range(STORES_PER_SHAPE):
            planted, findings = planted_and_found(shape, seed)
            verdict = judge(planted, findings)
            stores, facts = stores + 1, facts + len(planted.facts)
            missed += [f"{planted.shape} {seed}: {fact}" for fact in verdict.missed]
            false += [f"{planted.shape} {seed}: {sentence}" for sentence in verdict.false]
    print(f"{len(missed)} of {facts} planted facts missed, {len(false)} false sentences in {stores} stores")
    print("\n".join([*missed, *false]))
    assert len(missed) <= 0.1 * facts, missed
    assert len(false) <= stores / 50, false


def test_headlines_say_only_what_the_findings_show():
    faults = []
    for shape in SHAPES:
        for seed in range(STORES_PER_SHAPE):
            planted, findings = planted_and_found(shape, seed)
            headline, wrong = headline_and_faults(planted.store, findings)
            said = " ".join(headline.sentences)
            wrong += [f"{word!r} in: {said}" for word in planted.never if word in " ".join(headline.lead)]
            faults += [f"{planted.shape} {seed}: {fault}" for fault in wrong]
    assert not faults, "\n".join(faults)


def test_noise_yields_claims_in_at_most_one_store_of_twenty():
    claims = []
    stores = 20 * STORES_PER_SHAPE
    for seed in range(stores):
        claimed = [one for one in find(sweeps.noise(seed).store) if is_claim(one)]
        claims += [(seed, one.rule, one.sentence) for one in claimed[:1]]
    print(*claims, sep="\n")
    assert len(claims) <= stores / 20, claims


def test_several_experiments_of_noise_yield_claims_in_at_most_one_store_of_twenty():
    """The bar depends on the rate and the number of stores alone: at that rate 95 % of such tests are within it."""
    stores = 10 * STORES_PER_SHAPE
    claimed = [
        (shape.__name__, seed)
        for shape in (logging_conventions.experiments_of_equal_models, logging_conventions.experiments_of_noise)
        for seed in range(NOT_SEEN, NOT_SEEN + stores)
        if any(map(is_claim, find(shape(seed))))
    ]
    assert len(claimed) <= binom.ppf(0.95, 2 * stores, 1 / 20), claimed


def is_claim(finding) -> bool:
    """Whether the finding says that something differs, varies with something, or wins by more than luck."""
    if finding.rule == "best_configuration":
        return any(number.what == "difference" for number in finding.numbers)
    return finding.kind in ("answer", "problem", "relation") and finding.rule != "seeds_vary_more"


@pytest.mark.parametrize(
    "shape", [sweeps.interaction, curves.divergence, sweeps.two_tasks], ids=lambda one: one.__name__
)
def test_the_command_finds_the_same_in_the_same_runs_on_disk(shape, tmp_path):
    planted = shape(7)
    uri = planted.store.write(tmp_path / "mlruns")
    process = run_here(QUALIA, "findings", "--tracking-uri", uri, "--json", cwd=tmp_path)
    of_command = {(one["rule"], one["kind"], frozenset(one["run_ids"])) for one in json.loads(process.stdout)}
    assert of_command == {(one.rule, one.kind, frozenset(one.run_ids)) for one in find(planted.store)}


@pytest.mark.parametrize("seed", range((STORES_PER_SHAPE + 1) // 2))
def test_findings_do_not_depend_on_the_order_of_histories(seed):
    """Databases and servers return the histories of runs in various orders."""
    for shape in SHAPES:
        planted, findings = planted_and_found(shape, seed)
        store = planted.store

        def in_any_order(run_ids, keys, store=store):
            batches = list(store.read_history(run_ids, keys))
            random.Random(seed).shuffle(batches)
            return batches

        assert find(store, read_history=in_any_order) == findings, shape.__name__


def test_a_store_without_runs_yields_no_findings():
    assert find(PlantedStore({"empty": []})) == ()
