"""What a policy gradient was taken at: planted shares are found, a null says nothing, exclusions are counted."""

import dataclasses
import random

import pytest
from evidence_factory import evidence, holds, measured, prompts, rows, truthful

from selfreward.measuring.metrics import measure_all
from selfreward.measuring.metrics.policy import policy_gradient
from selfreward.measuring.stats.clustered import t_quantile, wilson
from selfreward.records import Drop, Reward, Sample
from selfreward.training.weighing.advantages import group_centred


def weighed(worth, count=40, levels=(5, 4, 2, 0), drops=(), training=None):
    """Own rows of these true qualities; `worth(quality, place)` is the reward of each answer."""
    own = rows(dict.fromkeys(prompts(count, "train"), levels), truthful)
    made, samples = [], []
    for first in range(0, len(own.responses), len(levels)):
        group = own.responses[first : first + len(levels)]
        values = [worth(quality, first + place) for place, quality in enumerate(levels)]
        made += [Reward(one.id, one.prompt_id, one.id, value, "x") for one, value in zip(group, values, strict=True)]
        samples += [
            Sample(one.id, one.prompt_id, one.id, (1,), one.token_ids, "stop", value, advantage, "x", "policy", 1.0, ())
            for one, value, advantage in zip(group, values, group_centred(values), strict=True)
            if len(set(values)) > 1
        ]
    given = evidence(own=own, drops=drops, training=training)
    return dataclasses.replace(given, round_rewards=made, round_samples=samples)


def test_rewards_that_are_the_truth_point_the_right_way_and_turned_ones_the_wrong_way():
    right = measured(weighed(lambda quality, _: float(quality)), "train")["advantage_right"]
    assert right.value == 1 and right.high == 1 and right.low > 0.85 and right.n == 40 and right.oracle
    assert measured(weighed(lambda quality, _: -float(quality)), "train")["advantage_right"].value == 0


def test_rewards_by_lot_point_nowhere():
    source = random.Random(1)
    found = measured(weighed(lambda *_: source.choice((-1.0, 1.0)), count=200), "train")["advantage_right"]
    assert holds(found, 0.5) and found.high - found.low < 0.2


@pytest.mark.parametrize("share", [0.9, 0.7])
def test_the_share_of_flipped_rewards_is_found(share):
    """Two answers of which the better one is preferred with this probability: each prompt has the same weight."""
    source, kept = random.Random(3), {}

    def worth(quality, place):
        kept.setdefault(place // 2, 1.0 if source.random() < share else -1.0)
        return kept[place // 2] * (1.0 if quality == 5 else -1.0)

    found = measured(weighed(worth, count=400, levels=(5, 1)), "train")["advantage_right"]
    assert holds(found, share) and found.high - found.low < 0.12
    planted = sum(value == 1.0 for value in kept.values()) / len(kept)
    assert found.value == pytest.approx(planted)


def test_equal_truth_is_half_right():
    found = measured(weighed(lambda _, place: float(place % 2), levels=(5, 5)), "train")["advantage_right"]
    assert found.value == 0.5


def test_uniform_groups_mean_reward_and_what_fell_away():
    drops = [
        *(Drop(f"d{k}", "samples", "sample", f"r{k}", "truncated" if k else "unreadable") for k in range(3)),
        Drop("g", "samples", "group", "p", "uniform group"),
        Drop("w", "prompts", "prompt", "text", "too similar"),
    ]
    training = {"clip_fraction": 0.1, "ratio_max": 1.5, "effective_samples": 0.9, "better_logprob_shift": 1.0}
    given = weighed(lambda quality, place: float(quality) if place >= 40 else 1.0, drops=drops, training=training)
    found = measured(given, "train")
    assert found["uniform_groups"].value == pytest.approx(10 / 40)
    assert found["reward_mean"].value == pytest.approx((40 * 1.0 + 120 * 11 / 4) / 160)
    assert (found["samples_kept"].value, found["samples_kept"].excluded, found["samples_kept"].n) == (120, 3, 40)
    assert [found[name].value for name in training] == list(training.values())
    counted = {(one.metric, one.cohort): one.value for one in measure_all(given) if one.metric.endswith("_dropped")}
    assert counted == {
        ("samples_dropped", "truncated"): 2,
        ("samples_dropped", "unreadable"): 1,
        ("groups_dropped", "uniform group"): 1,
        ("prompts_dropped", "too similar"): 1,
    }
    assert not {"pairs_kept", "pair_correct", "worse_logprob_shift"} & set(found)


def test_a_round_of_pairs_has_none_of_this():
    own = rows(dict.fromkeys(prompts(4, "train"), (5, 1)), truthful)
    names = {one.metric for one in measure_all(evidence(own=own))}
    assert "pairs_kept" in names and not names & {"reward_mean", "uniform_groups", "samples_kept", "advantage_right"}


def test_a_share_that_every_prompt_agrees_on_is_wilsons_with_a_t_quantile():
    found = policy_gradient._share([2.0] * 12, [2.0] * 12)
    low, high = wilson(12, 12, t_quantile(0.975, 11))
    assert (found.value, found.n) == (1.0, 12) and (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
