"""CREAM: consistency of two rankings by hand, joined by id, and what it does to the labels and to a whole run."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from small_keys import HARDLY_MEASURED

from selfreward.commands import preflight_models
from selfreward.commands.run import run
from selfreward.engines.tensors import weights_digest
from selfreward.judging.scoring.score import counted
from selfreward.pairing.consistency import WHOLE_SET, Consistency, compare_rankings, kendall, soften
from selfreward.pairing.implicit_reward import implicit_rewards
from selfreward.progress import Progress
from selfreward.recipe import ImplicitReward
from selfreward.recipe.read import load_recipe
from selfreward.records import Drop, Likelihood, Pair, Response
from selfreward.store.results import Store

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def response(name, prompt):
    return Response(name, prompt, 0, "m", name, "", (1,), "stop", 0, "plain")


def likelihood(name, *logprobs):
    return Likelihood(f"l-{name}", name, "m", logprobs)


def pair(prompt, label=1.0):
    return Pair(f"pair-{prompt}", "answer", prompt, "c", "r", (), (1,), (2,), 1.0, 0.0, "implicit", label=label)


def recipe(**keys):
    return ImplicitReward(**{"consistency": "set", **keys})


def rows_of(current, previous, **keys):
    """`current` and `previous`: prompt -> values; one response per value."""
    responses = [response(f"{prompt}/{i}", prompt) for prompt, values in current.items() for i in range(len(values))]
    scores = [
        {f"{prompt}/{i}": counted(value) for prompt, values in side.items() for i, value in enumerate(values)}
        for side in (current, previous)
    ]
    return {row.id: row for row in compare_rankings(responses, *scores, recipe(**keys))}


# --- the implicit reward ----------------------------------------------------------------------------------------------


def test_the_implicit_reward_is_a_difference_of_sums():
    policy = [likelihood("a", -1.0, -2.0), likelihood("b", -0.5)]
    reference = [likelihood("b", -2.5), likelihood("a", -1.5, -1.0)]
    rewards = implicit_rewards(policy, reference)
    assert {name: score.value for name, score in rewards.items()} == {"a": -0.5, "b": 2.0}


def test_where_the_policy_is_its_own_reference_the_mean_per_token_is_ranked():
    rewards = implicit_rewards([likelihood("a", -1.0, -3.0), likelihood("b", -2.5), likelihood("none")], None)
    assert {name: score.value for name, score in rewards.items()} == {"a": -2.0, "b": -2.5}


# --- consistency ------------------------------------------------------------------------------------------------------

rankings = st.lists(st.integers(-5, 5), min_size=2, max_size=6)


@given(rankings)
def test_equal_rankings_give_1_and_reversed_ones_0(values):
    rows = rows_of({"p": values}, {"p": values})
    if len(set(values)) < 2:
        assert rows["p"].consistency is None and rows[WHOLE_SET].consistency is None
        return
    assert rows["p"].consistency == pytest.approx(1) and rows[WHOLE_SET].consistency == pytest.approx(1)
    assert rows_of({"p": values}, {"p": [-value for value in values]})["p"].consistency == pytest.approx(0, abs=1e-12)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=7), st.floats(0.01, 50))
def test_a_monotone_map_of_the_rewards_changes_nothing(values, beta):
    one, other = [a for a, _ in values], [b for _, b in values]
    plain = rows_of({"p": one}, {"p": other})["p"]
    mapped = rows_of({"p": [beta * a + 3 for a in one]}, {"p": [math.exp(b) for b in other]})["p"]
    assert (plain.tau is None) == (mapped.tau is None)
    if plain.tau is not None:
        assert plain.tau == pytest.approx(mapped.tau)
        assert plain.tau == pytest.approx(tau_b(one, other)), "tau-b, counted pair by pair"


def tau_b(one, other):
    places = [(i, j) for i in range(len(one)) for j in range(i)]
    signs = [((one[i] > one[j]) - (one[i] < one[j]), (other[i] > other[j]) - (other[i] < other[j])) for i, j in places]
    return sum(a * b for a, b in signs) / math.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs))


def test_ties_are_not_hidden_by_ordinal_ranks():
    values = [1.0, 1.0, 2.0, 3.0]
    assert kendall(values, [1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.9129, abs=1e-4)
    assert kendall([1.0, 1.0], [1.0, 2.0]) is None and kendall([1.0], [1.0]) is None


def test_every_prompt_gets_its_own_consistency_although_some_have_none():
    """The published code zips values of the valid prompts with all prompts: one skipped shifts all that follow."""
    current = {"a": [3, 2, 1], "constant": [1, 1, 1], "b": [1, 2, 3], "single": [1], "c": [1, 3, 2]}
    previous = {"a": [3, 2, 1], "constant": [1, 2, 3], "b": [3, 2, 1], "single": [2], "c": [1, 2, 3]}
    rows = rows_of(current, previous, consistency="prompt")
    assert {name: row.consistency for name, row in rows.items()} == {
        "a": pytest.approx(1.0),
        "constant": None,
        "b": pytest.approx(0.0),
        "single": None,
        "c": pytest.approx((kendalltau([1, 3, 2], [1, 2, 3]).statistic + 1) / 2),
        WHOLE_SET: pytest.approx((1.0 + 0.0 + 2 / 3) / 3),
    }
    assert rows[WHOLE_SET].answers == 3, "prompts without a tau are left out of the mean"
    shuffled = list(current)
    random.Random(0).shuffle(shuffled)
    again = rows_of({name: current[name] for name in shuffled}, previous, consistency="prompt")
    assert again == rows


def test_pairs_are_softened_by_the_consistency_of_their_own_prompt():
    rows = rows_of({"a": [3, 2, 1], "c": [1, 3, 2]}, {"a": [3, 2, 1], "c": [1, 2, 3]}, consistency="prompt")
    kept, drops = soften(
        [pair("c"), pair("a"), pair("stranger")], list(rows.values()), recipe(consistency="prompt"), first=False
    )
    assert {one.prompt_id: one.label for one in kept} == {"a": pytest.approx(1.0), "c": pytest.approx(2 / 3)}
    assert [(drop.subject, drop.reason) for drop in drops] == [("stranger", "consistency undefined")]


@pytest.mark.parametrize(("inconsistent", "label"), [("clip", 0.5), ("literal", pytest.approx(1 / 6)), ("skip", None)])
def test_below_one_half_the_recipe_says_what_happens_and_it_is_noted(inconsistent, label):
    keys = {"consistency": "set", "inconsistent": inconsistent}
    rows = rows_of({"a": [1, 2, 3], "b": [1, 2, 3]}, {"a": [3, 2, 1], "b": [2, 3, 1]}, **keys)
    whole = rows[WHOLE_SET]
    assert whole.below_half and whole.consistency == pytest.approx(1 / 6) and whole.label == label
    kept, drops = soften([pair("a"), pair("b")], list(rows.values()), recipe(**keys), first=False)
    if label is None:
        assert not kept and {drop.reason for drop in drops} == {"consistency below 1/2"}
    else:
        assert [one.label for one in kept] == [label, label] and not drops


def test_a_set_without_any_tau_drops_every_pair():
    rows = rows_of({"a": [1, 1]}, {"a": [1, 2]})
    kept, drops = soften([pair("a")], list(rows.values()), recipe(), first=False)
    assert not kept and [drop.reason for drop in drops] == ["consistency undefined"]


def test_in_the_first_round_there_is_nothing_to_be_consistent_with():
    rows = compare_rankings(
        [response("a", "p"), response("b", "p")], {"a": counted(1), "b": counted(2)}, None, recipe()
    )
    assert [row.consistency for row in rows] == [None, None]
    kept, drops = soften([pair("p")], rows, recipe(), first=True)
    assert kept == [pair("p")] and not drops


@given(st.floats(0.5, 1), st.floats(0, 1))
def test_softening_and_swapping_commute(consistency, label):
    """CREAM(C) on a pair is CREAM(1 - C) on the swapped pair, whatever label the pair came with."""
    row = [Consistency(WHOLE_SET, 3, 2 * consistency - 1, consistency, consistency, False)]
    (softened,), _ = soften([pair("p", label)], row, recipe(), first=False)
    (swapped,), _ = soften([pair("p", label).swap()], row, recipe(), first=False)
    assert swapped.label == pytest.approx(softened.swap().label)
    assert softened.label == pytest.approx(consistency * label + (1 - consistency) * (1 - label))


# --- a whole run ------------------------------------------------------------------------------------------------------


def test_a_run_is_softened_from_its_second_round_on(tmp_path):
    keys = [
        "meta.enabled=false",
        "judge.source=none",
        "pairs.score=implicit_reward",
        "pairs.score.consistency=set",
        *HARDLY_MEASURED,
    ]
    store = Store(tmp_path)
    run(load_recipe(SMOKE, keys), store, "cream", Progress())
    view = store.existing("cream")
    first, second = (view.read(number, "pairs", Pair) for number in (1, 2))
    assert {one.label for one in first} == {1.0} and {one.source for one in first} == {"implicit"}
    (whole,) = [row for row in view.read(2, "consistency", Consistency) if row.id == WHOLE_SET]
    assert whole.consistency is not None and {one.label for one in second} == {max(0.5, whole.consistency)}
    assert {row.id for row in view.read(2, "consistency", Consistency)} >= {one.prompt_id for one in second}
    responses = {row.id: row for row in view.read(2, "responses", Response)}
    own = {row.response_id: row for row in view.read(2, "round_likelihoods_policy", Likelihood)}
    start = {row.response_id: row for row in view.read(2, "round_likelihoods_reference", Likelihood)}
    for one in second:
        rewards = {
            name: math.fsum(own[name].logprobs) - math.fsum(start[name].logprobs)
            for name in own
            if responses[name].prompt_id == one.prompt_id
        }
        assert rewards[one.chosen_id] == max(rewards.values()) == pytest.approx(one.chosen_score)
        assert rewards[one.rejected_id] == min(rewards.values()) == pytest.approx(one.rejected_score)
    assert not list((tmp_path / "cream" / "round-02").glob("judgments*")), "nobody judges the round's answers"


@pytest.mark.slow
def test_a_reference_from_before_the_start_gives_the_first_round_a_past(tmp_path):
    """CREAM's own setting: the model before its fine-tuning is reference and first predecessor in one."""
    other = preflight_models.model_directory("sandbox:seed-1")
    keys = [
        "meta.enabled=false",
        "judge.source=none",
        "pairs.score=implicit_reward",
        "pairs.score.consistency=prompt",
        "pairs.score.inconsistent=skip",
        f"pairs.score.reference={other}",
        "measure.frozen=0",
        "rounds=1",
    ]
    store = Store(tmp_path)
    run(load_recipe(SMOKE, keys), store, "cream", Progress())
    view = store.existing("cream")
    rows = {row.id: row for row in view.read(1, "consistency", Consistency)}
    pairs = {one.prompt_id: one for one in view.read(1, "pairs", Pair)}
    dropped = {drop.subject: drop.reason for drop in view.read(1, "dropped", Drop)}
    assert {row.policy for row in view.read(1, "round_likelihoods_reference", Likelihood)} == {weights_digest(other)}
    assert pairs and rows[WHOLE_SET].consistency is not None
    for name, row in rows.items():
        if name == WHOLE_SET:
            continue
        if row.consistency is not None and row.consistency >= 0.5:
            assert name in dropped or pairs[name].label == row.consistency
        else:
            assert name not in pairs and dropped[name]
    reasons = {dropped[name] for name, row in rows.items() if row.below_half and name != WHOLE_SET and name in dropped}
    assert reasons <= {"consistency below 1/2", "near tie", "tie", "identical text"}
    started = [event for event in view.events() if event["event"] == "chunk_started"]
    run(load_recipe(SMOKE, keys), store, "cream", Progress())
    assert [event for event in view.events() if event["event"] == "chunk_started"] == started, "nothing is done twice"
