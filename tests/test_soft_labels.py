"""Soft labels from a pairwise judge: their closed form, their way into the loss, the clamp, what is refused."""

import dataclasses
from pathlib import Path

import evidence_factory
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import comparison, prompt, response
from sections import pairs_of
from training_factory import CPU, SHORT, random_pairs, tiny_policy, with_reference

from selfreward.commands.run import run
from selfreward.errors import DataError, RecipeError, TrainingError
from selfreward.judging.scoring.score import counted
from selfreward.judging.scoring.soft_labels import soft_labels
from selfreward.pairing.answers import Known, answer_pairs
from selfreward.progress import Progress
from selfreward.recipe import SppoLoss
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Comparison, Judgment, Pair
from selfreward.report.answers import by_prompt
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.training.preference import train_preferences

CONSTITUTION = Path(__file__).parent.parent / "recipes" / "constitution.yaml"
CHANCE = st.floats(0.0, 1.0)
SOFT = ("pairs.label=soft", "judge.question=comparison", "judge.reading=probability")


def both(a, b, here, there, principle=""):
    return [comparison(a, b, here, principle), comparison(b, a, there, principle)]


@given(CHANCE, CHANCE, CHANCE, CHANCE)
def test_a_label_is_the_mean_over_orders_and_principles(here, there, other_here, other_there):
    rows = [*both("a", "b", here, there, "honest"), *both("a", "b", other_here, other_there, "kind")]
    labels = soft_labels(rows)
    assert labels["a", "b"] == pytest.approx((here + (1 - there) + other_here + (1 - other_there)) / 4)
    assert labels["b", "a"] == 1 - labels["a", "b"]
    told_otherwise = soft_labels([row.swap() for row in rows])
    assert told_otherwise["a", "b"] == pytest.approx(labels["a", "b"]), "swap tells the same verdict the other way"
    renamed = [*both("b", "a", here, there, "honest"), *both("b", "a", other_here, other_there, "kind")]
    assert soft_labels(renamed)["b", "a"] == pytest.approx(labels["a", "b"]), "the ids decide nothing"


@given(CHANCE, st.floats(0.51, 0.99))
def test_a_judge_that_looks_at_the_slot_only_gives_a_half_clamped_or_not(first, clamp):
    for bound in (None, clamp):
        assert soft_labels(both("a", "b", first, first), bound)["a", "b"] == pytest.approx(0.5)


@given(CHANCE, CHANCE, st.floats(0.51, 0.99))
def test_the_clamp_bounds_each_reply_and_keeps_the_side(here, there, clamp):
    low, high = 1 - clamp, clamp
    expected = (float(np.clip(here, low, high)) + 1 - float(np.clip(there, low, high))) / 2
    label = soft_labels(both("a", "b", here, there), clamp)["a", "b"]
    assert label == pytest.approx(expected) and low - 1e-12 <= label <= high + 1e-12
    assert soft_labels(both("b", "a", here, there), clamp)["b", "a"] == pytest.approx(label)
    if low <= here <= high and low <= there <= high:
        assert label == pytest.approx(soft_labels(both("a", "b", here, there))["a", "b"])


def test_the_clamp_of_constitutional_ai_by_hand():
    sure = both("a", "b", 0.99, 0.02)
    assert soft_labels(sure)["a", "b"] == pytest.approx(0.985)
    assert soft_labels(sure, 0.6)["a", "b"] == pytest.approx(0.6) and soft_labels(sure, 0.6)["b", "a"] == pytest.approx(
        0.4
    )
    torn = [*both("a", "b", 0.99, 0.01, "honest"), *both("a", "b", 0.3, 0.9, "kind")]
    assert soft_labels(torn)["a", "b"] == pytest.approx((0.99 + 0.99 + 0.3 + 0.1) / 4)
    assert soft_labels(torn, 0.6)["a", "b"] == pytest.approx(0.5), "two replies against two"


def test_what_was_not_read_in_both_orders_has_no_label():
    rows = [*both("a", "b", 0.9, None), *both("a", "c", None, None), *both("b", "c", 0.2, 0.6)]
    assert set(soft_labels(rows)) == {("b", "c"), ("c", "b")}
    assert soft_labels(rows)["b", "c"] == pytest.approx(0.3)
    half_read = [*both("a", "b", 0.9, None, "honest"), *both("a", "b", 0.7, 0.1, "kind")]
    assert soft_labels(half_read)["a", "b"] == pytest.approx(0.8)
    assert soft_labels([]) == {}
    with pytest.raises(DataError, match="one order only"):
        soft_labels([comparison("a", "b", 1.0)])


PREFERENCES = {("a", "b"): 0.8, ("b", "a"): 0.2, ("a", "c"): 0.65, ("c", "a"): 0.35, ("b", "c"): 0.4, ("c", "b"): 0.6}


def paired(scores, known, **keys):
    answers = [response(name) for name in scores]
    given_scores = {name: counted(value) for name, value in scores.items()}
    return answer_pairs([prompt()], answers, given_scores, pairs_of(**keys), seed=3, source="self", known=known)


@pytest.mark.parametrize("rule", ["best_vs_worst", "best_vs_random", "length_tiers", "sppo"])
def test_a_pair_has_the_probability_that_its_chosen_answer_is_better(rule):
    seen = set()
    for scores in ({"a": 3, "b": 2, "c": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 3, "c": 1}):
        (pair,), drops = paired(scores, Known(preferences=PREFERENCES), rule=rule)
        assert pair.label == PREFERENCES[pair.chosen_id, pair.rejected_id] and not drops
        seen.add(pair.label)
    assert len(seen) > 1, "the same three answers under other ratings: another pair, another label"


def test_exchanging_the_answers_gives_one_minus_the_label():
    (pair,), _ = paired({"a": 3, "b": 1}, Known(preferences=PREFERENCES))
    (turned,), _ = paired({"a": 1, "b": 3}, Known(preferences=PREFERENCES))
    assert (turned.chosen_id, turned.rejected_id) == (pair.rejected_id, pair.chosen_id)
    assert turned.label == pytest.approx(1 - pair.label) and turned.label == pytest.approx(pair.swap().label)


def test_without_probabilities_and_for_what_a_verifier_decided_labels_are_certain():
    assert paired({"a": 3, "b": 1}, Known())[0][0].label == 1.0
    sources = {"a": "verifier", "b": "verifier"}
    (pair,), _ = paired({"a": 3, "b": 1}, Known(sources=sources, preferences={}))
    assert (pair.label, pair.source) == (1.0, "verifier")


def test_a_pair_that_was_not_read_in_both_orders_is_dropped_with_that_reason():
    pairs, (drop,) = paired({"a": 3, "b": 1}, Known(preferences={("a", "c"): 0.9}))
    assert not pairs and drop.reason == "unreadable" and "both orders" in drop.detail


def test_a_flipped_pair_claims_what_the_right_one_claimed():
    """The control swaps the sides of the claim; a label looked up after the swap would take the flip back."""
    known = Known(preferences=PREFERENCES)
    for number in range(40):
        recipe = pairs_of(flip=0.5)
        answers = [response("a"), response("b")]
        scores = {"a": counted(3.0), "b": counted(1.0)}
        (pair,), _ = answer_pairs([prompt()], answers, scores, recipe, seed=number, source="self", known=known)
        assert pair.label == 0.8
        if pair.chosen_id == "b":
            assert pair.source == "self+flip"
            break
    else:
        pytest.fail("no pair was flipped in 40 lots at 50 %")


def test_the_trainer_minimises_the_soft_loss(tmp_path):
    """One step of all pairs: its loss is p f(m) + (1 - p) f(-m) with m = beta (h_c - h_r), by hand."""
    start, beta = tiny_policy(tmp_path / "policy"), 0.7
    source = np.random.default_rng(0)
    shifts, labels = source.normal(0, 4, (8, 2)), source.uniform(0, 1, 8)
    pairs = [
        dataclasses.replace(
            pair,
            label=float(label),
            reference_chosen=pair.reference_chosen - float(chosen),
            reference_rejected=pair.reference_rejected - float(rejected),
        )
        for pair, label, (chosen, rejected) in zip(with_reference(random_pairs(8), start), labels, shifts, strict=True)
    ]
    recipe = dataclasses.replace(SHORT, beta=beta, nll=0.0, epochs=1.0)

    def first_loss(name, rows):
        report = train_preferences(
            start, rows, recipe, model=CPU, seed=7, reference_is_start=False,
            out=tmp_path / name / "out", scratch=tmp_path / name / "scratch",
        )  # fmt: skip
        return report.metrics["first_loss"]

    margins = beta * (shifts[:, 0] - shifts[:, 1])
    cost = lambda m: np.logaddexp(0, -m)  # noqa: E731
    soft = float(np.mean(labels * cost(margins) + (1 - labels) * cost(-margins)))
    assert first_loss("soft", pairs) == pytest.approx(soft, abs=1e-4)
    assert first_loss("swapped", [pair.swap() for pair in pairs]) == pytest.approx(soft, abs=1e-4)
    hard = float(np.mean(cost(margins)))
    assert abs(hard - soft) > 0.1
    certain = [dataclasses.replace(pair, label=1.0) for pair in pairs]
    assert first_loss("hard", certain) == pytest.approx(hard, abs=1e-4)


def test_a_loss_without_labels_refuses_soft_pairs(tmp_path):
    start = tiny_policy(tmp_path / "policy")
    pairs = with_reference(random_pairs(2, label=0.7, chosen_win_rate=0.6, rejected_win_rate=0.4), start)
    with pytest.raises(TrainingError, match=r"pairs\.label"):
        train_preferences(
            start, pairs, dataclasses.replace(SHORT, loss=SppoLoss(), nll=0.0), model=CPU, seed=0,
            reference_is_start=True, out=tmp_path / "out", scratch=tmp_path / "scratch",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("judge.question=score",), "judge.question=comparison"),
        (("judge.reading=verdict",), "gives probabilities"),
        (("judge.source=oracle",), "judge.source=oracle"),
        (("judge.control=shuffled",), "judge.control=shuffled"),
        (("judge.question.comparisons=ring",), "set judge.question.comparisons=all"),
        (("pairs.rule=spin",), "pairs.rule=spin"),
        (("pairs.rule=verified",), "pairs.rule=verified"),
        (("pairs.rule=self_consistency",), "pairs.rule=self_consistency"),
        (("pairs.rule=z_length",), "z_length"),
        (("pairs.score=implicit_reward",), "pairs.score=implicit_reward"),
        (("train.method=sft_chosen",), "train.method=sft_chosen"),
        (("pairs.rule=sppo", "train.loss=sppo"), "this train.loss does not read"),
        (("pairs.label=hard", "judge.question.clamp=0.6"), "judge.question.clamp is read with pairs.label=soft only"),
    ],
)
def test_a_soft_label_that_nothing_would_give_or_read_is_refused(overrides, words):
    build_recipe([], SOFT)
    build_recipe([], [*SOFT, "judge.question.clamp=0.6", "judge.reading=rationale"])
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [*SOFT, *overrides])
    assert words in str(refused.value)


@pytest.mark.parametrize("clamp", ["0.5", "1", "0.4"])
def test_a_clamp_that_leaves_nothing_or_clamps_nothing_is_refused(clamp):
    with pytest.raises(RecipeError, match=r"judge\.question\.clamp"):
        build_recipe([], [*SOFT, f"judge.question.clamp={clamp}"])


SMALL = (
    "rounds=1",
    "engine.chunk=64",
    "prompts.per_round=12",
    "measure.gate=4",
    "measure.selection=4",
    "measure.report=4",
    "measure.frozen=0",
)


def go(results: Path, name: str, *overrides: str) -> RunView:
    store = Store(results)
    run(load_recipe(CONSTITUTION, [*SMALL, *overrides]), store, name, Progress(style="silent"))
    return store.existing(name)


def test_in_the_loop_the_comparisons_of_the_round_become_the_labels(tmp_path: Path) -> None:
    """The recipe whose judge cannot read: what matters here is that its probabilities arrive unchanged."""
    clamped = go(tmp_path, "clamped")
    soft = go(tmp_path, "soft", "judge.question.clamp=null")
    hard = go(tmp_path, "hard", "judge.question.clamp=null", "pairs.label=hard")
    rows = soft.read(1, "judgments_comparisons", Comparison)
    asked = {(row.first_id, row.second_id): row.preference for row in rows}
    pairs = soft.read(1, "pairs", Pair)
    for pair in pairs:
        here, there = asked[pair.chosen_id, pair.rejected_id], asked[pair.rejected_id, pair.chosen_id]
        assert here is not None and there is not None
        assert pair.label == pytest.approx((here + 1 - there) / 2)
    assert len({pair.label for pair in pairs}) > 3 and max(pair.label for pair in pairs) < 1
    assert [dataclasses.replace(pair, label=1.0) for pair in pairs] == hard.read(1, "pairs", Pair), "nothing else"
    assert all(0.4 <= pair.label <= 0.6 + 1e-12 for pair in clamped.read(1, "pairs", Pair))
    assert clamped.read(1, "judgments", Judgment) == soft.read(1, "judgments", Judgment), "ratings are not clamped"
    seals = [view.seal(1, "judgments_comparisons") for view in (soft, clamped)]
    assert seals[0] is not None and seals[1] is not None and seals[0].fingerprint == seals[1].fingerprint
    assert "clamp" not in seals[0].made_from["question"]


def test_a_prompt_is_shown_with_the_label_of_its_pair():
    asked = evidence_factory.prompts(2)
    rows = evidence_factory.rows({one: [5, 0] for one in asked}, evidence_factory.truthful)
    soft = evidence_factory.pair(*rows.responses[:2], label=0.63)
    hard = evidence_factory.pair(*rows.responses[2:])
    shown = by_prompt(rows, "here", number=1, pairs=[soft, hard])
    assert shown[asked[0].id].notes == ("became a pair (answer, label 0.63)",)
    assert shown[asked[1].id].notes == ("became a pair (answer)",)
