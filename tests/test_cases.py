"""Small stores that were once described wrongly (shared/data/cases): what has to be found, and what must not be."""

from __future__ import annotations

import pytest

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.study.as_data import study_as_data

from .headline_checked import faults_of


class Case:
    """One case: its study as `qualia study --json` prints it, its findings, and the names of its runs."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.runs = load_runs(uri, NotebookGenerator(uri).select().run_ids)
        self.study = study_as_data(self.runs.study, self.runs.tables)
        names = self.runs.tables.runs.column("run_name").to_pylist()
        self.names = dict(zip(self.runs.tables.run_ids, names, strict=True))
        self.findings = self.runs.find({})
        self.headline = self.runs.headline().headline

    def only(self, rule):
        """The only finding of a rule."""
        [found] = [one for one in self.findings if one.rule == rule]
        return found

    def rules(self):
        """The rules that fired."""
        return {one.rule for one in self.findings}

    def text(self):
        """All sentences as one text."""
        return "\n".join(f"{one.sentence} {one.next}" for one in self.findings)

    def runs_of(self, finding):
        """The names of the runs of a finding."""
        return {self.names[run_id] for run_id in finding.run_ids}

    def role(self, key, kind="params"):
        """The role of a param or tag."""
        return next(one["role"] for one in self.study[kind] if one["key"] == key)

    def metric(self, key):
        """The entry of a metric in the study."""
        return next(one for one in self.study["metrics"] if one["key"] == key)


@pytest.fixture
def case(cases, request):
    return Case(str(cases / request.function.__name__.removeprefix("test_")))


# The first words of the headline of each case: who leads, or that nobody does.
HEADLINES = {
    "two_tasks": "In predict_b: b0 (lr=1) has the best val_loss, 570; next is b1 (lr=0.1) with 580. All 3",
    "factor_in_a_tag": "fingerprint=morgan has a better mcc, all else being equal, than maccs in 6 of 6 targets",
    "duration_leads": "r5 (d=5) has the best mse, 0.1; next is r4 (d=4) with 0.2. All 3 configurations ran once, so",
    "label_params": "dim=32 has the best val_acc, 0.92; next is dim=16 with 0.88 (n = 2). Too few configurations",
    "paths_hide_seeds": "attention=full leads: mean val_acc 0.9019 (n = 5), better by 0.2061 than attention=none",
    "one_configuration": "There is one configuration: its mean val_acc is 0.8986 (n = 10, 95 % 0.8915 to 0.9073).",
    "equal_to_the_last_digit": "rmse is 6.307 in the only run that has it, so there is nothing to compare it with.",
    "one_computation_nine_times": "depth=1 has the best f1_test, 1; next is depth=10 with 0.98 (n = 6). Too few",
    "long_names": "RetrievalPipeline_HybridRetrie…se_bm25_large_latest_20260305 (k=5) has the best acc, 1; next is",
    "training_logged_more_often": "r5 (lr=5) has the best acc/val, 55; next is r4 (lr=4) with 54. All 6",
    "state_is_no_seed": "s128-2 (mamba_d_state=128, lr=2) has the best val_acc, 0.822; next is s128-1",
    "a_count_leads": "No configuration leads: acc is 0.5 in all 18.",
    "spread_is_no_score": "c19 (C=19) has the best mean_test_f1, 0.88; next is c18 (C=18) with 0.86. All 20",
    "random_search": "t12 (dropout=0.4521, lr=0.002173, weight_decay=0.0005345) has the best val_acc, 0.9064; next is",
    "interaction": "batch_size=32, lr=0.001 has the best mean val_acc, 0.9013 (n = 5), but cannot be told apart from "
    "batch_size=256, lr=0.01; it is better than the other 2 by 0.2009 or more.",
    "healthy_gan": "g0 (z=32) has the best fid, 40; next is g1 (z=64) with 41. All 5 configurations ran once",
    "edge_of_the_range": "lr=0.01 leads: mean val_acc 0.8406 (n = 5), better by 0.08152 than the next, lr=0.001",
    "confounded": "attention=full leads: mean val_acc 0.8988 (n = 5), better by 0.09618 than attention=none",
    "level_rivals": "No configuration leads: the 6 configurations cannot be told apart by val_acc, best mean 0.9133",
    "a_sweep_and_its_parent": "trial3 (lr=0.0001, depth=2) has the best val_acc, 0.846; next is trial2",
    "a_metric_called_min": "c (lr=2) has the best reward.mean, 2; next is b (lr=1) with 1. All 3 configurations",
    "no_line_break_at_the_end": "LB_Score is 0.809 in the only run that has it, so there is nothing to compare",
}
NEXT = {
    "edge_of_the_range": "Try lr beyond 0.01, such as 0.1.",
    "confounded": "Run attention=none again with batch_size=64 and the same commit, so that only attention differs.",
    "two_tasks": "Before choosing, run 3 seeds of each of b0 (lr=1) and b1 (lr=0.1) (in predict_b).",
}
TROUBLE = {
    "long_names": "Of 6 runs, 3 failed.",
    "confounded": "Several settings change together, so it cannot be said which of them makes the difference.",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_the_headline_of_each_case_is_true(cases, name):
    case = Case(str(cases / name))
    assert case.headline.lead[0].startswith(HEADLINES[name])
    assert case.headline.trouble == TROUBLE.get(name, "")
    assert case.headline.next == NEXT.get(name, case.headline.next)
    assert faults_of(case.headline, case.findings, case.runs.tables, case.runs.study) == []


def test_two_tasks(case):
    assert case.study["objective"] is None
    assert {finding["experiment"] for finding in case.study["tasks"]} == {"predict_a", "predict_b"}
    answers = {finding.experiment: finding for finding in case.findings if finding.rule == "best_configuration"}
    assert case.runs_of(answers["predict_a"]) == {"a0"} and "19" in answers["predict_a"].sentence
    assert case.runs_of(answers["predict_b"]) == {"b0"} and "570" in answers["predict_b"].sentence
    assert "300" not in case.text()
    assert [text.split()[1] for text in case.headline.lead] == ["predict_b:", "predict_a:"]


def test_factor_in_a_tag(case):
    assert case.role("fingerprint", "tags") == "factor"
    assert case.role("seed") in ("seed", "constant")
    found = case.only("factor_effect")
    assert "6 of 6" in found.sentence and found.sentence.index("morgan") < found.sentence.index("maccs")
    assert "duplicates" not in case.rules()


def test_duration_leads(case):
    assert case.study["objective"]["key"] == "mse" and case.study["objective"]["better"] == "lower"
    assert case.metric("train_duration_s")["role"] == "cost"
    assert case.runs_of(case.only("best_configuration")) == {"r5"}


def test_label_params(case):
    assert case.role("out_path") == case.role("run") == "label"
    assert sorted(one["values"]["dim"] for one in case.study["configurations"]) == ["16", "32"]
    assert [len(one["runs"]) for one in case.study["configurations"] if one["values"]["dim"] == "16"] == [2]
    assert [{case.names[run_id] for run_id in one} for one in case.study["possible_copies"]] == [{"l16", "l16-1"}]
    assert "out_path" not in case.text()


def test_paths_hide_seeds(case):
    assert case.role("output_dir") == "label" and case.role("seed") == "seed"
    assert [one["computations"] for one in case.study["configurations"]] == [5, 5]
    found = case.only("best_configuration")
    assert "full" in found.sentence and "none" in found.sentence
    assert any(number.what == "difference" for number in found.numbers)
    assert "No two configurations" not in case.text()


def test_one_configuration(case):
    assert len(case.study["configurations"]) == 1 and case.study["configurations"][0]["computations"] == 10
    found = case.only("best_configuration")
    assert "n = 10" in found.sentence and "0.9" in found.sentence
    assert len(found.run_ids) == 10


def test_equal_to_the_last_digit(case):
    assert case.study["configurations"][0]["computations"] == 1
    assert "differ" not in case.only("duplicates").sentence
    assert case.runs_of(case.only("duplicates")) == {"a", "b"}


def test_one_computation_nine_times(case):
    by_depth = {one["values"]["depth"]: one for one in case.study["configurations"]}
    assert by_depth["1"]["computations"] == 1 and len(by_depth["1"]["runs"]) == 9
    assert "n = 9" not in case.text()
    assert not any(number.what == "difference" for one in case.findings for number in one.numbers)


def test_long_names(case):
    named = case.only("failed_apart").sentence
    assert all(f"2026030{place}" in named for place in range(3))


def test_training_logged_more_often(case):
    assert case.study["objective"]["key"] == "acc/val"
    assert case.metric("acc/train")["role"] == "training"
    assert case.runs_of(case.only("best_configuration")) == {"r5"}


def test_state_is_no_seed(case):
    assert case.role("mamba_d_state") == "factor"
    assert len(case.study["configurations"]) == 6


def test_a_count_leads(case):
    assert case.study["objective"]["key"] == "acc"
    assert case.metric("sample_len")["role"] == "count"
    assert "sample_len" not in {key for one in case.findings if one.kind != "not examined" for key in one.keys}


def test_spread_is_no_score(case):
    assert case.study["objective"]["key"] == "mean_test_f1"
    assert case.metric("std_test_f1")["role"] == "spread" and case.metric("std_test_f1")["better"] is None
    assert "trade_offs" not in case.rules()


def test_random_search(case):
    assert {case.role(key) for key in ("lr", "dropout", "weight_decay")} == {"factor"}
    found = [one for one in case.findings if one.kind == "relation"]
    assert {key for one in found for key in one.keys} & {"lr", "dropout", "weight_decay"} == {"lr"}
    assert "together" not in case.text()


def test_interaction(case):
    found = case.only("best_configuration")
    assert case.runs_of(found) == {f"lr{pair}-{seed}" for pair in ("0.001-bs32", "0.01-bs256") for seed in range(5)}
    assert {"lr", "batch_size"} <= set(case.only("interaction").keys)
    assert "factor_effect" not in case.rules()


def test_healthy_gan(case):
    assert case.study["objective"]["key"] == "fid" and case.study["objective"]["better"] == "lower"
    assert not {"diverged", "spikes", "overfitting", "collapse"} & case.rules()


def test_edge_of_the_range(case):
    found = case.only("edge")
    assert case.runs_of(found) == {f"lr0.01-{seed}" for seed in range(5)} and "beyond" in found.next


def test_confounded(case):
    found = case.only("confounded")
    assert {"attention", "batch_size"} <= set(found.keys) and "commit" in found.sentence
    assert "full" in case.only("best_configuration").sentence


def test_level_rivals(case):
    found = case.only("best_configuration")
    assert len(found.run_ids) == 18
    assert not any(number.what == "difference" for number in found.numbers)
    assert "80 %" in found.sentence


def test_a_sweep_and_its_parent(case):
    assert [case.names[run_id] for run_id in case.study["parents"]] == ["sweep"]
    assert case.runs_of(case.only("best_configuration")) == {"trial3"}
    assert not {"edge", "monotone", "matters"} & case.rules()


def test_a_metric_called_min(case):
    generator = NotebookGenerator(case.uri)
    found = generator.select(filter="metrics.reward.mean >= 1").run_ids
    assert {case.names[run_id] for run_id in found} == {"b", "c"}
    ordered = generator.select(order_by=["metrics.latency.max DESC"]).run_ids
    assert [case.names[run_id] for run_id in ordered] == ["a", "b", "c"]


def test_no_line_break_at_the_end(case):
    assert case.runs.metrics["LB_Score"].tolist() == [0.809]
