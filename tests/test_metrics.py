"""All metrics together: whole rows, independent of order and threads, and without truth no oracle row."""

import dataclasses
import json
import random
import time
from itertools import combinations

import pytest
from evidence_factory import (
    battles,
    blind,
    evidence,
    guessing,
    held_out,
    judgment_pair,
    judgments,
    measured,
    noisy,
    pair,
    probed,
    prompts,
    rows,
    truthful,
    varied,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from selfreward.commands.validate.dials import DIALS
from selfreward.errors import DataError
from selfreward.judging.revising.rows import Critique, Revision
from selfreward.measuring.evidence import ByClassifier, CohortRows, PoolRows
from selfreward.measuring.metrics import abouts, addresses, measure_all, numbers
from selfreward.measuring.metrics import families as catalogue
from selfreward.measuring.metrics.families import DIVERSITY, FAMILIES, FORM, LENGTH, WORDS_AND_MEANING
from selfreward.measuring.probes.asked import values
from selfreward.records import Drop, Labelled, Likelihood, Reward, to_line
from selfreward.tasks.verifiers.protocol import load_verifier


def whole(seed=0, count=12):
    """Evidence for every metric at once."""
    rng = random.Random(seed)
    asked = {
        prompt: [rng.randrange(6) for _ in range(4)]
        for pool in ("gate", "selection", "report")
        for prompt in prompts(count, pool, wrong_claim=True)
    }
    initial, pools = (rows(asked, lambda _, quality: [quality, None, float(rng.randrange(6))]) for _ in range(2))
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
    by_id = {prompt.id: prompt for prompt in pools.prompts}
    frozen = [
        Labelled(by_id[a.prompt_id], dataclasses.replace(a, id=f"f{a.id}"), 3.0 + k % 3)
        for k, a in enumerate(pools.responses)
    ]
    judged, before, first = (
        [row for item in frozen for row in judgments(item.response, guessing(seed)())] for seed in (3, 4, 5)
    )
    locked = [
        dataclasses.replace(item, prompt=dataclasses.replace(item.prompt, pool="locked"), source="human")
        for item in frozen[:60]
    ]
    given = dataclasses.replace(
        given,
        locked=locked,
        locked_judgments=judged[: sum(row.response_id in {item.id for item in locked} for row in judged)],
        frozen=frozen,
        frozen_judgments=judged,
        frozen_judgments_previous=before,
        frozen_judgments_initial=first,
        previous=initial,
        history=[initial, initial],
        initial_rejudged=[dataclasses.replace(row, id=f"again {row.id}") for row in initial.judgments[::2]],
        text_likelihoods={name: likelihoods[name] for name in ("policy", "initial")},
        held_out=held_out(pools, initial, score=lambda answer: [float(rng.randrange(6))]),
        cohorts=[CohortRows("named", pools, initial, None)],
        asked=replies(rng),
        asked_initial=replies(rng),
        **revised(own),
        words=["sure"],
        reward_prompts=pools.prompts,
        reward_responses=pools.responses,
        reward_pairs=[one for one in given.round_pairs if one.kind == "answer"],
        reward_scores=[
            dataclasses.replace(row, text=str(rng.gauss(0, 1)), score=1.0, unreadable=None)
            for row in pools.judgments
            if row.sample == 0
        ],
    )
    given = probed(given, "padded", lambda *_: [float(rng.randrange(6))])
    given = probed(given, "claims", lambda *_: [float(rng.randrange(6))], arms=("echo", "other"))
    return probed(given, "feedback", lambda *_: [float(rng.randrange(6))], arms=("like", "dislike", "neutral"))


def revised(own):
    """Critiques of three answers, two revisions, one of them usable."""
    asked = [(answer, f"c{k}") for k, answer in enumerate(own.responses[:3])]
    ids = {"token_ids": (1,), "finish_reason": "stop", "seed": 0, "template": "t", "turn": 1, "principle": "bad_word"}
    critiques = [
        Critique(name, a.prompt_id, a.id, a.id, critic="policy", text="", finding="change", unusable=None, **ids)
        for a, name in asked
    ]
    revisions = [
        Revision(
            f"r{name}",
            a.prompt_id,
            a.id,
            a.id,
            name,
            reviser="policy",
            text="p",
            cut="",
            reasoning="",
            unusable=None if k else "unchanged",
            **ids,
        )
        for k, (a, name) in enumerate(asked[:2])
    ]
    final = [dataclasses.replace(asked[1][0], id="revised", text="p", parent=asked[1][0].id)]
    return {"round_critiques": critiques, "round_revisions": revisions, "round_revised": final}


def replies(rng):
    """What a probe found about ten questions, two of which it could not read."""
    asked = {f"q{k}": f"q{k // 2}" for k in range(10)}
    return values("flattery", asked, {f"q{k}": float(rng.random() < 0.5) for k in range(8)}, share=True, better="lower")


def test_every_metric_has_rows_and_no_row_comes_twice():
    for name in addresses():
        module, attribute = addresses()[name].split(":")
        given = whole()
        if name == "label_calibration":
            # It asks about soft labels alone.
            soft = [dataclasses.replace(pair, label=0.75) for pair in given.round_pairs]
            given = dataclasses.replace(given, round_pairs=soft)
        if name == "policy_gradient":
            # A round has pairs or rewards.
            rewards = [Reward(one.id, one.prompt_id, one.id, 1.0, "score") for one in given.round_responses]
            given = dataclasses.replace(given, round_rewards=rewards)
        if name == "verified":
            # The sandbox's truth is nobody's to ask.
            given = dataclasses.replace(given, verifier=load_verifier("refusal"))
        if name == "classified":
            # Only of cohorts that a classifier grades.
            by = ByClassifier(0.5, (True, True, False, False), (True, True, False, False))
            given = dataclasses.replace(
                given, cohorts=[CohortRows("read", given.pools, given.initial, None, False, by)]
            )
        if name in ("groundedness", "claims"):
            # Only where rows bring a context, and of claims where the judge was asked for them.
            read = [dataclasses.replace(one, meta={**one.meta, "context": one.text}) for one in given.pools.prompts]
            reply = {"template": "judge_claims/claims@0", "text": "Claim: it is so\nQuote: none"}
            listed = [dataclasses.replace(one, **reply) for one in given.pools.judgments]
            grounded = dataclasses.replace(given.pools, prompts=read, judgments=listed)
            given = dataclasses.replace(given, cohorts=[CohortRows("read", grounded, given.initial, None)])
        assert getattr(__import__(module, fromlist=[attribute]), attribute)(given), name
    keys = [(row.metric, row.cohort, row.pool) for row in measure_all(whole())]
    assert len(keys) == len(set(keys))


def test_every_number_says_once_what_it_is_and_what_is_planted_for_it():
    told = [metric for about in abouts().values() for metric in about.metrics]
    assert len({metric.name for metric in told}) == len(told) == len(numbers())
    assert len(addresses()) == len(abouts())
    assert {row.metric for row in measure_all(whole())} - {"flattery", "flattery_change"} <= numbers().keys()
    dials = {planted.dial for metric in told for planted in metric.planted}
    assert dials == set(DIALS), "each dial has a metric that is for it, and none is made up"
    assert all(DIALS[dial].finds for dial in dials)


def test_a_number_stands_where_it_says_in_the_report():
    families = {family.name: list(family.metrics) for family in catalogue()}
    meaning = families["Diversity of words and meaning"]
    assert meaning.index("vendi_per_input") == meaning.index("self_bleu_per_input") + 1
    assert list(families)[:2] == ["Truth", "Length"]
    assert families["Length"] == ["length_tokens", "length_words", "truncated_rate"]
    assert sum(map(len, families.values())) == sum(metric.family is not None for metric in numbers().values())


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
    oracle = {(row.metric, row.pool) for row in measure_all(whole()) if row.oracle}
    assert oracle.isdisjoint((row.metric, row.pool) for row in known)


@settings(max_examples=10)
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
        frozen_judgments_previous=mixed(given.frozen_judgments_previous),
        frozen_judgments_initial=mixed(given.frozen_judgments_initial),
        likelihoods={role: mixed(rows) for role, rows in given.likelihoods.items()},
        text_likelihoods={role: mixed(rows) for role, rows in given.text_likelihoods.items()},
        held_out=dataclasses.replace(
            given.held_out, asked=mixed(given.held_out.asked), judgments=mixed(given.held_out.judgments)
        ),
        probes=mixed(given.probes),
        probe_judgments=mixed(given.probe_judgments),
        initial_rejudged=mixed(given.initial_rejudged),
        **{
            name: mixed(getattr(given, name))
            for name in ("round_prompts", "round_responses", "round_judgments", "round_meta", "round_pairs")
        },
    )
    assert [to_line(row) for row in measure_all(shuffled)] == [to_line(row) for row in measure_all(given)]


def test_no_evidence_gives_no_rows():
    assert measure_all(evidence(number=0)) == []
    unjudged = measure_all(blind(evidence(rows(varied(5)))))
    assert not any(row.oracle for row in unjudged)
    told = {numbers()[row.metric].family for row in unjudged}
    of_texts = {LENGTH, FORM, DIVERSITY, WORDS_AND_MEANING}
    assert of_texts <= told and told.isdisjoint(set(FAMILIES) - of_texts), "texts are all that is there"
    whole_rows = measure_all(evidence(rows(varied(5))))
    assert {to_line(row) for row in unjudged} <= {to_line(row) for row in whole_rows}


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
