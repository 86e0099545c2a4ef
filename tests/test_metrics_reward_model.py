"""What a reward model learnt: planted shares, chances and lengths are found, a null is silent, drops are counted."""

import dataclasses
import math
import random
from collections.abc import Callable

import pytest
from evidence_factory import evidence, holds, measured, pair, prompts, rows

from selfreward.judging.scalar import as_score
from selfreward.measuring.evidence import Evidence
from selfreward.records import Judgment, Response

Reward = Callable[[Response, float], float | None]


def taught(
    reward: Reward, label: Callable[[float, float], float] | None = None, count: int = 100, levels=(5, 1)
) -> Evidence:
    """Held-out pairs of answers of these true qualities, in both places; without `label` the truth's."""
    own = rows(dict.fromkeys(prompts(count, "train"), levels))
    quality = {one.id: float(levels[place % len(levels)]) for place, one in enumerate(own.responses)}
    pairs = []
    for place in range(0, len(own.responses), len(levels)):
        first, second = own.responses[place], own.responses[place + 1]
        if (place // len(levels)) % 2:
            first, second = second, first
        told = label(quality[first.id], quality[second.id]) if label else float(quality[first.id] > quality[second.id])
        pairs.append(pair(first, second, told))
    scores = []
    for one in own.responses:
        value = reward(one, quality[one.id])
        score, why = (None, "question too long") if value is None else (as_score(value), None)
        scores.append(
            Judgment(one.id, one.id, one.prompt_id, 0, "rm", repr(value), (), "stop", 0, "scalar", score, why)
        )
    return dataclasses.replace(
        evidence(), reward_prompts=own.prompts, reward_responses=own.responses, reward_pairs=pairs, reward_scores=scores
    )


def test_a_model_that_is_right_is_right_and_a_turned_one_wrong():
    found = measured(taught(lambda _, quality: quality), "train")
    for name in ("reward_model_accuracy", "reward_model_truth"):
        assert found[name].value == 1 and found[name].high == 1 and found[name].low > 0.9 and found[name].n == 100
    assert found["reward_model_truth"].oracle and not found["reward_model_accuracy"].oracle
    assert measured(taught(lambda _, quality: -quality), "train")["reward_model_accuracy"].value == 0


def test_a_model_that_knows_nothing_is_right_half_the_time():
    source = random.Random(2)
    found = measured(taught(lambda *_: source.gauss(0, 1), count=400), "train")
    assert holds(found["reward_model_accuracy"], 0.5) and holds(found["reward_model_truth"], 0.5)
    constant = measured(taught(lambda *_: 0.0), "train")
    assert constant["reward_model_accuracy"].value == 0.5
    assert constant["reward_model_brier"].value == pytest.approx(0.25)


@pytest.mark.parametrize("share", [0.9, 0.65])
def test_the_planted_share_is_found(share):
    source = random.Random(5)
    given = taught(lambda _, quality: (quality - 3) * (1 if source.random() < share else -1), count=600, levels=(5, 3))
    found = measured(given, "train")["reward_model_accuracy"]
    assert holds(found, share) and found.high - found.low < 0.12


def test_labels_that_are_wrong_are_told_apart_from_the_truth():
    found = measured(taught(lambda _, quality: quality, label=lambda one, other: float(one < other)), "train")
    assert found["reward_model_accuracy"].value == 0 and found["reward_model_truth"].value == 1


def test_chances_that_are_meant_are_calibrated_and_bold_ones_are_not():
    """Labels are drawn with the chance that the rewards say; then with half the confidence they say."""
    source = random.Random(7)
    apart: list[float] = []

    def reward(one: Response, _: float) -> float:
        if one.id.endswith("/0"):
            apart.append(source.uniform(-3, 3))
            return apart[-1]
        return 0.0

    given = taught(reward, count=1200)
    for temper, calibrated in ((1.0, True), (0.3, False)):
        lot = random.Random(11)
        pairs = []
        for place, one in enumerate(given.reward_pairs):
            straight = one.chosen_id.endswith("/0")
            chance = 1 / (1 + math.exp(-temper * (apart[place] if straight else -apart[place])))
            pairs.append(dataclasses.replace(one, label=float(lot.random() < chance)))
        found = measured(dataclasses.replace(given, reward_pairs=pairs), "train")
        quiet = found["reward_model_ece"].value <= found["reward_model_ece_noise"].value
        assert quiet == calibrated


def test_what_length_earns_is_found_and_nothing_where_it_earns_nothing():
    loud = measured(taught(lambda one, _: float(len(one.text)), levels=(5, 1)), "train")
    assert loud["reward_model_length_spearman"].value == pytest.approx(1)
    source = random.Random(3)
    silent = measured(taught(lambda *_: source.gauss(0, 1), count=400), "train")["reward_model_length_spearman"]
    assert holds(silent, 0.0)


def test_what_fell_away_is_counted_and_no_reward_model_says_nothing():
    def reward(one: Response, quality: float) -> float | None:
        return None if one.prompt_id.endswith("a b c d") else quality

    half = {"count": 0}

    def label(one: float, other: float) -> float:
        half["count"] += 1
        return 0.5 if half["count"] == 5 else float(one > other)

    found = measured(taught(reward, label=label, count=20), "train")
    accuracy = found["reward_model_accuracy"]
    assert (accuracy.n, accuracy.excluded, accuracy.value) == (18, 2, 1.0)
    assert found["reward_model_brier"].excluded == 1 and found["reward_model_length_spearman"].excluded == 2
    assert not any(name.startswith("reward_model") for name in measured(evidence(), "train"))
