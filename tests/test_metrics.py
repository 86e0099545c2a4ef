"""Each metric finds a planted truth, stays silent on a null, and counts what it left out."""

import dataclasses
import json
import math
import random
import time
import warnings
from itertools import combinations

import numpy as np
import pytest
from evidence_factory import (
    NO_ROWS,
    blind,
    evidence,
    judgment_pair,
    judgments,
    measured,
    meta_judgment,
    pair,
    prompts,
    reply,
    response,
    rows,
    truthful,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.metrics import METRICS, measure_all
from selfreward.metrics.drift import k3
from selfreward.metrics.evidence import PoolRows
from selfreward.records import Drop, Labelled, Likelihood, to_line

LEVELS = (5, 4, 3, 3, 2, 0)


def varied(count, seed=0, pool="report"):
    """Prompts with six answers of random quality each."""
    rng = random.Random(seed)
    return {prompt: [rng.randrange(6) for _ in range(6)] for prompt in prompts(count, pool)}


def noisy(seed, spread=1):
    """A judge that errs by up to `spread` points, either way."""
    rng = random.Random(seed)
    return lambda _, quality: [min(5.0, max(0.0, quality + rng.randint(-spread, spread))) for _ in range(3)]


def guessing(seed):
    """A judge without any information."""
    rng = random.Random(seed)
    return lambda *_: [float(rng.randrange(6)) for _ in range(3)]


def holds(row, value):
    return row.low <= value <= row.high


# Truth


def test_truth_is_counted_per_answer_and_per_prompt():
    first, second = prompts(2)
    found = measured(evidence(rows({first: (5, 5, 0, 3), second: (4, 4, 4, 4)})))
    assert found["true_accuracy"].value == 2 / 8
    assert found["true_quality"].value == (13 + 16) / 8
    assert found["best_of_k_accuracy"].value == 1 / 2
    assert {found[name].n for name in ("true_accuracy", "true_quality", "best_of_k_accuracy")} == {2}
    assert "claim_echo" not in found


def test_truth_is_blind_to_filler():
    plain, dressed = (measured(evidence(rows(varied(20), filler=filler))) for filler in (0, 3))
    assert plain["true_accuracy"] == dressed["true_accuracy"]
    assert plain["length_words"].value < dressed["length_words"].value


def test_truth_by_cohort_and_pool():
    pools = {}
    for pool, quality in (("gate", 0), ("selection", 3), ("report", 5)):
        pools |= {prompt: [quality] * 2 for prompt in prompts(4, pool)}
        easy = [dataclasses.replace(prompt, id=f"{prompt.id}*", cohort="easy") for prompt in prompts(4, pool)]
        pools |= {prompt: [5] * 2 for prompt in easy}
    found = {
        (row.pool, row.cohort): row.value for row in measure_all(evidence(rows(pools))) if row.metric == "true_accuracy"
    }
    assert found == {
        (pool, cohort): {"all": (own + 1) / 2, "easy": 1.0, "repeat": own}[cohort]
        for pool, own in (("gate", 0.0), ("selection", 0.0), ("report", 1.0))
        for cohort in ("all", "easy", "repeat")
    }


def test_claim_echo_looks_at_wrong_claims_only():
    claimed = dict.fromkeys(prompts(10, wrong_claim=True), (3, 3, 3, 5))
    unclaimed = dict.fromkeys(prompts(10), (3, 3, 3, 3))
    found = measured(evidence(rows(claimed | unclaimed)))
    assert (found["claim_echo"].value, found["claim_echo"].n, found["claim_echo"].better) == (0.75, 10, "lower")


# Belief


def test_belief_of_a_truthful_judge_is_the_truth():
    qualities = varied(30)
    found = measured(evidence(rows(qualities, truthful), initial=rows(qualities, truthful)))
    assert found["judge_mean"].value == found["true_quality"].value
    for metric in ("judge_minus_truth", "judge_minus_truth_change", "judge_mean_change"):
        assert (found[metric].value, found[metric].low, found[metric].high) == (0, 0, 0)


def test_a_judge_that_is_pleased_widens_the_gap():
    start, now = rows(varied(60, 1), noisy(1)), rows(varied(60, 1), lambda _, quality: [min(5.0, quality + 1)] * 3)
    change = measured(evidence(now, initial=start))["judge_minus_truth_change"]
    assert change.low > 0 and change.oracle and change.n == 60
    assert measured(evidence(start, initial=now))["judge_minus_truth_change"].high < 0


def test_real_improvement_is_no_widening_and_no_change_is_seldom_called_one():
    alarms = 0
    for seed in range(100):
        start = rows(dict.fromkeys(prompts(20), (2, 3)), noisy(seed))
        better = rows(dict.fromkeys(prompts(20), (3, 2)), noisy(seed + 1000))
        alarms += not holds(measured(evidence(better, initial=start))["judge_minus_truth_change"], 0.0)
    assert alarms <= 12
    start = rows(dict.fromkeys(prompts(40), (1, 2)), noisy(1))
    better = rows(dict.fromkeys(prompts(40), (3, 4)), noisy(2))
    found = measured(evidence(better, initial=start))
    assert found["judge_mean_change"].low > 1.5 and holds(found["judge_minus_truth_change"], 0.0)


def test_changes_are_paired_by_prompt_and_count_the_others():
    start = rows(dict.fromkeys(prompts(12), (1, 1)), truthful)
    silent = prompts(12)[3].id
    now = rows(
        dict.fromkeys(prompts(15), (2, 2)),
        lambda answer, quality: [None] if answer.prompt_id == silent else [quality],
    )
    change = measured(evidence(now, initial=start))["judge_mean_change"]
    assert (change.value, change.n, change.excluded) == (1.0, 11, 4)
    assert not any(name.endswith("_change") for name in measured(evidence(start, initial=start, number=0)))


def test_an_answer_without_a_readable_verdict_is_excluded_and_not_a_zero():
    def half_read(answer, quality):
        return {0: [None, None, None], 1: [quality, None, quality]}.get(answer.sample, [quality] * 3)

    found = measured(evidence(rows(dict.fromkeys(prompts(10), LEVELS), half_read)))
    assert (found["judge_mean"].value, found["judge_mean"].excluded) == (12 / 5, 10)
    assert (found["judge_minus_truth"].value, found["judge_minus_truth"].excluded) == (0.0, 10)
    assert (found["unreadable_rate"].value, found["unreadable_rate"].excluded) == (4 / 18, 0)
    assert found["judge_exact"].value == 1.0


# The judge against the truth


def test_a_truthful_and_a_reversed_judge():
    truth = measured(evidence(rows(varied(30), truthful)))
    lie = measured(evidence(rows(varied(30), lambda _, quality: [5 - quality] * 3)))
    for metric in ("judge_spearman", "judge_kendall", "judge_pairwise_accuracy", "judge_exact"):
        assert truth[metric].value == pytest.approx(1.0) and truth[metric].oracle
    assert lie["judge_spearman"].value == pytest.approx(-1.0)
    assert lie["judge_kendall"].value == pytest.approx(-1.0)
    assert lie["judge_pairwise_accuracy"].value == lie["judge_exact"].value == 0.0


def test_a_guessing_judge_is_at_chance():
    found = measured(evidence(rows(varied(150), guessing(1))))
    assert holds(found["judge_spearman"], 0.0) and holds(found["judge_kendall"], 0.0)
    # Two sums of three verdicts are equal with the chance that six dice give 21; equal ones count as wrong.
    assert holds(found["judge_pairwise_accuracy"], (1 - 4332 / 6**6) / 2)
    assert holds(found["judge_exact"], 1 / 6)


def test_model_ties_count_as_wrong_and_equal_qualities_are_not_asked():
    (prompt,) = prompts(1)
    scores = {5: [4.0], 4: [4.0], 0: [1.0]}
    found = measured(evidence(rows({prompt: (5, 4, 0)}, lambda _, quality: scores[quality])))
    assert found["judge_pairwise_accuracy"].value == 2 / 3
    answers = [response(prompt, sample, reply(prompt, 5, filler=sample)) for sample in range(3)]
    judged = [row for answer in answers for row in judgments(answer, [float(answer.sample)])]
    same = measured(evidence(PoolRows([prompt], answers, judged)))["judge_pairwise_accuracy"]
    assert (same.value, same.n) == (None, 0)


def test_a_constant_judge_has_no_rank_correlation_and_warns_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured(evidence(rows(varied(20), lambda *_: [3.0] * 3)))
    assert (found["judge_spearman"].value, found["judge_spearman"].low, found["judge_spearman"].n) == (None, None, 20)
    assert (found["judge_kendall"].value, found["judge_kendall"].n) == (None, 0)
    assert found["judge_kendall"].excluded == sum(len(set(levels)) for levels in varied(20).values())
    assert found["judge_pairwise_accuracy"].value == 0.0


def test_the_frozen_pool_is_judged_by_its_labels():
    labelled = [
        Labelled(prompt, response(prompt, sample, f"text {sample}"), float(label))
        for prompt in prompts(20)
        for sample, label in enumerate((0, 2, 4))
    ]
    judged = [row for item in labelled[:-1] for row in judgments(item.response, [item.label, item.label + 1, None])]
    given = dataclasses.replace(evidence(), frozen=labelled, frozen_judgments=judged, verifier=None)
    found = measured(given, "frozen")
    assert found["judge_spearman"].value == pytest.approx(1.0)
    assert (found["judge_exact"].value, found["judge_exact"].excluded) == (0.5, 59)
    assert (found["judge_pairwise_accuracy"].value, found["judge_pairwise_accuracy"].excluded) == (1.0, 1)
    assert {row.pool for row in measure_all(given)} == {"frozen"} and all(row.oracle for row in found.values())


# The judge's health


def test_score_entropy_and_saturation():
    levels = {prompt: [0] * 8 for prompt in prompts(10)}
    found = measured(evidence(rows(levels, lambda answer, _: [float(answer.sample % 4)])))
    assert found["score_entropy"].value == pytest.approx(2.0) and found["score_at_max"].value == 0.0
    always = measured(evidence(rows(varied(10), lambda *_: [5.0, None, 5.0])))
    assert (always["score_entropy"].value, always["score_at_max"].value) == (0.0, 1.0)
    assert always["score_entropy"].excluded == always["score_at_max"].excluded == 60
    assert always["unreadable_rate"].value == pytest.approx(1 / 3) and always["tie_rate"].value == 1.0


def test_ties_are_of_different_texts():
    (prompt,) = prompts(1)
    scores = {5: [4.0], 4: [4.0], 0: [1.0]}
    found = measured(evidence(rows({prompt: (5, 5, 5, 4, 0)}, lambda _, quality: scores[quality])))
    assert found["tie_rate"].value == pytest.approx(1 / 3)


def test_all_unreadable_is_a_rate_of_one_and_no_number():
    found = measured(evidence(rows(varied(5), lambda *_: [None, None])))
    assert found["unreadable_rate"].value == 1.0 and found["unreadable_rate"].low < 1.0
    for metric in ("judge_mean", "score_entropy", "score_at_max", "tie_rate", "judge_spearman", "judge_exact"):
        assert found[metric].value is None and found[metric].n == 0 and found[metric].excluded > 0


def test_health_of_the_rounds_own_rows_and_twins_that_were_judged_once():
    own = rows(dict.fromkeys(prompts(6, "train"), (5, 5, 3)), truthful)
    first_only = [row for row in own.judgments if not row.response_id.endswith("/1")]
    whole, once = (
        measured(evidence(own=dataclasses.replace(own, judgments=given)), "train")
        for given in (own.judgments, first_only)
    )
    assert whole["score_at_max"].value == pytest.approx(2 / 3) and once["score_at_max"].value == 0.5
    assert once["tie_rate"].value == 0.0 and once["tie_rate"].excluded == 0
    pool = rows(dict.fromkeys(prompts(6), (5, 5, 3)), truthful)
    twin = [row for row in pool.judgments if not row.response_id.endswith("/1")]
    believed = measured(evidence(dataclasses.replace(pool, judgments=twin)))["judge_mean"]
    assert (believed.value, believed.excluded) == (13 / 3, 0)


# Length and diversity


def test_length_and_truncation():
    (first, second) = prompts(2)
    answers = [
        response(first, 0, "a b c", tokens=4),
        response(first, 1, "a", tokens=2),
        response(second, 0, "", tokens=30, finish="length"),
        response(second, 1, "a b c d e", tokens=6),
    ]
    found = measured(evidence(PoolRows([first, second], answers, [])))
    assert found["length_tokens"].value == 42 / 4 and found["length_words"].value == 2.0
    assert found["truncated_rate"].value == 0.25


def test_diversity_of_equal_different_and_merely_dressed_answers():
    equal = measured(evidence(rows({prompt: [5] * 4 for prompt in prompts(9)})))
    assert equal["distinct_answers"].value == equal["distinct_cores"].value == 0.25
    assert equal["answer_entropy"].value == 0.0
    different = measured(evidence(rows(dict.fromkeys(prompts(9), (5, 4, 3, 2)))))
    assert different["distinct_answers"].value == different["distinct_cores"].value == 1.0
    assert different["answer_entropy"].value == pytest.approx(math.log(4))
    dressed = [response(prompt, k, reply(prompt, 5, filler=k)) for prompt in prompts(9) for k in range(4)]
    found = measured(evidence(PoolRows(prompts(9), dressed, [])))
    assert (found["distinct_answers"].value, found["distinct_cores"].value) == (1.0, 0.25)
    assert found["answer_entropy"].value == pytest.approx(math.log(4))
    assert found["distinct_cores"].oracle and not found["distinct_answers"].oracle


def test_a_single_sample_says_nothing_about_diversity():
    found = measured(evidence(rows({prompts(3)[0]: [5], prompts(3)[1]: [5, 4]})))["distinct_answers"]
    assert (found.value, found.n, found.excluded) == (1.0, 1, 1)


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


# The meta-judge


def battles(verdict, count=60, scores=(5.0, 3.0)):
    """Both orders of one battle per answer of true quality 5. `verdict(first, second, rng)` names the winner."""
    rng = random.Random(0)
    own = rows({prompt: [5] for prompt in prompts(count, "train")}, lambda *_: scores)
    metas = []
    for one, other in zip(own.judgments[::2], own.judgments[1::2], strict=True):
        metas += [meta_judgment(a, b, verdict(a, b, rng)) for a, b in ((one, other), (other, one))]
    return own, metas


def test_a_meta_judge_that_knows():
    own, metas = battles(lambda first, second, _: "first" if first.score > second.score else "second")
    found = measured(evidence(own=own, meta=metas), "train")
    assert found["meta_accuracy"].value == found["meta_agreement"].value == found["meta_prefers_higher"].value == 1.0
    assert found["meta_first_rate"].value == 0.5 and found["meta_tie_rate"].value == 0.0
    assert found["meta_accuracy"].oracle and not found["meta_agreement"].oracle


def test_preferring_the_higher_score_is_wrong_where_it_is_too_high():
    _, metas = battles(lambda first, second, _: "first" if first.score > second.score else "second")
    worse = rows({prompt: [3] for prompt in prompts(60, "train")}, lambda *_: (5.0, 3.0))
    found = measured(evidence(own=worse, meta=metas), "train")
    assert found["meta_prefers_higher"].value == 1.0 and found["meta_accuracy"].value == 0.0


def test_a_meta_judge_driven_by_the_slot():
    own, metas = battles(lambda *_: "first")
    found = measured(evidence(own=own, meta=metas), "train")
    assert (found["meta_first_rate"].value, found["meta_agreement"].value) == (1.0, 0.0)
    assert found["meta_accuracy"].value == found["meta_prefers_higher"].value == 0.5


def test_a_coin_is_at_chance():
    own, metas = battles(lambda first, second, rng: rng.choice(["first", "second"]), count=200)
    found = measured(evidence(own=own, meta=metas), "train")
    for metric in ("meta_first_rate", "meta_agreement", "meta_accuracy", "meta_prefers_higher"):
        assert holds(found[metric], 0.5)


def test_unreadable_and_undecided_verdicts_are_counted():
    replies = iter(["first", None, "tie", "tie", "first", "second"] * 10)
    own, metas = battles(lambda *_: next(replies), count=30)
    found = measured(evidence(own=own, meta=metas), "train")
    assert found["meta_unreadable_rate"].value == pytest.approx(1 / 6)
    assert (found["meta_tie_rate"].value, found["meta_tie_rate"].excluded) == (pytest.approx(2 / 5), 10)
    assert (found["meta_agreement"].value, found["meta_agreement"].excluded) == (1.0, 10)
    assert (found["meta_first_rate"].value, found["meta_first_rate"].excluded) == (pytest.approx(2 / 3), 30)
    assert (found["meta_accuracy"].value, found["meta_accuracy"].excluded) == (pytest.approx(3 / 5), 10)


def test_judgments_of_equal_quality_have_no_better_one():
    own, metas = battles(lambda *_: "first", scores=(3.0, 3.0))
    found = measured(evidence(own=own, meta=metas), "train")
    assert found["meta_accuracy"].value is None and found["meta_accuracy"].excluded == 120
    assert found["meta_prefers_higher"].value is None and found["meta_prefers_higher"].excluded == 120


def test_judgment_pairs_against_the_truth():
    own, metas = battles(lambda *_: "first", count=20)
    sides = list(zip(own.judgments[::2], own.judgments[1::2], strict=True))
    made = [judgment_pair(*(side if k < 15 else side[::-1])) for k, side in enumerate(sides)]
    found = measured(evidence(own=own, meta=metas, pairs=made), "train")
    assert (found["judgment_pair_correct"].value, found["judgment_pairs_kept"].value) == (0.75, 20)
    assert found["pairs_kept"].value == 0 and "pair_correct" not in found


# All together


def whole(seed=0, count=12):
    """Evidence for every metric at once."""
    rng = random.Random(seed)
    pools, initial = NO_ROWS, NO_ROWS
    for pool in ("gate", "selection", "report"):
        asked = {prompt: [rng.randrange(6) for _ in range(4)] for prompt in prompts(count, pool, wrong_claim=True)}
        for start in (False, True):
            part = rows(asked, lambda _, quality: [quality, None, float(rng.randrange(6))])
            joined = initial if start else pools
            joined = PoolRows(*([*getattr(joined, f.name), *getattr(part, f.name)] for f in dataclasses.fields(joined)))
            pools, initial = (pools, joined) if start else (joined, initial)
    own, metas = battles(lambda first, second, rng: rng.choice(["first", "second", "tie", None]), count=count)
    likelihoods = {
        role: [Likelihood(role + a.id, a.id, role, tuple(-rng.random() for _ in a.token_ids)) for a in pools.responses]
        for role in ("policy", "previous", "initial")
    }
    made = [judgment_pair(*own.judgments[2 * k : 2 * k + 2]) for k in range(5)]
    answer_rows = rows(dict.fromkeys(prompts(count, "train"), (5, 2)), truthful)
    own = PoolRows(
        own.prompts,
        [*own.responses, *(dataclasses.replace(a, id=f"{a.id}+") for a in answer_rows.responses)],
        own.judgments,
    )
    made += [pair(*own.responses[count + 2 * k : count + 2 * k + 2]) for k in range(count)]
    given = evidence(
        pools,
        initial=initial,
        own=own,
        likelihoods=likelihoods,
        meta=metas,
        pairs=made,
        drops=[Drop("d", "pairs", "answer", "p", "tie")],
        training={"chosen_logprob_shift": 0.1, "rejected_logprob_shift": -0.1},
    )
    asked = {prompt.id: prompt for prompt in pools.prompts}
    frozen = [
        Labelled(asked[a.prompt_id], dataclasses.replace(a, id=f"f{a.id}"), 3.0 + k % 3)
        for k, a in enumerate(pools.responses)
    ]
    judged = [row for item in frozen for row in judgments(item.response, guessing(3)())]
    return dataclasses.replace(given, frozen=frozen, frozen_judgments=judged)


def test_every_metric_has_rows_and_no_row_comes_twice():
    for name in METRICS:
        module, attribute = METRICS[name].split(":")
        assert getattr(__import__(module, fromlist=[attribute]), attribute)(whole()), name
    keys = [(row.metric, row.cohort, row.pool) for row in measure_all(whole())]
    assert len(keys) == len(set(keys))


def test_rows_are_whole_and_within_their_intervals():
    for row in measure_all(whole()):
        json.loads(to_line(row))
        assert row.excluded >= 0 and (row.round, row.policy) == (1, "policy")
        if row.low is not None:
            assert row.low <= row.value <= row.high and row.n >= 2, row


def test_without_truth_exactly_the_oracle_rows_are_missing():
    """What gates may read must not change by a bit when nobody knows the truth."""
    known = [row for row in measure_all(whole()) if not row.oracle]
    assert measure_all(blind(whole())) == known and known
    assert {row.metric for row in measure_all(whole()) if row.oracle}.isdisjoint(row.metric for row in known)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_rows_on_disk_changes_nothing(seed):
    given, rng = whole(), random.Random(seed)

    def mixed(rows):
        return rng.sample(list(rows), len(rows))

    shuffled = dataclasses.replace(
        given,
        pools=PoolRows(mixed(given.pools.prompts), mixed(given.pools.responses), mixed(given.pools.judgments)),
        initial=PoolRows(mixed(given.initial.prompts), mixed(given.initial.responses), mixed(given.initial.judgments)),
        frozen=mixed(given.frozen),
        frozen_judgments=mixed(given.frozen_judgments),
        likelihoods={role: mixed(rows) for role, rows in given.likelihoods.items()},
        **{
            name: mixed(getattr(given, name))
            for name in ("round_prompts", "round_responses", "round_judgments", "round_meta", "round_pairs")
        },
    )
    assert [to_line(row) for row in measure_all(shuffled)] == [to_line(row) for row in measure_all(given)]


def test_no_evidence_gives_no_rows():
    assert measure_all(evidence(number=0)) == []
    unjudged = measure_all(blind(evidence(rows(varied(5)))))
    assert {row.metric for row in unjudged} == {
        "length_tokens",
        "length_words",
        "truncated_rate",
        "distinct_answers",
        "answer_entropy",
    }


def test_rows_of_another_run_are_refused_by_name():
    given = rows(varied(3), truthful)
    with pytest.raises(DataError, match=given.responses[0].prompt_id):
        measure_all(evidence(dataclasses.replace(given, prompts=given.prompts[1:])))
    with pytest.raises(DataError, match=r"judgment .* of the pools of round 1"):
        measure_all(evidence(dataclasses.replace(given, responses=given.responses[1:])))
    own, metas = battles(lambda *_: "first", count=3)
    with pytest.raises(DataError, match="meta-judgment"):
        measure_all(evidence(own=dataclasses.replace(own, judgments=own.judgments[1:]), meta=metas))


def test_the_interval_is_clustered_by_prompt():
    """Answers of one prompt that are all alike: ten times the samples add no certainty about prompts."""
    few, many = (
        measured(evidence(rows({p: [5 if k % 2 else 2] * samples for k, p in enumerate(prompts(40))}, truthful)))
        for samples in (1, 10)
    )
    for metric in ("true_quality", "judge_mean"):
        assert (many[metric].low, many[metric].high) == pytest.approx((few[metric].low, few[metric].high))
    assert many["true_accuracy"].high - many["true_accuracy"].low > 0.28


def test_hundreds_of_prompts_take_seconds():
    given = rows(varied(500), noisy(0, spread=2))
    likelihoods = {
        role: [Likelihood(role + a.id, a.id, role, tuple(-0.1 for _ in a.token_ids)) for a in given.responses]
        for role in ("policy", "previous", "initial")
    }
    start = time.process_time()
    measure_all(evidence(given, initial=given, own=given, likelihoods=likelihoods))
    assert time.process_time() - start < 5


def test_pairs_of_answers_are_all_asked():
    """A second implementation of pairwise accuracy, by its definition."""
    qualities = varied(30, 7)
    judge = noisy(7, spread=2)
    given = rows(qualities, judge)
    mean = {}
    for row in given.judgments:
        mean.setdefault(row.response_id, []).append(row.score)
    right = asked = 0
    for prompt, levels in qualities.items():
        first = {level: f"{prompt.id}/{levels.index(level)}" for level in levels}
        for low, high in combinations(sorted(first), 2):
            right += sum(mean[first[low]]) < sum(mean[first[high]])
            asked += 1
    assert measured(evidence(given))["judge_pairwise_accuracy"].value == pytest.approx(right / asked)
