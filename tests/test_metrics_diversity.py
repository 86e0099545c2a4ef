"""Diversity within a prompt and between prompts: closed forms, second implementations, a planted collapse, a null."""

import math
import random
from itertools import combinations

import numpy as np
import pytest
from evidence_factory import evidence, holds, prompts, response
from evidence_factory import rows as quality_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from scipy.sparse import csr_array

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.policy import coverage, embedded_diversity, lexical_diversity
from selfreward.measuring.metrics.policy.lexical_diversity import SIGNATURE, VOCABULARY, distinct_ngrams, self_bleu
from selfreward.measuring.metrics.text import tfidf_embedder, words
from selfreward.measuring.stats.jackknife import grouped_jackknife

VOCABULARY_WORDS = [f"word{number}" for number in range(200)]


def pool(texts):
    """Texts by prompt: the first list is of the first prompt."""
    asked = prompts(len(texts))
    answers = [response(p, k, text) for p, samples in zip(asked, texts, strict=True) for k, text in enumerate(samples)]
    return PoolRows(asked, answers, [])


def found(texts, *modules):
    given = evidence(pool(texts))
    return {row.metric: row for module in modules for row in module.measure(given)}


def sentence(rng, length=12):
    return " ".join(rng.choice(VOCABULARY_WORDS) for _ in range(length))


def independent(count=60, samples=4, seed=0):
    rng = random.Random(seed)
    return [[sentence(rng) for _ in range(samples)] for _ in range(count)]


def collapsed(count=60, samples=4, seed=1):
    rng = random.Random(seed)
    return [[sentence(rng)] * samples for _ in range(count)]


BOTH = (lexical_diversity, embedded_diversity)


def test_a_planted_collapse_is_seen_within_prompts_and_not_between_them():
    """One answer per prompt: what a pooled number would hide."""
    varied, collapse = found(independent(), *BOTH), found(collapsed(), *BOTH)
    for name in ("distinct_ngrams", "ead", "compression", "embedding_distance"):
        within, between = f"{name}_per_input", f"{name}_across_input"
        assert collapse[within].high < varied[within].low
        assert collapse[between].value == pytest.approx(varied[between].value, rel=0.05)
    assert collapse["self_bleu_per_input"].low > varied["self_bleu_per_input"].high
    assert collapse["vendi_per_input"].value == pytest.approx(1.0)
    assert varied["vendi_per_input"].value == pytest.approx(4.0, abs=0.1)
    assert collapse["self_bleu_per_input"].value == 1.0 and collapse["embedding_distance_per_input"].value == (
        pytest.approx(0.0, abs=1e-12)
    )


def test_one_text_for_all_prompts_is_seen_between_them_and_not_within():
    template = independent(1)[0]
    same = found([template] * 60, *BOTH)
    assert same["duplicate_texts_across_input"].value == 1.0
    assert same["vendi_per_input"].value == pytest.approx(4.0, abs=0.1)
    assert same["embedding_distance_across_input"].value == pytest.approx(0.0, abs=1e-9)
    assert same["distinct_ngrams_across_input"].value == pytest.approx(1 / 60, rel=0.05)


def test_the_same_policy_twice_differs_no_more_than_its_intervals_say():
    """A null: independent draws of one sampler; 12 metrics, 20 repeats, at 5 % about 12 alarms of 240 expected."""
    alarms = asked = 0
    for seed in range(20):
        one, two = (found(independent(40, 3, 2 * seed + k), *BOTH) for k in (0, 1))
        for name, row in one.items():
            if row.low is not None and row.high > row.low:
                half = math.hypot(row.high - row.value, two[name].high - two[name].value)
                alarms += abs(row.value - two[name].value) > half
                asked += 1
    assert asked >= 200 and alarms / asked < 0.09


def test_ead_takes_the_expected_repetition_of_longer_texts_out():
    """Uniform draws from V words: distinct-1 falls with length, EAD's form with the true V stays at 1."""
    rng = random.Random(0)
    plain, adjusted = [], []
    for length in (5_000, 100_000):
        tokens = [rng.randrange(VOCABULARY) for _ in range(length)]
        plain.append(len(set(tokens)) / length)
        adjusted.append(lexical_diversity._varied([(len(set(tokens)), length)])[1])
    assert plain[1] < 0.5 < 0.9 < plain[0]
    assert adjusted == pytest.approx([1.0, 1.0], abs=0.01)


@settings(max_examples=50)
@given(st.lists(st.text("ab ", max_size=12), min_size=1, max_size=5))
def test_ngram_measures_are_their_definition(texts):
    """A second implementation, term by term."""
    plain, adjusted = [], []
    for n in (1, 2, 3, 4, 5):
        grams = [tuple(text.split()[i : i + n]) for text in texts for i in range(len(text.split()) - n + 1)]
        if grams:
            different = len(set(grams))
            plain.append(different / len(grams))
            adjusted.append(different / (VOCABULARY * (1 - ((VOCABULARY - 1) / VOCABULARY) ** len(grams))))
    expected = (sum(plain) / len(plain), sum(adjusted) / len(adjusted)) if plain else (None, None)
    assert distinct_ngrams(texts) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_the_fast_jackknife_of_ngrams_is_the_plain_one(seed, count):
    texts = independent(count, 2, seed)
    row = found(texts, lexical_diversity)["ead_across_input"]
    by_prompt = dict(zip((prompt.id for prompt in prompts(count)), texts, strict=True))
    plain = grouped_jackknife(
        lambda kept: sum(distinct_ngrams([by_prompt[name][k] for name in kept])[1] for k in (0, 1)) / 2,
        list(by_prompt),
    )
    assert (row.value, row.low, row.high) == pytest.approx((plain.value, plain.low, plain.high))


def test_self_bleu_is_sacrebleus_under_the_stated_signature():
    metric = BLEU(effective_order=True)
    texts = independent(1, 4)[0]
    scores = [metric.sentence_score(text, [o for o in texts if o is not text]).score / 100 for text in texts]
    assert self_bleu(texts) == pytest.approx(sum(scores) / 4)
    assert metric.sentence_score(texts[0], [texts[0], texts[1]]).score == pytest.approx(100)
    signature = str(metric.get_signature())
    assert signature.startswith(SIGNATURE.replace("var", "2")), "another BLEU than the documented one"


def test_vendi_counts_orthogonal_texts_and_any_embedder_can_be_plugged_in():
    texts = [["a", "b", "c", "c"]] * 2

    def one_hot(given):
        return csr_array(np.asarray([[float(text == letter) for letter in "abc"] for text in given]))

    (vendi, *_) = embedded_diversity.measure(evidence(pool(texts)), one_hot)
    assert vendi.value == pytest.approx(math.exp(0.5 * math.log(4) + 0.5 * math.log(2)))
    assert embedded_diversity.vendi(np.eye(5)) == pytest.approx(5.0)
    assert embedded_diversity.vendi(np.ones((5, 5))) == pytest.approx(1.0)


def test_across_input_distance_is_the_mean_over_all_pairs_of_prompts():
    texts = independent(9, 3)
    embed = tfidf_embedder([text for samples in texts for text in samples])
    expected = []
    for k in range(3):
        points = np.asarray(embed([samples[k] for samples in texts]).todense())
        cosines = points @ points.T
        expected.append(1 - (cosines.sum() - 9) / 72)
    row = found(texts, embedded_diversity)["embedding_distance_across_input"]
    assert row.value == pytest.approx(sum(expected) / 3)


def test_the_embedder_is_frozen_at_round_0():
    """The same answers measured in another round have the same distances, whatever else that round says."""
    now = pool(independent(20, 3, seed=5))
    start = pool(independent(20, 3, seed=6))
    first = embedded_diversity.measure(evidence(now, initial=start))
    assert first == embedded_diversity.measure(evidence(now, initial=start))
    assert first != embedded_diversity.measure(evidence(now, initial=now))


def test_tfidf_is_cosine_of_words_and_never_of_the_order_of_features():
    embed = tfidf_embedder(["a b", "a c"])
    points = np.asarray(embed(["A, b", "a , B", "", "c"]).todense())
    assert (points[:2] ** 2).sum(axis=1) == pytest.approx([1, 1])
    assert points[0] @ points[1] == pytest.approx(1.0) and not points[2].any() and points[0] @ points[3] == 0
    assert words("It's 5.") == ("it", "'", "s", "5", ".")


def test_edges_single_samples_empty_texts_one_prompt():
    assert found([["only one"]], *BOTH) == {}
    one = found([["a b", "a c"]], *BOTH)
    assert one["ead_per_input"].n == 1 and one["ead_per_input"].low is None
    assert not any(name.endswith("across_input") for name in one)
    empty = found([["", ""], ["", "a b"], ["c d", "e f"]], *BOTH)
    assert empty["vendi_per_input"].excluded == 4 and empty["vendi_per_input"].n == 1
    assert empty["distinct_ngrams_per_input"].excluded == 2
    nothing = found([["", ""], ["", ""]], *BOTH)
    assert nothing["distinct_ngrams_per_input"].value is None and nothing["compression_across_input"].value is None


def test_pass_at_k_by_enumeration_and_monotone():
    for right in range(7):
        rows = [index < right for index in range(6)]
        for k in (1, 2, 4, 6):
            drawn = [any(rows[i] for i in chosen) for chosen in combinations(range(6), k)]
            assert coverage.pass_at(k, 6, right) == pytest.approx(sum(drawn) / len(drawn))


def test_pass_at_k_finds_a_sharpened_policy():
    """Planted: pass@1 equal, but one policy solves half of the prompts always, the other all of them half the time."""
    asked = prompts(40)
    sharp = {p: [5 if index % 2 else 1] * 4 for index, p in enumerate(asked)}
    spread = dict.fromkeys(asked, (5, 1, 5, 1))
    one, other = (
        {row.metric: row for row in coverage.measure(evidence(quality_rows(levels)))} for levels in (sharp, spread)
    )
    assert one["pass_at_1"].value == other["pass_at_1"].value == 0.5
    assert (one["pass_at_4"].value, other["pass_at_4"].value) == (0.5, 1.0)
    assert holds(one["pass_at_4"], 0.5) and one["pass_at_4"].oracle and one["pass_at_4"].high < 0.7
    assert other["pass_at_2"].value == pytest.approx(5 / 6)
