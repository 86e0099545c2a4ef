"""Several raters: published worked examples, invariants, planted judges and nulls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from selfreward.errors import DataError
from selfreward.measuring.stats.reliability import alpha_estimate, capa, capa_estimate, krippendorff_alpha

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
