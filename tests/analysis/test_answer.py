"""The best configuration of a task, effects of one factor, confounding, and what is not reported."""

from __future__ import annotations

import random
import re

import pytest

from qualia_lab.analysis.answer import answer_of
from qualia_lab.analysis.contrasts import cells_of
from qualia_lab.analysis.effects import candidate_effects
from qualia_lab.analysis.findings import (
    best_alone,
    best_configuration,
    confounded,
    edge_of_range,
    factor_effect,
    interaction,
    mixed_units,
    seed_collapse,
    seeds_vary_more,
    unequal_budgets,
    unknown_direction,
)
from qualia_lab.analysis.findings.naming import configuration_names
from qualia_lab.inventory import take_inventory
from qualia_lab.runs import Runs
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.study import StudySettings, describe_study
from tests.planted.run_rules import find as find_in
from tests.planted.run_rules import headline_and_faults
from tests.planted.store import PlantedStore, Run

from .study_samples import evidence_of, groups_of

RULES = [
    module.RULE
    for module in (
        *(best_alone, best_configuration, confounded, edge_of_range, factor_effect, interaction, seed_collapse),
        *(seeds_vary_more, unequal_budgets, unknown_direction),
    )
]


def find(module, runs, settings=None):
    """The findings of one rule, and the names of the runs."""
    evidence = evidence_of(runs, settings)
    return module.RULE.find(evidence, module.RULE.thresholds), evidence.labels


def one(module, runs, settings=None):
    found, labels = find(module, runs, settings)
    assert len(found) == 1, found
    return found[0], {labels[run_id] for run_id in found[0].run_ids}


def repeated(levels, n, *, spread=0.01, seed=1, **more):
    """n seeds of each configuration around its level."""
    dice = random.Random(seed)
    return [
        Run(f"{name}-{s}", {"model": name, "seed": s}, {"val_acc": level + spread * dice.gauss(0, 1)}, **more)
        for name, level in levels.items()
        for s in range(n)
    ]


def test_a_clear_leader_is_reported_with_its_lead_and_the_rivals_it_beats():
    found, runs = one(best_configuration, repeated({"a": 0.9, "b": 0.8, "c": 0.7}, 5))
    assert runs == {f"a-{s}" for s in range(5)}
    assert found.sentence.startswith("model=a leads: mean val_acc 0.9")
    assert (
        "better by 0.1" in found.sentence
        and "model=b" in found.sentence
        and "distinguishable from both" in found.sentence
    )
    assert found.next == "Take model=a: no more runs are needed to tell it apart from the others."
    assert any(number.what == "difference" for number in found.numbers)


def test_level_rivals_are_all_reported_with_the_power_of_their_n():
    found, runs = one(best_configuration, repeated(dict.fromkeys("abcd", 0.9), 4))
    assert len(runs) == 16
    assert found.sentence.startswith("The 4 configurations cannot be told apart by val_acc")
    assert not any(number.what == "difference" for number in found.numbers)
    values = {number.what: number.value for number in found.numbers}
    # With four configurations of four runs, 3.2 standard deviations are detected with 80 % power, see
    # test_selected_power; the standard deviation is the smallest difference that matters.
    assert 3.0 < values["shown"] / values["smallest"] < 3.4
    assert f"n = {values['needed n']:.0f} each is needed" in found.sentence


def test_the_smallest_relevant_difference_can_be_set():
    runs = repeated(dict.fromkeys("ab", 0.9), 4)
    by_default, with_setting = (
        one(best_configuration, runs, settings)[0] for settings in (None, StudySettings(smallest_difference=0.1))
    )
    needed = [next(n.value for n in found.numbers if n.what == "needed n") for found in (by_default, with_setting)]
    assert needed[1] < needed[0]
    assert "the smallest that matters" in with_setting.sentence


def test_an_interval_is_clipped_to_the_bounds_of_the_metric():
    values = {"a": (0.999, 1.0, 0.98), "b": (0.6, 0.61, 0.59)}
    runs = [
        Run(f"{m}{s}", {"m": m, "seed": s}, {"val_accuracy": v}) for m, of in values.items() for s, v in enumerate(of)
    ]
    found, _ = one(best_configuration, runs)
    assert next(number.value for number in found.numbers if number.what == "high") == 1.0


def test_configurations_of_two_runs_are_compared_only_if_others_give_the_spread():
    values = {"a": (0.757633, 0.7576), "b": (0.6183, 0.6113)}  # one run of a is a rounded copy of the other
    runs = [Run(f"{m}{s}", {"m": m, "seed": s}, {"val_auc": v}) for m, of in values.items() for s, v in enumerate(of)]
    assert "Both ran more than once, too few times to tell" in one(best_configuration, runs)[0].sentence
    many = repeated({name: 0.9 - place / 10 for place, name in enumerate("abcdef")}, 2)
    assert one(best_configuration, many)[0].sentence.startswith("model=a leads")


def test_only_configurations_with_one_value_are_said_to_have_run_once(tmp_path):
    values = {"a": (0.76, 0.75), "b": (0.62, 0.61), "c": (0.5,)}  # too few repeats to compare
    runs = [Run(f"{m}{s}", {"m": m, "seed": s}, {"val_auc": v}) for m, of in values.items() for s, v in enumerate(of)]
    [answer] = evidence_of(runs).answers.values()
    assert answer.found is None
    assert [group.values for group in answer.single_runs] == [(0.5,)]
    store = open_store(PlantedStore({"e": runs}).write(tmp_path / "mlruns"))
    tables = store.read(store.read_runs(Query()).column("run_id").to_pylist())
    table = Runs(store, tables, describe_study(tables, take_inventory(tables), StudySettings())).answer()
    assert table["against the best"].tolist() == ["best mean", "too few repeats to tell", "ran once: too few to tell"]


def test_single_runs_are_reported_as_possible_luck_and_ties_are_named():
    runs = [Run(f"r{i}", {"lr": i}, {"val_acc": value}) for i, value in enumerate((0.5, 0.7, 0.7))]
    found, names = one(best_configuration, runs)
    assert names == {"r1", "r2"}
    assert "lr=1 and lr=2 have the best val_acc, 0.7" in found.sentence
    assert "All 3 configurations ran once, so it is unknown how much of that is luck" in found.sentence


def test_a_single_run_is_reported_only_without_other_experiments():
    single = [Run("r", {"lr": 1}, {"val_acc": 0.5})]
    assert one(best_configuration, single)[0].sentence == (
        "val_acc is 0.5 in the only run that has it: there is nothing to compare it with."
    )
    found, _ = find(best_configuration, {"x": single, "y": repeated({"a": 0.9, "b": 0.8}, 4)})
    assert [answer.experiment for answer in found] == ["y"]


def test_a_single_configuration_is_reported_as_a_mean_with_its_spread():
    found, names = one(best_configuration, repeated({"a": 0.9}, 10))
    assert len(names) == 10
    assert "There is one configuration" in found.sentence and "n = 10" in found.sentence
    assert "standard deviation of 0.0" in found.sentence


def test_a_lucky_single_run_does_not_lead_but_is_mentioned():
    runs = [*repeated({"a": 0.9, "b": 0.8}, 5), Run("lucky", {"model": "z", "seed": 0}, {"val_acc": 0.99})]
    found, names = one(best_configuration, runs)
    assert names == {f"a-{s}" for s in range(5)}
    assert "model=a leads those that ran more than once" in found.sentence
    assert "1 configuration ran once, too few to tell, with a better value model=z, 0.99" in found.sentence
    assert "model=z" in found.next


def test_failed_runs_are_left_out_and_counted():
    runs = repeated({"a": 0.9, "b": 0.8}, 4)
    runs.append(Run("a-5", {"model": "a", "seed": 5}, {"val_acc": 0.1}, status="FAILED"))
    found, names = one(best_configuration, runs)
    assert "a-5" not in names
    assert "n = 4 of 5: 1 failed left out" in found.sentence


def test_configurations_are_paired_by_seeds_with_a_common_effect():
    dice = random.Random(3)
    of_seed = [dice.gauss(0, 0.05) for _ in range(6)]
    runs = [
        Run(f"{name}-{s}", {"model": name, "seed": s}, {"val_acc": 0.8 + gain + of_seed[s] + dice.gauss(0, 0.001)})
        for name, gain in (("a", 0.01), ("b", 0.0))
        for s in range(6)
    ]
    found, names = one(best_configuration, runs)
    assert names == {f"a-{s}" for s in range(6)}
    assert "model=a leads" in found.sentence


def test_each_experiment_has_its_own_answer():
    stores = {name: repeated({f"{name}a": level, f"{name}b": level / 2}, 4) for name, level in (("x", 0.9), ("y", 0.4))}
    found, labels = find(best_configuration, stores)
    assert {one.experiment for one in found} == {"x", "y"}
    for answer in found:
        assert answer.sentence.startswith(f"In {answer.experiment}: ")
        assert all(labels[run_id].startswith(f"{answer.experiment}a") for run_id in answer.run_ids)


@pytest.mark.parametrize("n", [1, 3])
def test_data_sets_are_not_compared_as_rivals(n):
    dice = random.Random(n)
    runs = [
        Run(
            f"{kind}{i}-{s}",
            {"dataset": f"d{i}", "seed": s},
            {"val_acc": 0.5 + i / 10 + dice.gauss(0, 0.02)},
            {"method": kind},
        )
        for i in range(4)
        for kind in ("a", "b")
        for s in range(n)
    ]
    found, names = one(best_configuration, runs)
    assert found.sentence.startswith("No configuration is clearly better in val_acc over the levels of dataset")
    assert not names
    assert not find(factor_effect, runs)[0]


def test_levels_of_one_factor_are_paired_over_targets():
    dice = random.Random(8)
    runs = [
        Run(f"{kind}{i}", {"target": i, "depth": 3}, {"test_mae": 5 + i - gain + dice.gauss(0, 0.05)}, {"kind": kind})
        for i in range(7)
        for kind, gain in (("new", 1.0), ("old", 0.0))
    ]
    found, names = one(factor_effect, runs)
    assert names == {run.name for run in runs}
    assert "kind=new has a better test_mae, all else being equal, than old in 7 of 7 targets, by 1" in found.sentence
    assert {number.value for number in found.numbers if number.what in ("better in", "of")} == {7}


def test_a_factor_with_a_better_level_in_every_context_is_found():
    dice = random.Random(5)
    runs = [
        Run(
            f"{w}{act}{s}",
            {"width": w, "act": act, "seed": s},
            {"val_acc": 0.7 + w / 1000 + 0.05 * (act == "gelu") + dice.gauss(0, 0.004)},
        )
        for w in (16, 32, 64)
        for act in ("relu", "gelu")
        for s in range(3)
    ]
    found, _ = find(factor_effect, runs)
    [act] = [one for one in found if one.keys[0] == "act"]
    assert "act=gelu has a better val_acc, all else being equal, than relu in 3 of 3 settings of width" in act.sentence


def crossing():
    dice = random.Random(4)
    return [
        Run(f"lr{lr}-bs{size}-{s}", {"lr": lr, "batch_size": size, "seed": s},
            {"val_acc": 0.7 + 0.2 * ((lr == 0.001) == (size == 32)) + dice.gauss(0, 0.005)})
        for lr in (0.001, 0.01) for size in (32, 256) for s in range(5)
    ]  # fmt: skip


def test_an_effect_of_tiny_values_is_as_clear_as_of_large_ones_beside_zeros():
    values = {
        ("a", 1): (0.0, 0.0, 0.0),
        ("a", 2): (0.3, 0.1, 0.2),
        ("b", 1): (0.8, 0.9, 1.0),
        ("b", 2): (0.9, 0.8, 0.7),
    }

    def p_at(scale):
        runs = [
            Run(f"{m}{d}-{s}", {"m": m, "depth": d, "seed": s}, {"val_acc": scale * v})
            for (m, d), of in values.items()
            for s, v in enumerate(of)
        ]
        evidence = evidence_of(runs)
        [(key, sets)] = evidence.one_factor.items()
        return {one.factor.factor: one.p for one in candidate_effects(cells_of(sets, evidence.groups[key]))}

    assert p_at(1)["m"] < 0.001
    assert p_at(1e-180) == pytest.approx(p_at(1))


def test_an_interaction_is_no_main_effect_and_both_leaders_are_named_in_full():
    runs = crossing()
    found, names = one(interaction, runs)
    assert names == {run.name for run in runs}
    assert {"lr", "batch_size"} < set(found.keys)
    assert not find(factor_effect, runs)[0]
    answer, leaders = one(best_configuration, runs)
    assert leaders == {f"lr{pair}-{s}" for pair in ("0.001-bs32", "0.01-bs256") for s in range(5)}
    assert "batch_size=32, lr=0.001" in answer.sentence and "batch_size=256, lr=0.01" in answer.sentence


def test_additive_factors_do_not_interact():
    dice = random.Random(6)
    runs = [
        Run(f"{a}{b}{s}", {"a": a, "b": b, "seed": s}, {"val_acc": 0.5 + a / 10 + b / 10 + dice.gauss(0, 0.005)})
        for a in range(3)
        for b in range(3)
        for s in range(4)
    ]
    assert not find(interaction, runs)[0]


def sides(*, commits=("a", "b"), sizes=(64, 32)):
    dice = random.Random(7)
    return [
        Run(f"{kind}-{s}", {"attention": kind, "batch_size": size, "seed": s}, {"val_acc": level + dice.gauss(0, 0.005)},
            {"mlflow.source.git.commit": commit * 40})
        for kind, size, level, commit in zip(("full", "none"), sizes, (0.9, 0.8), commits, strict=True) for s in range(5)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "also"),
    [
        (sides(), "batch_size (64 against 32) and commit (aaaaaaaa against bbbbbbbb)"),
        (sides(sizes=(32, 32)), "commit (aaaaaaaa against bbbbbbbb)"),
        (sides(commits=("a", "a")), "batch_size (64 against 32)"),
    ],
)
def test_levels_that_differ_in_other_things_too_are_confounded(runs, also):
    found, names = one(confounded, runs)
    assert names == {run.name for run in runs}
    assert "attention=full is better than none" in found.sentence and also in found.sentence
    assert "cannot be attributed to attention" in found.sentence


def test_an_isolated_comparison_and_a_grid_are_not_confounded():
    assert not find(confounded, sides(commits=("a", "a"), sizes=(32, 32)))[0]
    assert not find(confounded, crossing())[0]


def test_an_edge_of_range_finding_proposes_a_value_beyond():
    dice = random.Random(9)
    runs = [
        Run(f"lr{lr}-{s}", {"lr": lr, "seed": s}, {"val_loss": 1 - place / 10 + dice.gauss(0, 0.004)})
        for place, lr in enumerate((1e-5, 1e-4, 1e-3, 1e-2))
        for s in range(5)
    ]
    found, names = one(edge_of_range, runs)
    assert names == {f"lr0.01-{s}" for s in range(5)}
    assert found.next == "Try lr beyond 0.01, such as 0.1."


def test_the_natural_end_of_a_range_is_no_edge():
    dice = random.Random(9)
    runs = [
        Run(f"d{place}-{s}", {"dropout": place / 10, "seed": s}, {"val_acc": 0.9 - place / 10 + dice.gauss(0, 0.004)})
        for place in range(4)
        for s in range(5)
    ]
    assert not find(edge_of_range, runs)[0]


def test_a_collapsed_seed_is_reported_with_its_run():
    runs = repeated(dict.fromkeys("abc", 0.9), 5, spread=0.004)
    runs[7].metrics["val_acc"] = 0.1
    found, names = one(seed_collapse, runs)
    assert names == {"b-2"}
    assert "b-2 (model=b) has 0.1, its other repeats have 0." in found.sentence
    store = PlantedStore({"e": runs})
    headline, faults = headline_and_faults(store, find_in(store))
    assert headline.next == found.next  # before any choice among configurations that it makes level
    assert faults == []


def test_seeds_that_vary_more_than_configurations_are_reported():
    found, names = one(seeds_vary_more, repeated(dict.fromkeys("abcdefgh", 0.9), 5))
    assert len(names) == 40
    assert "varies more between repeats than between configurations" in found.sentence
    assert not find(seeds_vary_more, repeated({name: 0.5 + place / 10 for place, name in enumerate("abcd")}, 5))[0]


def test_an_unknown_direction_is_reported_with_the_ways_to_set_it():
    runs = [Run(f"r{i}", {"a": i}, {"foo": float(i)}) for i in range(3)]
    found, _ = one(unknown_direction, runs)
    assert "--metric foo:max" in found.next and '"foo" = "higher"' in found.next and "GREATER_IS_BETTER" in found.next
    assert not find(best_configuration, runs)[0]
    settings = StudySettings(metric="foo", better={"foo": "lower"})
    assert not find(unknown_direction, runs, settings)[0]
    assert one(best_configuration, runs, settings)[1] == {"r0"}


def test_an_unfinished_best_run_is_reported():
    runs = [Run(f"r{i}", {"lr": i}, {"val_acc": 0.5 + i / 10}) for i in range(3)]
    runs.append(Run("going", {"lr": 9}, {"val_acc": 0.95}, status="RUNNING"))
    found, names = one(unequal_budgets, runs)
    assert names == {"going"} and "0.95" in found.sentence and "running" in found.sentence


def test_a_best_run_with_its_own_commit_is_reported():
    runs = [
        Run(f"r{i}", {"lr": i}, {"val_acc": 0.5 + i / 10}, {"mlflow.source.git.commit": ("b" if i == 4 else "a") * 40})
        for i in range(5)
    ]
    found, names = one(best_alone, runs)
    assert names == {"r4"} and "commit bbbbbbbb alone" in found.sentence
    for run in runs:
        run.tags["mlflow.source.git.commit"] = run.name * 20
    assert not find(best_alone, runs)[0]  # each run has its own commit


def test_a_best_run_with_its_own_commit_is_reported_among_its_repeats():
    runs = repeated(dict.fromkeys("abc", 0.85), 3)
    for run in runs:
        run.tags["mlflow.source.git.commit"] = "a" * 40
    assert not find(best_alone, runs)[0]
    later = Run("new", {"model": "b", "seed": 9}, {"val_acc": 0.95}, {"mlflow.source.git.commit": "b" * 40})
    found, names = one(best_alone, [*runs, later])
    assert names == {"new"} and "the best run (val_acc 0.95), is on commit bbbbbbbb alone" in found.sentence
    assert found.next.startswith("Run its repeats on the same code and data")


def test_percent_among_shares_leads_nothing():
    runs = [Run(f"r{i}", {"depth": i}, {"val_acc": 0.8 + i / 100}) for i in range(8)]
    for run in (runs[2], runs[5]):
        run.metrics["val_acc"] *= 100
    found, names = one(mixed_units, runs)
    assert names == {"r2", "r5"}
    assert "percent in 2 runs (r2 and r5, 82 to 85) and a share in 6 (0.8 to 0.87)" in found.sentence
    assert one(best_configuration, runs)[0].sentence.startswith("depth=7 has the best val_acc, 0.87")
    settings = StudySettings(findings={"mixed_units": False})
    assert one(best_configuration, runs, settings)[0].sentence.startswith("depth=5 has the best val_acc, 85")


def test_a_share_among_percentages_of_errors_leads_nothing():
    runs = [Run(f"r{i}", {"depth": i}, {"eval_wer": 12.0 - i / 10}) for i in range(6)]
    runs[2].metrics["eval_wer"] /= 100
    found, names = one(mixed_units, runs)
    assert names == {"r2"} and "a share in 1 run (r2, 0.118) and percent in 5" in found.sentence
    assert one(best_configuration, runs)[0].sentence.startswith("depth=5 has the best eval_wer, 11.5")


def test_an_edge_names_what_changed_together_with_it():
    dice = random.Random(3)
    runs = [
        Run(f"b{p}-{s}", {"lr": 2**p / 1000, "batch_size": 2**p * 32, "seed": s},
            {"val_acc": 0.8 + 0.02 * p + dice.gauss(0, 0.004)})
        for p in range(4) for s in range(3)
    ]  # fmt: skip
    found, _ = one(edge_of_range, runs)
    assert "; batch_size changed only together with it, so that either may be the reason." in found.sentence
    assert found.next == "Try lr beyond 0.008, such as 0.016, with batch_size held fixed."


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("val_acc", [0.8, 0.7, 0.9, 1.0]),
        ("val_acc", [80.0, 70.0, 90.0, 0.1]),  # at chance level among 1,000 classes
        ("val_acc", [2.0, 8.0, 0.5, 40.0]),
        ("val_loss", [0.5, 0.6, 55.0, 56.0]),
    ],
)
def test_values_of_one_unit_are_all_compared(key, values):
    runs = [Run(f"r{i}", {"depth": i}, {key: value}) for i, value in enumerate(values)]
    assert not find(mixed_units, runs)[0]


def test_configuration_names_are_short_and_distinct():
    rows = [({f"param{i}": str(i * place) for i in range(6)}, {"auc": float(place)}) for place in (1, 2)]
    rows += [
        ({"param1": "x" * 100 + tail, "param2": "0.123456789", **rows[0][0]} | {"param3": tail}, {"auc": 0.0})
        for tail in "ab"
    ]
    groups = groups_of(rows)
    evidence = evidence_of([])
    names = configuration_names(evidence.study, groups)
    assert len(set(names.values())) == len(groups)
    assert all(name.count("=") <= 4 and name.endswith("…") for name in names.values())
    short = configuration_names(
        evidence.study, groups_of([({"lr": "0.123456789"}, {"auc": 1.0}), ({"lr": "0.2"}, {"auc": 2.0})])
    )
    assert set(short.values()) == {"lr=0.1235", "lr=0.2"}


def unexamined(module, runs):
    return module.RULE.unexamined(evidence_of(runs), module.RULE.thresholds)


def test_untested_and_inconclusive_comparisons_are_listed():
    assert unexamined(best_configuration, repeated(dict.fromkeys("abcd", 0.9), 4)) == [
        "the best configuration is not distinguishable from 3 of the other 3"
    ]
    once = [Run(f"r{i}", {"lr": i, "depth": i % 2}, {"val_acc": i / 10}) for i in range(4)]
    assert unexamined(best_configuration, once) == ["which configuration is best: too few repeats"]
    [reason] = unexamined(factor_effect, once)
    assert reason.startswith("depth and lr with all else being equal: too few")
    assert not unexamined(best_configuration, repeated({"a": 0.9, "b": 0.8}, 5))
    stores = {name: repeated({f"{name}a": 0.9, f"{name}b": 0.9}, 3, seed=place) for place, name in enumerate("uvwxyz")}
    assert unexamined(best_configuration, stores)[-1] == "and the same in 2 more experiments"


def test_there_is_no_answer_without_a_value_or_a_direction():
    assert answer_of([]) is None
    assert answer_of(groups_of([({"lr": "1"}, {"auc": 1.0}), ({"lr": "2"}, {"auc": 2.0})], better=None)) is None


def test_noise_hardly_ever_gives_a_difference():
    dice = random.Random(0)
    shapes = [(k, n) for k in (2, 4, 8, 20) for n in (1, 2, 3, 5)]
    claims = []
    stores = 48
    for place in range(stores):
        k, n = shapes[place % len(shapes)]
        runs = [
            Run(
                f"c{i}-{s}",
                {"lr": 10.0 ** -(i % 4), "depth": i // 4, "seed": s},
                {"val_acc": 0.8 + 0.02 * dice.gauss(0, 1)},
            )
            for i in range(k)
            for s in range(n)
        ]
        evidence = evidence_of(runs)
        for rule in RULES:
            for found in rule.find(evidence, rule.thresholds):
                is_claim = any(number.what == "difference" for number in found.numbers)
                if is_claim or rule.name not in ("best_configuration", "seeds_vary_more"):
                    claims.append((place, found.sentence))
    assert len({place for place, _ in claims}) <= 2, claims


def test_every_number_in_a_sentence_is_a_number_of_the_finding():
    evidences = [
        evidence_of(runs)
        for runs in (
            repeated({"a": 0.9, "b": 0.8, "c": 0.8}, 5),
            crossing(),
            repeated(dict.fromkeys("abcdefgh", 0.9), 3),
        )
    ]
    checked = 0
    for evidence in evidences:
        for rule in RULES:
            for found in rule.find(evidence, rule.thresholds):
                expected = {f"{number.value:.4g}" for number in found.numbers} | {"95", "80", str(len(found.run_ids))}
                sentence = re.sub(r"\S+=\S+|all \d+|the other \d+|The \d+ configurations", "", found.sentence)
                for token in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", sentence):
                    assert token in expected, (found.sentence, token)
                    checked += 1
    assert checked > 10
