"""The judge, its health and the meta-judge: planted and found, null and silent, exclusions counted."""

import dataclasses
import warnings

import pytest
from evidence_factory import (
    battles,
    evidence,
    guessing,
    holds,
    judgment_pair,
    judgments,
    measured,
    prompts,
    reply,
    response,
    rows,
    truthful,
    varied,
)

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics import measure_all
from selfreward.records import Labelled

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
    assert {row.pool for row in measure_all(given)} == {"frozen"}
    assert {name for name, row in found.items() if not row.oracle} == {
        "judge_retest_agreement",
        "judge_retest_deviation",
    }


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


# The meta-judge


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
