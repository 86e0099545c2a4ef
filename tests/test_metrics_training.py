"""Pairs and drift: planted and found, null and silent, exclusions counted."""

import dataclasses
import math

import numpy as np
import pytest
from evidence_factory import (
    evidence,
    measured,
    pair,
    prompts,
    response,
    rows,
    truthful,
)
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics import measure_all
from selfreward.measuring.metrics.policy.drift import k3
from selfreward.records import Drop, Likelihood

# Pairs


def paired(chosen_better, count=40, label=1.0):
    """Own rows with one pair per prompt; the first `chosen_better` pairs have the better answer chosen."""
    own = rows(dict.fromkeys(prompts(count, "train"), (5, 2)), truthful)
    sides = [own.responses[2 * k : 2 * k + 2] for k in range(count)]
    made = [pair(*(side if k < chosen_better else side[::-1]), label) for k, side in enumerate(sides)]
    return own, made


@pytest.mark.parametrize("right", [40, 28, 20, 0])
def test_pair_correctness_is_the_planted_share_however_the_pair_is_told(right):
    own, made = paired(right)
    found = measured(evidence(own=own, pairs=made), "train")["pair_correct"]
    assert found.value == pytest.approx(right / 40) and found.oracle and found.n == 40
    swapped = measured(evidence(own=own, pairs=[one.swap() for one in made]), "train")["pair_correct"]
    assert swapped.value == pytest.approx(found.value)


def test_soft_labels_and_equal_sides():
    own, made = paired(40, label=0.8)
    assert measured(evidence(own=own, pairs=made), "train")["pair_correct"].value == pytest.approx(0.8)
    own = rows(dict.fromkeys(prompts(4, "train"), (5, 5)), truthful)
    made = [pair(*own.responses[2 * k : 2 * k + 2]) for k in range(4)]
    assert measured(evidence(own=own, pairs=made), "train")["pair_correct"].value == 0.5


def test_pairs_about_unknown_answers_are_excluded():
    own, made = paired(40)
    foreign = [dataclasses.replace(one, id=f"{one.id}*", chosen_id="elsewhere") for one in made[:7]]
    found = measured(evidence(own=own, pairs=[*made, *foreign]), "train")
    assert (found["pair_correct"].value, found["pair_correct"].excluded) == (1.0, 7)
    assert found["pairs_kept"].value == 47


def test_counts_reasons_and_shifts():
    own, made = paired(40)
    drops = [Drop(f"d{k}", "pairs", "answer", f"p{k}", "tie" if k < 3 else "truncated") for k in range(5)]
    drops += [Drop("j", "pairs", "judgment", "r", "tie"), Drop("w", "prompts", "prompt", "text", "too similar")]
    training = {"chosen_logprob_shift": 0.5, "rejected_logprob_shift": -2.0, "loss": 0.3}
    given = evidence(own=own, pairs=made, drops=drops, training=training)
    found = measured(given, "train")
    assert (found["pairs_kept"].value, found["pairs_kept"].n, found["pairs_kept"].excluded) == (40, 40, 5)
    assert (found["judgment_pairs_kept"].value, found["judgment_pairs_kept"].excluded) == (0, 1)
    assert found["chosen_logprob_shift"].value == 0.5 and found["rejected_logprob_shift"].value == -2.0
    assert found["chosen_minus_rejected_tokens"].value == 3.0
    reasons = {(row.metric, row.cohort): row.value for row in measure_all(given) if row.metric.endswith("_dropped")}
    assert reasons == {
        ("pairs_dropped", "tie"): 3,
        ("pairs_dropped", "truncated"): 2,
        ("judgment_pairs_dropped", "tie"): 1,
        ("prompts_dropped", "too similar"): 1,
    }


# Drift


def drifted(policy, reference, copies=1, name="previous"):
    """One-token answers whose frequencies are exactly `policy`; log-probabilities of both distributions."""
    counts = [round(share * 8) for share in policy]
    tokens = [token for token, count in enumerate(counts) for _ in range(count)]
    answers = [response(prompt, k, str(token)) for prompt in prompts(copies) for k, token in enumerate(tokens)]
    seen = {
        role: [Likelihood(f"{role}{a.id}", a.id, role, (math.log(q[int(a.text)]),)) for a in answers]
        for role, q in (("policy", policy), (name, reference))
    }
    return evidence(PoolRows(prompts(copies), answers, []), likelihoods=seen)


@pytest.mark.parametrize("reference", [(0.25, 0.25, 0.5), (0.1, 0.2, 0.7), (0.9, 0.05, 0.05)])
def test_both_estimators_are_the_kl_exactly_on_a_finite_support(reference):
    policy = (0.5, 0.375, 0.125)
    kl = sum(p * math.log(p / q) for p, q in zip(policy, reference, strict=True))
    found = measured(drifted(policy, reference, copies=3))
    for estimator in ("k1", "k3"):
        for unit in ("token", "sequence"):
            assert found[f"kl_previous_{estimator}_{unit}"].value == pytest.approx(kl)


def test_the_same_policy_has_not_moved():
    for row in measured(drifted((0.5, 0.25, 0.25), (0.5, 0.25, 0.25), copies=4, name="initial")).values():
        if row.metric.startswith("kl_"):
            assert (row.value, row.low, row.high) == (0.0, 0.0, 0.0)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20))
def test_k3_is_never_negative_and_zero_only_without_difference(ratios):
    values = k3(np.asarray(ratios))
    assert (values >= 0).all()
    assert all(value > 0 for value, ratio in zip(values, ratios, strict=True) if abs(ratio) > 1e-6)


def test_sums_per_sequence_means_per_token_and_what_is_left_out():
    prompt, other = prompts(2)
    answers = [response(prompt, k, "x") for k in range(4)] + [response(other, 0, "x")]
    ratios = {0: (1.0,), 1: (1.0, 2.0, 3.0), 2: (-math.inf,)}
    seen = {
        "policy": [Likelihood(f"p{a.id}", a.id, "p", tuple(0.0 for _ in ratios.get(a.sample, (1,)))) for a in answers],
        "initial": [
            Likelihood(f"i{a.id}", a.id, "i", tuple(-ratio for ratio in ratios[a.sample]))
            for a in answers
            if a.sample in ratios
        ],
    }
    found = measured(evidence(PoolRows([prompt, other], answers, []), likelihoods=seen))
    assert found["kl_initial_k1_token"].value == pytest.approx((1 + 6 + 1) / 5)
    assert found["kl_initial_k1_sequence"].value == pytest.approx((1 + 6 + 1) / 3)
    assert (found["kl_initial_k1_token"].n, found["kl_initial_k1_token"].excluded) == (2, 2)
    assert not any(name.startswith("kl_previous") for name in found)


def test_likelihoods_of_other_tokens_are_refused():
    given = drifted((0.5, 0.25, 0.25), (0.25, 0.25, 0.5))
    longer = [dataclasses.replace(row, logprobs=(*row.logprobs, 0.0)) for row in given.likelihoods["previous"]]
    with pytest.raises(DataError, match="2 tokens, expected 1"):
        measure_all(dataclasses.replace(given, likelihoods={**given.likelihoods, "previous": longer}))
