"""Pair rules: the papers' formulas on small tables, and what must hold for every set of candidates."""

import dataclasses
import math
import random
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sections import pairs_of

from selfreward.errors import RecipeError
from selfreward.judging.revising.rows import Revised
from selfreward.judging.scoring.score import Score, counted
from selfreward.pairing import PAIR_RULES
from selfreward.pairing.answers import Known, answer_pairs, load_rule
from selfreward.pairing.candidates import Candidate, Refusal, Situation
from selfreward.pairing.rules.sppo import win_rate
from selfreward.pairing.rules.z_length import standardised
from selfreward.recipe.read import build_recipe
from selfreward.records import Message, Pair, Prompt, Response, from_line, to_line
from selfreward.tasks.verifiers.protocol import Grade


def response(name, text, finish="stop", tokens=3):
    return Response(name, "p", 0, "policy", text, "", (1,) * tokens, finish, 0, "plain")


def candidate(name, score, text=None, tokens=3, copies=1.0, grade=None):
    return Candidate(response(name, name if text is None else text, tokens=tokens), counted(score), copies, grade)


def situation(gold=None, samples=4, round=1, **recipe):
    return Situation(pairs_of(**recipe), round, 7, samples, gold)


def choose(rule, candidates, **recipe):
    return load_rule(rule).choose(candidates, situation(rule=rule, **recipe))


def names(picks):
    assert not isinstance(picks, Refusal), picks
    return [(pick.chosen.response.id, pick.rejected.response.id) for pick in picks]


tables = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.5, 4.0, 5.0]), st.integers(0, 12)), min_size=2, max_size=7
).map(lambda rows: [candidate(f"c{i}", score, "x" * length) for i, (score, length) in enumerate(rows)])


def scores(candidates):
    return [one.score.value for one in candidates]


# --- length tiers ---------------------------------------------------------------------------------------------------

TIERS = [
    candidate("best and long", 5.0, "x" * 90),
    candidate("good and short", 4.0, "x" * 20),
    candidate("middling", 2.5, "x" * 5),
    candidate("bad and long", 1.0, "x" * 80),
    candidate("worst and short", 0.0, "x" * 10),
]


@pytest.mark.parametrize(
    ("rho", "pair"),
    [
        (0.0, ("best and long", "worst and short")),
        (0.19, ("best and long", "worst and short")),
        (0.2, ("good and short", "bad and long")),
        (0.4, ("good and short", "bad and long")),
        (0.5, ("middling", "bad and long")),
    ],
)
def test_tiers_take_the_shortest_of_the_best_and_the_longest_of_the_worst(rho, pair):
    assert names(choose("length_tiers", TIERS, rho=(rho,))) == [pair]


def test_overlapping_tiers_never_choose_what_does_not_score_above_the_rejected_one():
    refused = choose("length_tiers", TIERS, rho=(1.0,))
    assert isinstance(refused, Refusal) and refused.reason == "tiers overlap"


@given(tables, st.floats(0, 1), st.sampled_from(["characters", "tokens"]))
def test_tiers_by_their_definition(candidates, rho, unit):
    picks = choose("length_tiers", candidates, rho=(rho,), length=unit)
    best, worst = max(scores(candidates)), min(scores(candidates))
    if best == worst:
        assert picks.reason == "tie"
        return
    high, low = (1 - rho) * best + rho * worst, (1 - rho) * worst + rho * best

    def length(one):
        return len(one.response.text) if unit == "characters" else len(one.response.token_ids)

    shortest = min(length(one) for one in candidates if one.score.value >= high - 1e-7)
    longest = max(length(one) for one in candidates if one.score.value <= low + 1e-7)
    if isinstance(picks, Refusal):
        assert picks.reason == "tiers overlap" and rho >= 0.5 - 1e-6
        return
    (pick,) = picks
    assert pick.chosen.score.value > pick.rejected.score.value
    assert length(pick.chosen) == shortest and length(pick.rejected) == longest


@given(tables, st.sampled_from([0.0, 0.32, 0.4]), st.floats(0.1, 9), st.floats(-5, 5))
def test_an_affine_map_of_the_scores_leaves_the_tiers_alone(candidates, rho, factor, shift):
    moved = [dataclasses.replace(one, score=counted(factor * one.score.value + shift)) for one in candidates]
    before, after = choose("length_tiers", candidates, rho=(rho,)), choose("length_tiers", moved, rho=(rho,))
    if isinstance(before, Refusal):
        assert isinstance(after, Refusal)
    else:
        assert names(before) == names(after)


@given(tables)
def test_rho_0_is_best_against_worst_up_to_length(candidates):
    tiers, plain = choose("length_tiers", candidates), choose("best_vs_worst", candidates)
    if isinstance(plain, Refusal):
        assert isinstance(tiers, Refusal)
        return
    assert tiers[0].chosen.score.value == plain[0].chosen.score.value == max(scores(candidates))
    assert tiers[0].rejected.score.value == plain[0].rejected.score.value == min(scores(candidates))


def test_the_tier_width_follows_the_rounds_schedule():
    schedule = (0.0, 0.32, 0.32, 0.4)
    tiers = [situation(round=number, rule="length_tiers", rho=schedule) for number in range(1, 7)]
    assert [one.rho for one in tiers] == [
        0.0,
        0.32,
        0.32,
        0.4,
        0.4,
        0.4,
    ]


def test_characters_and_tokens_are_different_lengths():
    rows = [candidate("a", 5.0, "xx", tokens=9), candidate("b", 5.0, "xxxx", tokens=2), candidate("c", 0.0, "x")]
    assert names(choose("length_tiers", rows, length="characters")) == [("a", "c")]
    assert names(choose("length_tiers", rows, length="tokens")) == [("b", "c")]


# --- z-length ---------------------------------------------------------------------------------------------------------


@given(tables, st.sampled_from([0.0, 0.1, 0.5, 2.0]))
def test_adjusted_scores_by_numpy(candidates, rho):
    import numpy as np

    picks = choose("z_length", candidates, rho=(rho,))
    values = np.array(scores(candidates))
    lengths = np.array([float(len(one.response.text)) for one in candidates])
    if np.ptp(values) == 0:
        assert picks.reason == "tie"
        return
    z_lengths = (lengths - lengths.mean()) / lengths.std() if np.ptp(lengths) else np.zeros(len(lengths))
    adjusted = (values - values.mean()) / values.std() - rho * z_lengths
    if np.ptp(adjusted) < 1e-6:
        return
    (pick,) = picks
    assert pick.chosen.score.value == pytest.approx(adjusted.max(), abs=1e-6)
    assert pick.rejected.score.value == pytest.approx(adjusted.min(), abs=1e-6)


def test_length_alone_makes_no_preference_and_enough_of_it_overturns_a_score():
    alike = [candidate("a", 3.0, "x"), candidate("b", 3.0, "x" * 50)]
    assert choose("z_length", alike, rho=(1.0,)).reason == "tie"
    rows = [candidate("long", 5.0, "x" * 99), candidate("short", 4.0, "x"), candidate("bad", 0.0, "x" * 50)]
    assert names(choose("z_length", rows, rho=(0.0,)))[0][0] == "long"
    assert names(choose("z_length", rows, rho=(0.5,)))[0][0] == "short"


def test_standardised_values_have_mean_0_and_deviation_1():
    values = standardised([1.0, 2.0, 6.0])
    assert statistics.fmean(values) == pytest.approx(0) and statistics.pstdev(values) == pytest.approx(1)
    assert standardised([4.0, 4.0]) == [0.0, 0.0]


# --- best against random ----------------------------------------------------------------------------------------------


@given(tables)
def test_a_random_loser_scores_below_the_best(candidates):
    picks = choose("best_vs_random", candidates)
    if isinstance(picks, Refusal):
        assert len(set(scores(candidates))) == 1
        return
    assert picks[0].chosen.score.value == max(scores(candidates)) > picks[0].rejected.score.value


def test_every_loser_has_its_turn():
    rows = [candidate("best", 5.0), *(candidate(f"loser {i}", float(i)) for i in range(4))]
    drawn = {
        load_rule("best_vs_random").choose(rows, Situation(pairs_of(), 1, seed, 5))[0].rejected.response.id
        for seed in range(60)
    }
    assert drawn == {f"loser {i}" for i in range(4)}


# --- best against the sweet spot --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "rejected"),
    [
        ([5.0, *[4.0] * 14, 3.0, 0.0], 3.0),  # mu 3.76, sigma 1.00: mu - 2 sigma = 1.76
        ([5.0, *[4.0] * 14, 0.0, 0.0], 0.0),  # mu 3.59, sigma 1.33: .92
        ([5.0, *[4.0] * 14, 2.0, 0.0], 2.0),  # mu 3.71, sigma 1.07: 1.57
        ([3.0, 2.0, 1.0, 0.0], 0.0),  # no score of so few lies two deviations below
        ([5.0, 4.0], 4.0),
    ],
)
def test_the_rejected_score_is_the_one_nearest_to_two_deviations_below_the_mean(table, rejected):
    (pick,) = choose("sweet_spot", [candidate(f"c{i}", score) for i, score in enumerate(table)])
    assert (pick.chosen.score.value, pick.rejected.score.value) == (max(table), rejected)


@given(
    st.lists(st.integers(0, 10).map(lambda half: half / 2), min_size=2, max_size=24),
    st.floats(0.1, 9),
    st.floats(-5, 5),
)
def test_the_sweet_spot_by_statistics_and_under_affine_maps(values, factor, shift):
    rows = [candidate(f"c{i}", value) for i, value in enumerate(values)]
    merged = [candidate(f"m{value}", value, copies=float(n)) for value, n in Counter(values).items()]
    moved = [dataclasses.replace(one, score=counted(factor * one.score.value + shift)) for one in rows]
    picks = choose("sweet_spot", rows)
    if len(set(values)) == 1:
        assert picks.reason == choose("sweet_spot", merged).reason == "tie"
        return
    (pick,) = picks
    mean, deviation = statistics.fmean(values), statistics.pstdev(values)
    distances = {value: abs(value - (mean - 2 * deviation)) for value in set(values) - {max(values)}}
    assert pick.chosen.score.value == max(values)
    assert distances[pick.rejected.score.value] == pytest.approx(min(distances.values()), abs=1e-7)
    assert choose("sweet_spot", merged)[0].rejected.score == pick.rejected.score, "copies count as samples do"
    assert names(choose("sweet_spot", moved)) == names(picks)
    if len(values) <= 5:
        assert pick.rejected.score.value == min(values), "of so few, best against worst"


# --- self-consistency -------------------------------------------------------------------------------------------------


def voted(*answers):
    return [candidate(f"c{i}", 0.0, f"text {i}", grade=Grade(answer, None, 0.0)) for i, answer in enumerate(answers)]


def test_the_most_voted_answer_meets_the_least_voted_one_with_their_difference_as_weight():
    (pick,) = choose("self_consistency", voted("7", "7", "7", "8", "8", "9"), samples=6)
    assert (pick.chosen.grade.answer, pick.rejected.grade.answer) == ("7", "9")
    assert (pick.chosen.score.value, pick.rejected.score.value) == (3, 1)
    assert pick.weight == pytest.approx((3 - 1) / 6) and pick.source == "votes"


@pytest.mark.parametrize(
    ("answers", "samples", "reason"),
    [
        (("7", "7", "8", "8"), 4, "tie"),
        (("7", "7", "7"), 3, "one final answer"),
        (("7", "", ""), 3, "one final answer"),
        (("7", "7", "8"), 6, "too few votes"),
    ],
)
def test_votes_that_make_no_pair(answers, samples, reason):
    assert choose("self_consistency", voted(*answers), samples=samples).reason == reason


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=9), st.randoms())
def test_a_text_sampled_twice_has_two_votes(answers, order):
    """The same samples as separate rows and as one row with copies give one preference and one weight."""
    counts = Counter(answers)
    rows = [candidate(f"c{i}", 0.0, answer, grade=Grade(answer, None, 0.0)) for i, answer in enumerate(answers)]
    merged = [
        candidate(answer, 0.0, answer, copies=float(n), grade=Grade(answer, None, 0.0)) for answer, n in counts.items()
    ]
    order.shuffle(merged)
    apart = choose("self_consistency", rows, samples=len(rows), min_vote_share=0.0)
    together = choose("self_consistency", merged, samples=len(rows), min_vote_share=0.0)
    if isinstance(apart, Refusal):
        assert isinstance(together, Refusal) and apart.reason == together.reason
        return
    assert apart[0].weight == together[0].weight == (max(counts.values()) - min(counts.values())) / len(answers)
    for picks in (apart, together):
        assert counts[picks[0].chosen.grade.answer] == max(counts.values())
        assert counts[picks[0].rejected.grade.answer] == min(counts.values())


# --- verified ---------------------------------------------------------------------------------------------------------


def graded(correct, wrong, left_open=0):
    kinds = [True] * correct + [False] * wrong + [None] * left_open
    return [
        candidate(f"c{i}", 0.0, f"t{i}", grade=Grade(f"t{i}", kind, 5.0 * bool(kind))) for i, kind in enumerate(kinds)
    ]


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2), st.integers(1, 12))
def test_pairs_cycle_through_both_lists(correct, wrong, left_open, wanted):
    picks = choose("verified", graded(correct, wrong, left_open), per_prompt=wanted)
    if not correct or not wrong:
        expected = "all correct" if correct else "all wrong" if wrong else "verifier undecided"
        assert picks.reason == expected
        return
    assert all(pick.chosen.grade.correct is True and pick.rejected.grade.correct is False for pick in picks)
    assert len(set(names(picks))) == len(picks) == min(wanted, math.lcm(correct, wrong))
    for side, size in (("chosen", correct), ("rejected", wrong)):
        used = Counter(getattr(pick, side).response.id for pick in picks)
        assert max(used.values()) - (min(used.values()) if len(used) == size else 0) <= 1


def test_only_the_verifiers_word_counts():
    rows = [dataclasses.replace(one, score=counted(5.0 - 5.0 * bool(one.grade.correct))) for one in graded(1, 1)]
    (pick,) = choose("verified", rows)
    assert pick.chosen.grade.correct and pick.chosen.score.value > pick.rejected.score.value


# --- gold against generated -------------------------------------------------------------------------------------------


def test_the_gold_answer_is_chosen_and_one_that_equals_it_is_no_rejected_one():
    rows = [candidate("same", 0.0, "gold text"), candidate("other", 0.0, "mine"), candidate("third", 0.0, "yours")]
    gold = response("gold", "gold text")
    picks = load_rule("spin").choose(rows, situation(rule="spin", gold=gold, per_prompt=5))
    assert {pick.rejected.response.id for pick in picks} == {"other", "third"}
    assert all(pick.chosen.response is gold and pick.source == "gold" for pick in picks)
    assert len(load_rule("spin").choose(rows, situation(rule="spin", gold=gold))) == 1
    assert load_rule("spin").choose(rows[:1], situation(rule="spin", gold=gold)).reason == "identical text"
    assert load_rule("spin").choose(rows, situation(rule="spin")).reason == "no gold answer"


# --- win rates --------------------------------------------------------------------------------------------------------


@given(tables, st.floats(-9, 9))
def test_win_rates_by_hand(candidates, shift):
    def sigma(x):
        return 1 / (1 + math.exp(-x))

    values = scores(candidates)
    rates = [win_rate(one, candidates) for one in candidates]
    by_hand = [sum(sigma(mine - other) for other in values) / len(values) for mine in values]
    assert rates == pytest.approx(by_hand)
    assert statistics.fmean(rates) == pytest.approx(0.5), "every battle has one winner"
    moved = [dataclasses.replace(one, score=counted(one.score.value + shift)) for one in candidates]
    assert [win_rate(one, moved) for one in moved] == pytest.approx(rates)
    picks = choose("sppo", candidates)
    if not isinstance(picks, Refusal):
        assert picks[0].win_rates == (max(rates), min(rates))


@given(tables, st.lists(st.integers(1, 3), min_size=7, max_size=7))
def test_win_rates_count_every_sample(candidates, copies):
    weighted = [dataclasses.replace(one, copies=float(n)) for one, n in zip(candidates, copies, strict=False)]
    spread = [one for one in weighted for _ in range(int(one.copies))]
    apart = [dataclasses.replace(one, copies=1.0) for one in spread]
    assert win_rate(weighted[0], weighted) == pytest.approx(win_rate(apart[0], apart))


def test_win_rates_are_kept_on_the_pair_and_change_sides_with_it():
    rows = [response("a", "x"), response("b", "y")]
    prompt = Prompt("p", (Message("user", "q"),), "train", "file")
    recipe = pairs_of(rule="sppo")
    (pair,), _ = answer_pairs([prompt], rows, {"a": counted(4.0), "b": counted(2.0)}, recipe, seed=0, source="self")
    win = 0.5 * (0.5 + 1 / (1 + math.exp(-2)))
    assert (pair.chosen_win_rate, pair.rejected_win_rate) == (pytest.approx(win), pytest.approx(1 - win))
    assert (pair.swap().chosen_win_rate, pair.swap().rejected_win_rate) == (pytest.approx(1 - win), pytest.approx(win))
    assert from_line(Pair, to_line(pair), "here") == pair
    plain, _ = answer_pairs([prompt], rows, {"a": counted(4.0), "b": counted(2.0)}, pairs_of(), seed=0, source="self")
    assert "win_rate" not in to_line(plain[0]), "a pair without win rates keeps the bytes that it had"
    assert '"answer"' not in to_line(prompt) and '"meta"' not in to_line(prompt)


# --- every rule -------------------------------------------------------------------------------------------------------

answers = st.lists(
    st.tuples(
        st.sampled_from(["a", "b b", "c c c", ""]),
        st.sampled_from(["stop", "stop", "stop", "length"]),
        st.sampled_from([None, 0.0, 2.0, 5.0]),
        st.sampled_from([True, False, None]),
    ),
    max_size=6,
)


def pair_up(rule, sets, order=None, **recipe):
    prompts = [Prompt(f"p{i}", (Message("user", f"q{i}"),), "train", "file") for i in range(len(sets))]
    responses, values, grades = [], {}, {}
    for prompt, rows in zip(prompts, sets, strict=True):
        for sample, (text, finish, value, correct) in enumerate(rows):
            one = Response(f"{prompt.id}/{sample}", prompt.id, sample, "m", text, "", (1, 2), finish, 0, "plain")
            responses.append(one)
            # Grades and scores belong to texts: equal texts are one answer.
            grades.setdefault((prompt.id, text), Grade(text, correct, 5.0 * bool(correct)))
            if value is not None:
                values[one.id] = Score(value, 1, 0, None)
    known = Known(
        grades={one.id: grades[one.prompt_id, one.text] for one in responses},
        gold={prompt.id: response(f"{prompt.id}/gold", "the gold one") for prompt in prompts[::2]},
        revised=Revised(
            {one.id: response(f"{one.id}/revised", f"better {one.text}") for one in responses if one.sample % 2},
            {one.id: "refusal" for one in responses if one.sample % 2 == 0},
        ),
    )
    if order is not None:
        order.shuffle(responses)
    return (
        prompts,
        {one.id: one for one in responses},
        answer_pairs(prompts, responses, values, pairs_of(rule=rule, **recipe), seed=3, source="self", known=known),
    )


@pytest.mark.parametrize("rule", sorted(PAIR_RULES))
@given(st.lists(answers, max_size=4), st.randoms())
def test_every_prompt_ends_as_pairs_or_one_drop_whatever_the_order_of_rows(rule, sets, order):
    prompts, responses, (pairs, drops) = pair_up(rule, sets)
    _, _, (again, drops_again) = pair_up(rule, sets, order)
    assert [to_line(pair) for pair in pairs] == [to_line(pair) for pair in again]
    assert [to_line(drop) for drop in drops] == [to_line(drop) for drop in drops_again]
    paired, dropped = {pair.prompt_id for pair in pairs}, [drop.subject for drop in drops]
    assert paired.isdisjoint(dropped) and paired | set(dropped) == {prompt.id for prompt in prompts}
    assert len(dropped) == len(set(dropped))
    for pair in pairs:
        assert pair.chosen_score > pair.rejected_score and pair.chosen_id != pair.rejected_id
        sides = [responses[side] for side in (pair.chosen_id, pair.rejected_id) if side in responses]
        assert all(side.finish_reason == "stop" and side.prompt_id == pair.prompt_id for side in sides)
        assert len(sides) == 2 or rule in ("spin", "revision", "daif")
        assert len({side.text for side in sides}) == len(sides)


def test_an_unknown_rule_is_refused_with_the_nearest_known_one():
    with pytest.raises(RecipeError, match=r"'length_tier'.*nearest: 'length_tiers'"):
        load_rule("length_tier")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["pairs.rho=[0.3]"], "pairs.rho.*length_tiers or z_length"),
        (["pairs.rule=length_tiers", "pairs.rho=[]"], "one number per round"),
        (["pairs.rule=length_tiers", "pairs.rho=[0.1,-0.2]"], "at least 0"),
        (["pairs.rule=length_tiers", "pairs.rho=[1.5]"], "at most 1"),
        (["pairs.per_prompt=3"], "pairs.per_prompt.*verified, spin, revision, daif, steps"),
        (["pairs.min_vote_share=0.2"], "set pairs.rule=self_consistency"),
        (["pairs.rule=verified", "measure.verifier=none"], "needs a verifier"),
        (["pairs.filters.verifier_conflict=true", "measure.verifier=none"], "needs a verifier"),
        (["pairs.filters.max_spread=1", "pairs.rule=verified"], "no judge scores them"),
        (["pairs.filters.class_of=answer"], "max_class_share"),
        (["pairs.score=implicit_reward", "pairs.rule=spin"], "pairs.rule=spin does not read it"),
        (["pairs.score=implicit_reward", "judge.control=shuffled"], "shuffles"),
        (["pairs.score=implicit_reward", "pairs.score.min_judgments=2"], "does not read it"),
        (["pairs.score.consistency=set"], "set pairs.score.kind=implicit_reward"),
        (["pairs.score=implicit_reward", "pairs.score.inconsistent=skip"], "pairs.score.consistency"),
        (
            ["pairs.score=implicit_reward", "pairs.score.consistency=set", "pairs.rule=sppo", "train.loss=sppo"],
            "labels",
        ),
        (
            ["pairs.rule=sppo", "train.loss=sppo", "pairs.mix.external=x", "pairs.mix.external_share=0.2"],
            "reads win rates",
        ),
        (["pairs.score.reference=round:0"], "pairs.score.kind=implicit_reward"),
        (["judge.source=none"], "without scores"),
        (["pairs.mix.earlier_share=0.6", "pairs.mix.external=x", "pairs.mix.external_share=0.5"], "less than 1"),
        (["pairs.mix.external=x"], "set both or none"),
        (["pairs.mix.external_share=0.2"], "set both or none"),
        (["pairs.mix.earlier=all"], "earlier_share"),
        (["pairs.length=tokens"], "pairs.length.*length_tiers and z_length"),
        (["judge.source=none", "judge.control=shuffled", "pairs.rule=spin"], "shuffles"),
    ],
)
def test_a_key_that_cannot_work_or_that_nobody_reads_is_refused(keys, message):
    with pytest.raises(RecipeError, match=message):
        build_recipe([], keys)


@pytest.mark.parametrize(
    "reader", ["pairs.rule=length_tiers", "pairs.rule=z_length", "pairs.filters.max_length_ratio=2"]
)
def test_the_unit_of_length_is_accepted_where_it_is_read(reader):
    build_recipe([], [reader, "pairs.length=tokens"])


@pytest.mark.parametrize("rule", sorted(PAIR_RULES))
def test_every_rule_is_a_recipe_value_with_the_defaults(rule):
    needed = {"anchored": ["generate.mix=[{model: initial, samples: 2}]"], "steps": ["judge.question=steps"]}
    build_recipe([], [f"pairs.rule={rule}", *needed.get(rule, [])])


def test_a_lot_decides_between_equals_and_it_is_the_seeds():
    rows = [candidate(f"c{i}", 5.0 * (i % 2), "x" * 3) for i in range(8)]
    found = {
        name
        for rule in ("best_vs_worst", "length_tiers", "sppo")
        for seed in random.Random(1).sample(range(1000), 40)
        for name in names(load_rule(rule).choose(rows, Situation(pairs_of(rule=rule), 1, seed, 8)))
    }
    assert {chosen for chosen, _ in found} == {"c1", "c3", "c5", "c7"}
    assert {rejected for _, rejected in found} == {"c0", "c2", "c4", "c6"}
