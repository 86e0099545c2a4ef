"""Several raters: published worked examples, invariants, planted judges and nulls."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from selfreward.commands.anchors.agreement import agreement
from selfreward.errors import DataError
from selfreward.measuring.stats.reliability import (
    alpha_estimate,
    capa,
    capa_estimate,
    fleiss_estimate,
    fleiss_kappa,
    krippendorff_alpha,
)

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units, gaps.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
UNITS = list(zip(*OBSERVERS, strict=True))


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(level, published):
    assert krippendorff_alpha(UNITS, level) == pytest.approx(published, abs=0.0006)


def test_one_level_alone_has_none():
    assert krippendorff_alpha([(3, 3), (3, 3)], "ordinal") is None
    assert krippendorff_alpha([(1, None), (None, 2)], "nominal") is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=5, max_size=40))
def test_alpha_of_two_raters_is_scotts_pi_with_its_small_sample_correction(pairs):
    """1 - alpha = (1 - pi) (2n - 1) / 2n for two complete raters; equal shifts and stretches change no interval one."""
    alpha, n = krippendorff_alpha(pairs, "nominal"), 2 * len(pairs)
    shares = [sum(value == level for pair in pairs for value in pair) / n for level in range(5)]
    chance = sum(share**2 for share in shares)
    assert (chance == pytest.approx(1)) == (alpha is None)
    if alpha is not None:
        pi = (sum(one == other for one, other in pairs) / len(pairs) - chance) / (1 - chance)
        assert 1 - alpha == pytest.approx((1 - pi) * (n - 1) / n)
        moved = [(3 * a + 7, 3 * b + 7) for a, b in pairs]
        assert krippendorff_alpha(moved, "interval") == pytest.approx(krippendorff_alpha(pairs, "interval"))
        assert krippendorff_alpha(moved, "ordinal") == pytest.approx(krippendorff_alpha(pairs, "ordinal"))


def test_alpha_finds_a_planted_agreement_and_none_in_a_null():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(60):
        ratings = rng.integers(0, 6, (60, 3)).astype(float)
        found = alpha_estimate(ratings.tolist(), [f"p{i}" for i in range(60)], "interval")
        missed += not found.low <= 0 <= found.high
    assert missed <= 8
    truth = rng.normal(0, 1, 60)
    noisy = (truth[:, None] + rng.normal(0, 0.5, (60, 3))).tolist()
    found = alpha_estimate(noisy, [f"p{i}" for i in range(60)], "interval")
    assert found.low < 1 / (1 + 0.25) < found.high and found.low > 0.6 and found.n == 60


# Fleiss 1971, "Measuring nominal scale agreement among many raters": 30 patients, how many of six psychiatrists say
# depression, personality disorder, schizophrenia, neurosis, other.
PATIENTS = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)
# The worked example that is handed on with the formula: 14 raters, ten subjects, five categories.
FOURTEEN = (
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
)


def said(counts):
    """A unit's ratings from how often each category was said."""
    return [category for category, count in enumerate(counts) for _ in range(int(count))]


@pytest.mark.parametrize(("table", "published"), [(PATIENTS.split(), 0.430), (FOURTEEN, 0.210)])
def test_fleiss_kappa_is_the_published_one(table, published):
    assert fleiss_kappa([said(counts) for counts in table]) == pytest.approx(published, abs=0.0005)


@given(st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=2)))
def test_nominal_alpha_is_fleiss_kappa_of_a_small_sample(units):
    """Of every two raters' pairs it is the same kappa; names and order of the categories change nothing."""
    kappa, alpha = fleiss_kappa(units), krippendorff_alpha(units, "nominal")
    assert (kappa is None) == (alpha is None) == (len({value for unit in units for value in unit}) == 1)
    if kappa is not None:
        ratings = sum(map(len, units))
        assert 1 - alpha == pytest.approx((1 - kappa) * (1 - 1 / ratings))
        assert fleiss_kappa([pair for unit in units for pair in combinations(unit, 2)]) == pytest.approx(kappa)
        assert fleiss_kappa([[-7 * value for value in unit[::-1]] for unit in units]) == pytest.approx(kappa)


def test_fleiss_kappa_leaves_single_ratings_out_and_refuses_unequal_numbers():
    whole = [(0, 0, 1), (1, 1, 1), (0, 2, 2)]
    assert fleiss_kappa([*whole, (2, None, None), (None, None, None)]) == fleiss_kappa(whole)
    assert fleiss_kappa([]) is fleiss_kappa([(3, 3), (3, 3)]) is None
    assert fleiss_kappa([(0, 0), (1, 1)]) == 1 and fleiss_kappa([(0, 1), (1, 0)]) == -1
    with pytest.raises(DataError, match="unit 2 has 2 ratings and unit 0 has 3"):
        fleiss_kappa([*whole[:2], (0, None, 2)])


def test_fleiss_kappa_finds_a_planted_agreement_and_none_in_a_null():
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i in range(60)]
    missed = planted = 0
    for _ in range(60):
        found = fleiss_estimate(rng.integers(0, 5, (60, 3)).tolist(), names)
        missed += not found.low <= 0 <= found.high
        # A rater says the truth with chance .7 and else guesses: two agree beyond chance in .49.
        guesses = rng.integers(0, 5, (60, 3))
        ratings = np.where(rng.random((60, 3)) < 0.7, rng.integers(0, 5, (60, 1)), guesses)
        found = fleiss_estimate(ratings.tolist(), names)
        planted += found.low <= 0.49 <= found.high and found.n == 60
    assert missed <= 8 and planted >= 52


def test_of_two_raters_it_is_scotts_pi_and_stands_beside_cohens():
    """Pi takes both raters' categories together: it cannot be above Cohen's, and is equal where they use them alike."""
    first, second = [5.0, 5.0, 0.0, 1.0, 2.0, 5.0], [5.0, 4.0, 0.0, 1.0, 1.0, 0.0]
    found = agreement(first, second, list("abcdef"), 6)
    both = [*first, *second]
    chance = sum((both.count(point) / 12) ** 2 for point in set(both))
    assert found.fleiss.value == pytest.approx((3 / 6 - chance) / (1 - chance))
    assert found.fleiss.value < found.kappa.value
    alike = agreement([1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 3.0, 1.0], list("abcd"), 6)
    assert alike.fleiss.value == pytest.approx(alike.kappa.value)


def one_hot(choice, options=4):
    return np.eye(options)[choice]


def test_capa_by_hand():
    first = [(0.8, 0.2), (0.5, 0.3, 0.2)]
    second = [(0.6, 0.4), (0.1, 0.1, 0.8)]
    observed = ((0.48 + 0.08) + (0.05 + 0.03 + 0.16)) / 2
    a, b = (0.8 + 0.2) / 2, (0.6 + 0.8) / 2
    expected = a * b + (1 - a) * (1 - b) * (1 + 0.5) / 2
    assert capa(first, second, [0, 2]) == pytest.approx((observed - expected) / (1 - expected))


def test_capa_of_two_options_and_sure_judges_is_error_consistency():
    """With one-hot answers and two options it is Cohen's kappa of being right or wrong (Geirhos et al. 2020)."""
    rng = np.random.default_rng(1)
    right = rng.integers(0, 2, 300)
    slips = rng.random(300) < 0.3
    one = np.where(slips, 1 - right, right)
    other = np.where(slips ^ (rng.random(300) < 0.15), 1 - right, right)
    found = capa([one_hot(c, 2) for c in one], [one_hot(c, 2) for c in other], right.tolist())
    assert found == pytest.approx(cohen_kappa_score(one == right, other == right))


def test_capa_sees_shared_errors_and_not_shared_skill():
    rng = np.random.default_rng(2)
    names = [f"p{i}" for i in range(300)]
    missed = 0
    for _ in range(40):
        right = rng.integers(0, 4, 300)
        wrong = (right[:, None] + rng.integers(1, 4, (300, 2))) % 4
        sides = np.where(rng.random((300, 2)) < 0.7, right[:, None], wrong)
        ones, others = ([one_hot(c) for c in sides[:, side]] for side in (0, 1))
        found = capa_estimate(ones, others, right.tolist(), names)
        missed += not found.low <= 0 <= found.high
    assert missed <= 6
    same = capa_estimate(ones, ones, right.tolist(), names)
    assert same.value == pytest.approx(1) and same.high <= 1


def test_capa_names_the_question_that_is_no_distribution():
    with pytest.raises(DataError, match=r"question 1: probabilities sum to 1\.3"):
        capa([(0.5, 0.5), (0.5, 0.8)], [(0.5, 0.5), (0.5, 0.5)], [0, 0])
    with pytest.raises(DataError, match="question 0: 2 and 3 options"):
        capa([(0.5, 0.5)], [(0.5, 0.5, 0.0)], [0])
