"""Rules on relations and provenance, each on stores with known truth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from qualia_lab import schema
from qualia_lab.analysis.findings import (
    constant_params,
    duplicates,
    matters,
    monotone_relation,
    other_code,
    other_data,
    trade_offs,
)
from qualia_lab.analysis.findings.not_examined import not_examined
from qualia_lab.tables import table_of
from tests.planted import run_rules
from tests.planted.store import PlantedStore, Run

RULES = [
    module.RULE
    for module in (matters, monotone_relation, trade_offs, duplicates, other_data, other_code, constant_params)
]
THRESHOLDS = {rule.name: rule.thresholds for rule in RULES}
COMMIT = "mlflow.source.git.commit"


def evidence_of(runs, *, datasets=()):
    """The evidence of runs; datasets are rows of schema.DATASETS with the name of a run as `run`."""
    store = PlantedStore(runs if isinstance(runs, dict) else {"e": runs})
    rows = [{"context": "training", **row, "run_id": store.ids[row["run"]]} for row in datasets]
    return run_rules.evidence_of(store, tables=replace(store.tables(), datasets=table_of(schema.DATASETS, rows)))


def findings_of(runs, rule, **more):
    """The findings of one rule, each with the names of its runs."""
    evidence = evidence_of(runs, **more)
    [chosen] = [finding for finding in RULES if finding.name == rule]
    findings = chosen.find(evidence, chosen.thresholds)
    return [(finding, [evidence.name(run_id) for run_id in finding.run_ids]) for finding in findings]


def unexamined(runs, **more):
    """The sentence that lists what was not examined."""
    evidence = evidence_of(runs, **more)
    return "".join(one.sentence for one in not_examined(evidence, RULES, THRESHOLDS))


# --- monotone -----------------------------------------------------------------------------------------------------


def sizes(count, *, noise=0.01, seed=1, key="accuracy", sign=1):
    r = np.random.default_rng(seed)
    return [
        Run(f"r{n}", {"latent_dim": 4 * (n + 1)}, {key: 0.5 + sign * n / 50 + r.normal(0, noise)}) for n in range(count)
    ]


def test_a_monotone_relation_is_found_with_few_configurations():
    runs = sizes(11)
    [(finding, _)] = findings_of(runs, "monotone")
    rho = spearmanr(range(11), [run.metrics["accuracy"] for run in runs]).statistic
    assert finding.sentence == f"accuracy rises with latent_dim (rank correlation {rho:.2f}); n = 11 configurations."
    assert finding.next == "Look further at larger values of latent_dim."
    assert (finding.kind, finding.keys) == ("relation", ("latent_dim",))
    [(finding, _)] = findings_of(sizes(11, key="val_loss", sign=-1), "monotone")
    assert finding.sentence.startswith("val_loss falls with latent_dim (rank correlation -0.9")
    assert finding.next == "Look further at larger values of latent_dim."
    assert findings_of(sizes(11, noise=1), "monotone") == []


def test_repeats_do_not_count_as_configurations_of_a_relation():
    r = np.random.default_rng(3)
    runs = [
        Run(f"{depth}-{seed}", {"depth": depth, "seed": seed}, {"acc": depth / 50 + r.normal(0, 0.001)})
        for depth in range(4)
        for seed in range(10)
    ]
    assert findings_of(runs, "monotone") == findings_of(runs, "matters") == []
    assert "rank correlations with params: 4 configurations" in unexamined(runs)


def test_correlated_params_are_named_together():
    r = np.random.default_rng(4)
    runs = [
        Run(
            f"r{n}",
            {"width": 16 * (n + 1), "heads": n // 2 + 1, "dropout": round(r.uniform(0, 0.5), 3)},
            {"acc": 0.5 + n / 40 + r.normal(0, 0.005)},
        )
        for n in range(12)
    ]
    [(finding, _)] = findings_of(runs, "monotone")
    assert set(finding.keys) == {"width", "heads"}
    assert "not distinguishable from" in finding.sentence
    assert "which varies with it" in finding.sentence
    assert finding.next.endswith("alone to find out which is responsible.")


def test_a_decisive_text_param_is_found_with_fewer_than_twenty_configurations():
    r = np.random.default_rng(5)
    runs = [
        Run(f"r{n}", {"opt": ["adam", "sgd", "lion"][n % 3], "lr": r.uniform(0, 1)}, {"acc": (n % 3) / 9 + r.normal(0, 0.01)})
        for n in range(15)
    ]  # fmt: skip
    [(finding, _)] = findings_of(runs, "monotone")
    assert (
        finding.sentence
        == "acc differs between values of opt (best with lion, worst with adam); n = 15 configurations."
    )
    assert finding.next == "Look further at opt = lion."


def test_diverged_runs_are_excluded_from_relations():
    runs = sizes(10, key="val_loss", sign=-1)
    curve = [(step, 1.0 - step / 40) for step in range(20)] + [(step, math.nan) for step in range(20, 30)]
    runs += [Run(f"bad{n}", {"latent_dim": 100 + n}, {"val_loss": curve}) for n in range(4)]
    [(finding, _)] = findings_of(runs, "monotone")
    assert "n = 10 configurations" in finding.sentence


# --- matters ------------------------------------------------------------------------------------------------------


def search(count=40, seed=3):
    """A random search in which lr decides, with a peak at 0.001, and dropout has no effect."""
    r = np.random.default_rng(seed)
    runs = []
    for n in range(count):
        lr, dropout = 10 ** r.uniform(-5, -1), r.uniform(0, 0.5)
        value = 0.9 - 0.1 * (math.log10(lr) + 3) ** 2 + r.normal(0, 0.01)
        runs.append(Run(f"t{n}", {"lr": lr, "dropout": dropout}, {"val_acc": value}))
    return runs


def test_matters_reports_the_range_of_the_best_values():
    runs = search()
    [(one, _)] = findings_of(runs, "matters")
    best = sorted(runs, key=lambda run: -run.metrics["val_acc"])[:8]
    low, high = (of(run.params["lr"] for run in best) for of in (min, max))
    numbers = {one.what: one.value for one in one.numbers}
    assert one.sentence.startswith("val_acc varies with lr (best around 0.00")
    assert f"the 8 best of 40 lie between {low:.2g} and {high:.2g})" in one.sentence
    assert one.sentence.endswith("no effect of dropout was seen.")
    assert one.keys == ("lr",)
    assert (numbers["configurations"], numbers["best configurations"]) == (40, 8)
    assert one.next.startswith("Put the next configurations at lr = about 0.00")
    assert one.next.endswith("and hold dropout fixed.")
    assert findings_of(runs, "monotone") == []


def test_a_param_found_by_forest_and_rank_correlation_is_reported_once():
    runs = sizes(30, noise=0.05)
    [(finding, _)] = findings_of(runs, "matters")
    assert finding.sentence.startswith("accuracy rises with latent_dim (rank correlation 0.9")
    assert finding.next == "Put the next configurations at larger values of latent_dim."
    assert findings_of(runs, "monotone") == []


def test_thirty_stores_of_noise_yield_at_most_one_relation():
    sentences = []
    for seed in range(30):
        r = np.random.default_rng(seed)
        runs = [
            Run(
                f"r{n}",
                {"lr": 10 ** r.uniform(-4, -1), "units": int(r.choice([32, 64, 128])), "opt": str(r.choice(["adam", "sgd"]))},
                {"val_acc": r.normal(0.9, 0.01), "latency_ms": r.normal(20, 2)},
            )
            for n in range((9, 14, 24)[seed % 3])
        ]  # fmt: skip
        evidence = evidence_of(runs)
        sentences += [one.sentence for rule in RULES[:3] for one in rule.find(evidence, rule.thresholds)]
    assert len(sentences) <= 1, sentences


def test_too_few_configurations_are_reported_as_not_examined():
    assert "importance of params: 15 configurations, 20 are needed" in unexamined(sizes(15))
    alike = [Run(f"s{seed}", {"lr": 1, "seed": seed}, {"acc": seed / 9}) for seed in range(5)]
    assert unexamined(alike) == "Not examined: the effect of 1 param, which never varies (lr = 1)."


def test_relations_are_found_per_experiment():
    sets = {"a": sizes(11), "b": [replace(run, name=f"b{run.name}") for run in sizes(11, seed=2)]}
    rows = findings_of(sets, "monotone")
    assert [one.experiment for one, _ in rows] == ["a", "b"]
    assert [one.sentence[:6] for one, _ in rows] == ["In a: ", "In b: "]
    assert all("n = 11 configurations" in one.sentence for one, _ in rows)


# --- trade-offs ---------------------------------------------------------------------------------------------------


def test_quality_and_cost_are_a_trade_off_over_configurations():
    r = np.random.default_rng(7)
    runs = [
        Run(
            f"m{n}-{seed}",
            {"layers": n + 1, "seed": seed},
            {"val_acc": 0.6 + n / 50 + r.normal(0, 0.001), "latency_ms": 5 + 3 * n + r.normal(0, 0.1), "train_acc": n},
        )
        for n in range(12)
        for seed in range(3)
    ]
    [(finding, names)] = findings_of(runs, "trade_offs")
    assert finding.keys == ("val_acc", "latency_ms")
    assert "rank correlation -1.00 over 12 configurations" in finding.sentence
    assert (
        "no configuration beats these 12 in both: layers=1, layers=2, layers=3, layers=4 and 8 more."
        in finding.sentence
    )
    assert set(names) == {run.name for run in runs}


def test_repeats_do_not_count_in_trade_offs():
    r = np.random.default_rng(8)
    runs = []
    for n in range(6):  # six configurations of ten seeds: sixty runs, but not sixty independent ones
        acc, latency = r.normal(), r.normal()
        runs += [
            Run(f"{n}-{s}", {"n": n * n % 5, "m": n, "seed": s}, {"val_acc": acc + r.normal(0, 0.01), "latency_ms": acc + latency / 9})
            for s in range(10)
        ]  # fmt: skip
    assert findings_of(runs, "trade_offs") == []
    assert "metrics against each other: 6 configurations, 10 are needed" in unexamined(runs)


def test_spreads_counts_and_training_metrics_are_not_trade_offs():
    r = np.random.default_rng(9)
    runs = [
        Run(
            f"r{n}",
            {"C": n},
            {
                "mean_test_f1": n / 40 + r.normal(0, 0.001),
                "std_test_f1": n / 90,
                "epoch": 40 - n,
                "train_f1": -n,
            },
        )
        for n in range(20)
    ]
    assert findings_of(runs, "trade_offs") == []


# --- duplicates ---------------------------------------------------------------------------------------------------


def test_a_computation_logged_twice_is_one_finding_with_both_runs():
    value = 6.307184078062235
    runs = [
        Run("a", {"lr": 1, "seed": 42}, {"rmse": value, "v": 6.3}),
        Run("b", {"lr": 1, "seed": 42}, {"rmse": value}),
        Run("c", {"lr": 1, "seed": 43}, {"rmse": 6.1}),
    ]
    [(finding, names)] = findings_of(runs, "duplicates")
    assert finding.sentence == (
        "a and b (rmse 6.307) are one computation, equal in every setting and to the last digit of every score: "
        "it counts once."
    )
    assert names == ["a", "b"]
    assert "differ" not in finding.sentence


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.9123, 0.9177), "val_acc 0.9123 and 0.9177"),
        ((0.91231, 0.91234), "val_acc 0.91231 and 0.91234"),
        ((6.307184078062235, 6.307184078062239), "val_acc 6.30718, different from the 16th digit on"),
        ((0.5, 0.5 * (1 + 1e-6)), "val_acc 0.5, different from the 7th digit on"),
    ],
)
def test_different_results_of_one_seed_are_shown_with_enough_digits(values, said):
    runs = [Run(f"r{n}", {"lr": 1, "seed": 42}, {"val_acc": value}) for n, value in enumerate(values)]
    runs.append(Run("other", {"lr": 2, "seed": 42}, {"val_acc": 0.8}))
    [(finding, names)] = findings_of(runs, "duplicates")
    assert f"r0 and r1 (seed=42; {said})" in finding.sentence
    assert finding.sentence.startswith("Same configuration, seed, code and data, different results: ")
    assert (names, finding.severity) == (["r0", "r1"], "warning")


def test_runs_with_different_tags_or_commits_or_without_seed_are_not_duplicates():
    def pair(params, tags):
        return [Run(f"{n}", dict(params), {"acc": 0.91234 + n / 9}, tags[n % 2]) for n in range(4)]

    assert findings_of(pair({"lr": 1, "seed": 1}, [{"model": "a"}, {"model": "b"}])[:2], "duplicates") == []
    assert findings_of(pair({"lr": 1, "seed": 1}, [{COMMIT: "a" * 40}, {COMMIT: "b" * 40}])[:2], "duplicates") == []
    assert findings_of(pair({"lr": 1}, [{}, {}]), "duplicates") == []
    assert findings_of(pair({"lr": 1, "fold": 1}, [{}, {}]), "duplicates") == []


def test_results_that_differ_only_by_rounding_are_equal():
    runs = [
        Run("a", {"depth": 3, "random_state": 1}, {"AUC": 0.7576332570761469, "F1": 0.45908}),
        Run("b", {"depth": 3, "random_state": 1}, {"AUC": 0.7576, "F1": 0.4591}),
        Run("c", {"depth": 4, "random_state": 1}, {"AUC": 0.7}),
    ]
    [(finding, names)] = findings_of(runs, "duplicates")
    assert finding.sentence.startswith(
        "a and b (AUC 0.7576) are one computation, equal in every setting and, but for rounding, in every score"
    )
    assert names == ["a", "b"]


def test_unseeded_runs_with_equal_coarse_results_may_be_copies():
    runs = [Run("l1", {"dim": 16}, {"val_acc": 0.88}), Run("l2", {"dim": 16}, {"val_acc": 0.88})]
    [(finding, names)] = findings_of([*runs, Run("l3", {"dim": 32}, {"val_acc": 0.9})], "duplicates")
    assert finding.sentence.startswith("May be copies, since no seed is recorded")
    assert names == ["l1", "l2"]


# --- code, data, constants ----------------------------------------------------------------------------------------


def on_data(*digests, name="customers", params=None):
    """Runs and the data set that each logged, given as (digest, schema)."""
    runs = [Run(f"r{n}", params(n) if params else {"lr": n % 2}, {"acc": n / 9}) for n in range(len(digests))]
    rows = [
        {"run": f"r{n}", "name": name, "digest": digest, "source_type": "local", "schema": schema_text}
        for n, (digest, schema_text) in enumerate(digests)
    ]
    return runs, rows


TABLE, ARRAY = '{"mlflow_colspec": [{"name": "x"}]}', '{"mlflow_tensorspec": {"features": 1}}'


def test_runs_on_other_data_are_found():
    runs, rows = on_data(*[("aaaa", TABLE)] * 4, ("bbbb", TABLE))
    [(finding, names)] = findings_of(runs, "other_data", datasets=rows)
    assert names == ["r4"]
    assert (finding.kind, finding.severity, finding.keys) == ("provenance", "warning", ("customers",))
    assert "4 runs used customers @ aaaa; 1 run used customers @ bbbb (r4)." in finding.sentence


def test_digests_of_different_kinds_are_reported_as_not_compared():
    runs, rows = on_data(*[("aaaa", TABLE)] * 3, ("bbbb", ARRAY), ("bbbb", ARRAY), name="dataset")
    assert findings_of(runs, "other_data", datasets=rows) == []
    assert "whether dataset is the same data in all runs: its digests were computed differently" in unexamined(
        runs, datasets=rows
    )


def test_data_that_change_with_a_factor_are_only_a_note():
    runs, rows = on_data(*[(digest, TABLE) for digest in ("aaaa", "bbbb") * 3], params=lambda n: {"task": "xy"[n % 2]})
    [(finding, _)] = findings_of(runs, "other_data", datasets=rows)
    assert finding.sentence.endswith("The data change together with task.")
    assert finding.severity == "note"


def test_commits_are_counted_within_a_task_and_their_factor_is_named():
    runs = [Run(f"r{n}", {"lr": n % 3}, {"acc": n / 9}, {COMMIT: "ab"[n > 3] * 40}) for n in range(6)]
    [(finding, names)] = findings_of([*runs, Run("x", {"lr": 1}, {"acc": 0.2})], "other_code")
    assert finding.sentence == (
        "These runs come from 2 git commits: 4 runs of aaaaaaaa, 2 runs of bbbbbbbb (r4 and r5); 1 run recorded none."
    )
    assert names == ["r4", "r5"]
    renamed = [Run("mlp (a)" if n == 5 else f"r{n}", run.params, run.metrics, run.tags) for n, run in enumerate(runs)]
    [(finding, _)] = findings_of(renamed, "other_code")
    assert finding.sentence == (
        "These runs come from 2 git commits: 4 runs of aaaaaaaa; 2 runs of bbbbbbbb: r4 and mlp (a)."
    )
    tied = [Run(f"r{n}", {"attention": "ab"[n % 2]}, {"acc": n / 9}, {COMMIT: "ab"[n % 2] * 40}) for n in range(6)]
    [(finding, _)] = findings_of(tied, "other_code")
    assert finding.sentence.endswith("The commit changes together with attention.")
    alone = {"a": runs[:4], "b": runs[4:]}  # a commit of its own in each experiment
    assert findings_of(alone, "other_code") == []


def test_constant_params_are_reported_without_labels():
    runs = [Run(f"r{n}", {"lr": n, "epochs": 5, "output_dir": "/out"}, {"acc": n / 9}) for n in range(3)]
    assert findings_of(runs, "constant_params") == []
    assert "the effect of 1 param, which never varies (epochs = 5)" in unexamined(runs)


def test_importances_are_computed_for_ten_experiments_and_the_rest_is_reported():
    runs = {f"e{place}": [replace(run, name=f"{place}-{run.name}") for run in sizes(20)] for place in range(12)}
    assert len(findings_of(runs, "matters")) == 10
    assert "importance of params in 2 more experiments: only 10 are analysed" in unexamined(runs)


def test_huge_numbers_cause_no_nan():
    runs = [Run(f"r{n}", {"size": 10.0 ** (15 * n)}, {"score": 1e308 * (-1) ** n / (n + 1)}) for n in range(20)]
    evidence = evidence_of(runs)
    assert all("nan" not in one.sentence for rule in RULES for one in rule.find(evidence, rule.thresholds))
