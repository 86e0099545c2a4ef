"""Exact sign test of paired differences: does one side win more prompts than chance, however large the differences are?

Under the null each prompt that differs is a fair coin (ties say nothing): p = P(|X - n/2| >= |ups - n/2|) for X of
Binomial(ups + downs, 1/2). It assumes independent prompts and nothing about sizes, so a single wild prompt cannot make
it; the paired t-interval asks about the mean instead, and the two can differ.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import binomtest


@dataclass(frozen=True, slots=True)
class SignTest:
    """`p` is 1 where nothing differs."""

    ups: int
    downs: int
    ties: int
    p: float


def sign_test(differences: Iterable[float]) -> SignTest:
    """One difference a prompt; two-sided."""
    values = list(differences)
    ups, downs = sum(value > 0 for value in values), sum(value < 0 for value in values)
    p = float(binomtest(ups, ups + downs).pvalue) if ups + downs else 1.0
    return SignTest(ups, downs, len(values) - ups - downs, p)
