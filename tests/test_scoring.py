"""Pointwise scores and the meta-judge's battles, against planted truths and nulls."""

import math
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.judging.scoring.battles import (
    agreed_matrix,
    battle_matrix,
    hold_battles,
    read_verdicts,
    slot_weights,
    which_battles,
)
from selfreward.judging.scoring.bradley_terry import strengths
from selfreward.judging.scoring.pointwise import aggregate, distinct, readable_share, shuffle_within_prompts
from selfreward.recipe import MetaRecipe
from selfreward.records import Judgment, MetaJudgment, Response


def response(name, prompt="p", text=None, sample=0, finish="stop"):
    text = name if text is None else text
    return Response(name, prompt, sample, "policy", text, "", (1, 2), finish, 0, "plain")


def judgment(name, score, of="r", text=None, sample=0, finish="stop"):
    unreadable = None if score is not None else "no verdict"
    text = name if text is None else text
    return Judgment(name, of, "p", sample, "policy", text, (3, 4), finish, 0, "sandbox", score, unreadable)


def meta(first, second, winner, of="r"):
    unreadable = "no verdict" if winner is None else None
    return MetaJudgment(
        f"{of}:{first}>{second}", "p", of, first, second, "policy", "", "stop", 0, "sandbox", winner, unreadable
    )


def test_unreadable_judgments_are_counted_and_never_become_a_number():
    rows = [judgment("a", 5.0), judgment("b", None), judgment("c", 2.0), judgment("d", None, of="silent")]
    scores = aggregate(rows, "mean")
    assert set(scores) == {"r"}
    assert (scores["r"].value, scores["r"].readable, scores["r"].unreadable) == (3.5, 2, 1)
    assert scores["r"].spread == pytest.approx(4.5)
    assert readable_share(rows) == 0.5
    assert readable_share([]) is None


def test_a_single_judgment_has_no_spread_and_the_median_ignores_an_outlier():
    assert aggregate([judgment("a", 3.0)], "mean")["r"].spread is None
    rows = [judgment(str(i), score) for i, score in enumerate([4.0, 5.0, 0.0])]
    assert aggregate(rows, "median")["r"].value == 4.0
    assert aggregate(rows, "mean")["r"].value == 3.0


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5, 3.0, 4.9, 5.0]), min_size=1, max_size=11), st.randoms())
def test_scores_do_not_depend_on_the_order_of_rows(values, rng):
    rows = [judgment(str(index), value) for index, value in enumerate(values)]
    mixed = rows.copy()
    rng.shuffle(mixed)
    assert aggregate(mixed, "mean") == aggregate(rows, "mean")


def test_equal_texts_of_one_prompt_are_one_answer_and_a_complete_one_stands_for_it():
    rows = [
        response("a", text="yes", sample=0, finish="length"),
        response("b", text="yes", sample=1),
        response("c", text="yes", sample=2),
        response("d", text="", sample=3),
        response("e", prompt="q", text="yes"),
    ]
    assert [row.id for row in distinct(rows)] == ["b", "d", "e"]
    assert {row.id for row in distinct(rows[::-1])} == {"b", "d", "e"}


def test_the_shuffled_control_keeps_each_prompts_multiset_and_breaks_the_link():
    rows = [response(f"{prompt}-{i}", prompt=f"prompt {prompt}", sample=i) for prompt in range(200) for i in range(6)]
    scores = aggregate([judgment(f"j{r.id}", float(r.sample), of=r.id) for r in rows if r.sample != 5], "mean")
    shuffled = shuffle_within_prompts(scores, rows, seed=1)
    assert shuffled.keys() == scores.keys()
    for prompt in range(200):
        ids = [f"{prompt}-{i}" for i in range(5)]
        assert sorted(shuffled[i].value for i in ids) == [0, 1, 2, 3, 4]
    truth, dealt = ([table[name].value for name in scores] for table in (scores, shuffled))
    assert abs(np.corrcoef(truth, dealt)[0, 1]) < 0.1
    assert shuffle_within_prompts(scores, rows[::-1], seed=1) == shuffled
    assert shuffle_within_prompts(scores, rows, seed=2) != shuffled


def test_a_win_from_the_second_slot_is_credited_to_the_one_shown_second():
    weights = (0.3, 0.7)
    from_first = battle_matrix("mn", {("m", "n"): 1}, weights)
    assert from_first.tolist() == [[0, 0.3], [0, 0]]
    from_second = battle_matrix("mn", {("n", "m"): -1}, weights)
    assert from_second.tolist() == [[0, 0.7], [0, 0]]
    lost = battle_matrix("mn", {("m", "n"): -1}, weights)
    assert lost.tolist() == [[0, 0], [0.7, 0]]
    assert battle_matrix("mn", {("m", "n"): 0, ("n", "m"): 0}, weights).sum() == 0


def tournament(true, bias, responses, seed, unread):
    """Meta-judgments of a judge that follows `true` strengths and leans to the first slot by `bias` (log-odds)."""
    rng = random.Random(seed)
    rows = []
    for number in range(responses):
        for one, other in combinations(true, 2):
            for first, second in ((one, other), (other, one)):
                chance = 1 / (1 + math.exp(-(true[first] - true[second] + bias)))
                winner = "first" if rng.random() < chance else "second"
                rows.append(meta(first, second, None if unread(first, second) else winner, of=f"r{number}"))
    return rows


def pooled(rows, names, weights):
    by_response = {}
    for row in rows:
        by_response.setdefault(row.response_id, []).append(row)
    total = sum(battle_matrix(names, read_verdicts(group), weights) for group in by_response.values())
    return strengths(total, 1e-6)


@pytest.mark.parametrize("bias", [2.0, -2.0])
def test_planted_strengths_are_found_under_slot_bias_with_position_weights_only(bias):
    # The best judgment is unread in one slot, as when its length cuts the reply short: it meets the second best only
    # from the slot that loses, so unweighted wins put the second best in front.
    true = {"best": 0.6, "second": 0.0, "third": -0.6}
    favoured = 0 if bias > 0 else 1
    rows = tournament(true, bias, 1500, seed=3, unread=lambda *slots: slots[favoured] == "best" and "second" in slots)
    weights = slot_weights(rows)
    assert weights[favoured] < 0.25
    assert sum(weights) == pytest.approx(1)
    names = list(true)
    weighted, unweighted = pooled(rows, names, weights), pooled(rows, names, (0.5, 0.5))
    assert [names[i] for i in np.argsort(-weighted)] == names
    assert names[int(np.argmax(unweighted))] == "second"


def test_without_slot_bias_the_weights_are_halves_and_the_ranking_is_the_unweighted_one():
    names = ["a", "b", "c", "d"]
    rows = [
        meta(first, second, "first" if first < second else "second")
        for one, other in combinations(names, 2)
        for first, second in ((one, other), (other, one))
    ]
    assert slot_weights(rows) == (0.5, 0.5)
    verdicts = read_verdicts(rows)
    weighted = strengths(battle_matrix(names, verdicts, slot_weights(rows)), 0.1)
    unweighted = strengths(battle_matrix(names, verdicts, (1.0, 1.0)), 0.1)
    assert np.argsort(-weighted).tolist() == np.argsort(-unweighted).tolist() == [0, 1, 2, 3]
    standings, summary = hold_battles(rows, MetaRecipe(battles="weighted"))
    assert standings[0].judgment_ids == ("a", "b", "c", "d")
    assert sorted(standings[0].strengths, reverse=True) == list(standings[0].strengths)
    assert (summary.battles, summary.agreed, summary.agreement) == (6, 6, 1.0)


@pytest.mark.parametrize("slot", ["first", "second"])
@pytest.mark.parametrize("mode", ["weighted", "agreed"])
def test_a_meta_judge_that_always_names_one_slot_says_nothing(slot, mode):
    rows = [meta(x, y, slot) for x in "abc" for y in "abc" if x != y]
    standings, summary = hold_battles(rows, MetaRecipe(battles=mode))
    assert standings[0].strengths == (0.0, 0.0, 0.0)
    assert (summary.battles, summary.agreed, summary.agreement) == (3, 0, 0.0)
    assert sorted(summary.weights) == [0.0, 1.0]


def test_only_battles_whose_two_orders_name_one_winner_are_agreed():
    rows = [
        meta("a", "b", "first"), meta("b", "a", "second"),  # a twice
        meta("a", "c", "first"), meta("c", "a", "first"),  # flips
        meta("b", "c", "tie"), meta("c", "b", "first"),  # tie
        meta("a", "d", "first"), meta("d", "a", None),  # unread
    ]  # fmt: skip
    verdicts = read_verdicts(rows)
    matrix = agreed_matrix("abcd", verdicts)
    assert matrix.sum() == matrix[0, 1] == 1
    _, summary = hold_battles(rows, MetaRecipe())
    assert (summary.battles, summary.agreed, summary.agreement) == (4, 1, 0.25)
    assert (summary.first_wins, summary.second_wins, summary.ties, summary.unreadable) == (5, 1, 1, 1)


@given(st.lists(st.sampled_from(["first", "second", "tie", None]), min_size=12, max_size=12))
def test_exchanging_the_slots_of_every_question_changes_no_standing(winners):
    orders = [(x, y) for x in "abcd" for y in "abcd" if x != y]
    rows = [meta(*order, winner) for order, winner in zip(orders, winners, strict=True)]
    other = {"first": "second", "second": "first"}
    mirrored = [meta(row.second_id, row.first_id, other.get(row.winner, row.winner)) for row in rows]
    for mode in ("weighted", "agreed"):
        (one,), before = hold_battles(rows, MetaRecipe(battles=mode))
        (two,), after = hold_battles(mirrored, MetaRecipe(battles=mode))
        assert one == two
        assert before.weights == after.weights[::-1]
        assert before.agreed == after.agreed


def test_no_win_at_all_gives_halves_and_one_order_answered_twice_is_an_error():
    assert slot_weights([]) == slot_weights([meta("a", "b", "tie")]) == (0.5, 0.5)
    assert hold_battles([], MetaRecipe())[1].agreement is None
    with pytest.raises(DataError, match="already answered"):
        hold_battles([meta("a", "b", "first"), meta("a", "b", "second")], MetaRecipe())


def judged(name, *values, finish="stop", texts=None):
    return [
        judgment(f"{name}{i}", value, of=name, sample=i, finish=finish, text=texts[i] if texts else f"{name} text {i}")
        for i, value in enumerate(values)
    ]


def test_battles_are_held_where_scores_disagree_in_both_orders():
    rows = [
        *judged("mild", 3.0, 4.0, 3.0),
        *judged("calm", 4.0, 4.0, 4.0),
        *judged("wild", 0.0, 5.0, None),
        *judged("cut", 0.0, 5.0, finish="length"),
        *judged("copies", 1.0, 1.0, 2.0, texts=["x", "x", "x"]),
    ]
    asked = which_battles(rows, MetaRecipe(), seed=0)
    assert asked == [
        ("mild0", "mild1"), ("mild1", "mild0"), ("mild1", "mild2"), ("mild2", "mild1"),
        ("wild0", "wild1"), ("wild1", "wild0"),
    ]  # fmt: skip
    assert which_battles(rows, MetaRecipe(max_responses=1), seed=0) == asked[-2:]
    rng = random.Random(0)
    rng.shuffle(rows)
    assert which_battles(rows, MetaRecipe(), seed=0) == asked


def test_the_cap_on_judgments_keeps_the_disagreement_and_ties_of_variance_go_by_seed():
    rows = judged("r", 5.0, 5.0, 5.0, 5.0, 1.0)
    asked = which_battles(rows, MetaRecipe(max_judgments=2), seed=0)
    assert asked == [("r0", "r4"), ("r4", "r0")]
    equal = [row for name in "abcdefgh" for row in judged(name, 1.0, 4.0)]
    chosen = {tuple(which_battles(equal, MetaRecipe(max_responses=3), seed=seed)) for seed in range(5)}
    assert len(chosen) > 1
    assert all(len(battles) == 6 for battles in chosen)


@pytest.mark.parametrize("seed", range(20))
def test_equal_records_tie_to_the_last_bit(seed):
    # A tournament that is its own mirror image: the solver alone leaves differences of 1e-16 between the twins.
    mirror = {"a": "d", "d": "a", "b": "c", "c": "b", "e": "e"}
    rng = random.Random(seed)
    rows = {}
    for first in mirror:
        for second in mirror:
            if first != second and (first, second) not in rows:
                winner = rng.choice(["first", "first", "second", "tie"])
                for order in ((first, second), (mirror[first], mirror[second])):
                    rows[order] = meta(*order, winner)
    (standing,), _ = hold_battles(list(rows.values()), MetaRecipe(battles="weighted"))
    strength = dict(zip(standing.judgment_ids, standing.strengths, strict=True))
    assert strength["a"] == strength["d"]
    assert strength["b"] == strength["c"]
