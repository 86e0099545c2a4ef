"""Bradley-Terry strengths: closed forms, a second implementation, and tournaments that have no plain maximum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from selfreward.judging.scoring.bradley_terry import strengths

matrices = st.integers(2, 6).flatmap(
    lambda n: st.lists(st.lists(st.floats(0, 50, allow_nan=False), min_size=n, max_size=n), min_size=n, max_size=n).map(
        np.array
    )
)
ridges = st.floats(1e-3, 10)


def by_quasi_newton(wins, ridge):
    """The same objective by scipy's L-BFGS, written independently of the code under test."""
    players = len(wins)

    def loss(e):
        return ridge / 2 * e @ e + sum(
            wins[m][n] * np.logaddexp(0, e[n] - e[m]) for m in range(players) for n in range(players) if m != n
        )

    return minimize(loss, np.zeros(players), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}).x


@given(matrices, ridges)
def test_agrees_with_a_second_implementation_and_is_centred(wins, ridge):
    fitted = strengths(wins, ridge)
    assert np.isfinite(fitted).all()
    assert abs(fitted.sum()) < 1e-9
    assert fitted == pytest.approx(by_quasi_newton(wins, ridge), abs=2e-3)


@given(matrices, ridges, st.floats(0.1, 20))
def test_scaling_wins_and_ridge_together_changes_nothing(wins, ridge, factor):
    assert strengths(factor * wins, factor * ridge) == pytest.approx(strengths(wins, ridge), abs=1e-6)


def test_scaling_alone_changes_nothing_as_the_ridge_vanishes():
    wins = np.array([[0, 3, 5], [1, 0, 4], [2, 2, 0]])
    assert strengths(7 * wins, 1e-9) == pytest.approx(strengths(wins, 1e-9), abs=1e-6)
    assert np.ptp(strengths(7 * wins, 1.0)) > np.ptp(strengths(wins, 1.0)) + 0.1


def test_two_players_without_a_noticeable_ridge_give_the_log_odds():
    fitted = strengths([[0, 6], [2, 0]], 1e-10)
    assert fitted[0] - fitted[1] == pytest.approx(np.log(3), abs=1e-6)


@given(matrices, ridges, st.randoms(use_true_random=False))
def test_relabelling_the_players_relabels_the_strengths(wins, ridge, random):
    order = list(range(len(wins)))
    random.shuffle(order)
    assert strengths(wins[np.ix_(order, order)], ridge) == pytest.approx(strengths(wins, ridge)[order], abs=1e-6)


@pytest.mark.parametrize("ridge", [1e-6, 0.1, 5.0])
def test_a_player_who_wins_everything_has_a_finite_strength(ridge):
    fitted = strengths([[0, 9, 9], [0, 0, 9], [0, 0, 0]], ridge)
    assert np.isfinite(fitted).all()
    assert fitted[0] > fitted[1] > fitted[2]


def test_groups_that_never_met_are_each_centred_and_an_empty_tournament_is_level():
    apart = [[0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5], [0, 0, 1, 0]]
    fitted = strengths(apart, 0.1)
    assert fitted[:2].sum() == pytest.approx(0, abs=1e-9)
    assert fitted[2:].sum() == pytest.approx(0, abs=1e-9)
    assert strengths(np.zeros((3, 3)), 0.1).tolist() == [0, 0, 0]
    assert strengths(np.zeros((0, 0)), 0.1).tolist() == []


def test_more_wins_never_hurt_and_wins_over_oneself_do_not_count():
    wins = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    better = wins.copy()
    better[0, 1] += 2
    assert strengths(better, 0.1)[0] > strengths(wins, 0.1)[0]
    assert strengths(better + 4 * np.eye(3), 0.1) == pytest.approx(strengths(better, 0.1))


@pytest.mark.parametrize(
    ("wins", "ridge", "message"),
    [
        ([[0, 1]], 0.1, "shape"),
        ([[0, -1], [0, 0]], 0.1, "negative"),
        ([[0, float("nan")], [0, 0]], 0.1, "non-finite"),
        ([[0, 1], [0, 0]], 0.0, "ridge"),
    ],
)
def test_what_cannot_be_fitted_is_refused(wins, ridge, message):
    with pytest.raises(ValueError, match=message):
        strengths(wins, ridge)
