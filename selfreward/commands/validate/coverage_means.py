"""Coverage cases of means and shares: what is drawn, and the exact truth.

A case makes, for a layout, an intra-cluster correlation and a setting, a function generator → Estimate, and the truth.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from selfreward.commands.validate.clustered_draws import Layout
from selfreward.measuring.metrics.judge.length import slope
from selfreward.measuring.metrics.policy.win_rate import length_controlled
from selfreward.measuring.stats.clustered import (
    Array,
    Estimate,
    cluster_means,
    clustered_mean,
    clustered_share,
    paired_difference,
    trend,
)
from selfreward.measuring.stats.corrected import corrected_share, errors_of
from selfreward.measuring.stats.jackknife import grouped_jackknife
from selfreward.measuring.stats.nested_difference import nested_paired_difference

Draw = Callable[[np.random.Generator], Estimate]


def share(layout: Layout, correlation: float, p: float) -> tuple[Draw, float]:
    def draw(generator: np.random.Generator) -> Estimate:
        hits = layout.draw(generator, correlation, lambda rng, n: (rng.random(n) < p).astype(np.float64))
        return clustered_share(hits, layout.names)

    return draw, p


def share_less_errors(layout: Layout, correlation: float, p: float) -> tuple[Draw, float]:
    """As a classifier flags it: .85 of those and .1 of the others, as 100 and 100 labelled rows tell."""
    hits, false, labels = 0.85, 0.1, [True] * 100 + [False] * 100

    def draw(generator: np.random.Generator) -> Estimate:
        kinds = layout.draw(generator, correlation, lambda rng, n: (rng.random(n) < p).astype(np.float64))
        flags = generator.random(len(kinds)) < np.where(kinds > 0, hits, false)
        told = generator.random(200) < np.where(labels, hits, false)
        found = corrected_share(clustered_share(flags, layout.names), errors_of(told.tolist(), labels))
        assert found is not None
        return Estimate(found.unclipped, found.estimate.low, found.estimate.high, found.estimate.n)

    return draw, p


def mean_of_points(layout: Layout, correlation: float, p: float) -> tuple[Draw, float]:
    """Rubric points: binomial, 0 to 5."""

    def draw(generator: np.random.Generator) -> Estimate:
        points = layout.draw(generator, correlation, lambda rng, n: rng.binomial(5, p, n).astype(np.float64))
        return clustered_mean(points, layout.names)

    return draw, 5 * p


def mean_of_lengths(layout: Layout, correlation: float, sigma: float) -> tuple[Draw, float]:
    """Log-normal, as lengths are: skewed."""

    def draw(generator: np.random.Generator) -> Estimate:
        return clustered_mean(layout.draw(generator, correlation, partial(lengths, sigma)), layout.names)

    return draw, float(np.exp(3 + sigma**2 / 2))


def lengths(sigma: float, generator: np.random.Generator, count: int) -> Array:
    return generator.lognormal(3, sigma, count)


def ratio_per_token(layout: Layout, correlation: float, tilt: float) -> tuple[Draw, float]:
    """A mean over tokens, whose answers differ in length, and whose value grows with the length by `tilt`."""
    lengths = np.arange(4, 13)

    def sample(generator: np.random.Generator, count: int) -> Array:
        return lengths[generator.integers(len(lengths), size=count)].astype(np.float64)

    def draw(generator: np.random.Generator) -> Estimate:
        tokens = layout.draw(generator, correlation, sample)
        values = tilt * (tokens - 8) + generator.normal(size=len(tokens))
        count = tokens.astype(np.intp)
        return clustered_mean(np.repeat(values, count), np.repeat(np.asarray(layout.names), count).tolist())

    return draw, float(tilt * (lengths * (lengths - 8)).sum() / lengths.sum())


def ratio_slope(layout: Layout, correlation: float, per_doubling: float) -> tuple[Draw, float]:
    """Points per doubling of the length, through 0."""

    def draw(generator: np.random.Generator) -> Estimate:
        both = layout.draw(
            generator, correlation, lambda rng, n: np.stack([rng.exponential(1, n), rng.normal(size=n)], 1)
        )
        growth, noise = both[:, 0], both[:, 1]
        rows = zip((per_doubling * growth + noise).tolist(), growth.tolist(), layout.names, strict=True)
        return slope(list(rows))

    return draw, per_doubling


def _two_rounds(
    layout: Layout, correlation: float, generator: np.random.Generator, before: float, after: float
) -> tuple[Array, Array]:
    """Hits of two rounds on the same prompts: a prompt's common draw is common to the rounds."""
    twice = Layout(layout.clusters, 2 * layout.size)
    uniform = twice.draw(generator, correlation, lambda rng, n: rng.random(n)).reshape(layout.clusters, 2, -1)
    return (uniform[:, 0].reshape(-1) < before).astype(np.float64), (uniform[:, 1].reshape(-1) < after).astype(
        np.float64
    )


def paired(layout: Layout, correlation: float, p: float) -> tuple[Draw, float]:
    """Shares of two rounds, .05 apart."""
    other = p + 0.05 if p < 0.5 else p - 0.05

    def draw(generator: np.random.Generator) -> Estimate:
        before, after = _two_rounds(layout, correlation, generator, p, other)
        return paired_difference(cluster_means(after, layout.names), cluster_means(before, layout.names))

    return draw, other - p


def slope_over_rounds(layout: Layout, correlation: float, step: float) -> tuple[Draw, float]:
    """Four rounds, whose mean grows by `step` points."""

    def draw(generator: np.random.Generator) -> Estimate:
        own = generator.normal(size=layout.clusters)
        rounds = {}
        for number in range(4):
            rows = (
                step * number + own[layout.index] + layout.draw(generator, correlation, lambda r, n: r.normal(size=n))
            )
            rounds[number] = cluster_means(rows, layout.names)
        return trend(rounds)

    return draw, step


def nested(layout: Layout, correlation: float, models: float) -> tuple[Draw, float]:
    """Seed models × 3 run seeds × prompts with deviations .02, .01 and .2, and .3 for a cell; mean .05."""

    def draw(generator: np.random.Generator) -> Estimate:
        prompts = generator.normal(0, 0.2, layout.clusters)
        table: dict[tuple[str, str, str], float] = {}
        for model in range(int(models)):
            about = generator.normal(0.05, 0.02)
            for run in range(3):
                cells = generator.normal(about, 0.01) + prompts + generator.normal(0, 0.3, layout.clusters)
                table |= {(str(model), f"{model}/{run}", str(name)): float(cell) for name, cell in enumerate(cells)}
        return nested_paired_difference(table).estimate

    return draw, 0.05


def win_rate(layout: Layout, correlation: float, gain: float) -> tuple[Draw, float]:
    """All pairs of a prompt's answers of two rounds, ties half; the later round's points are 1 higher with this chance.

    A prompt's common draw is common to the rounds: two copies differ by the gain alone.
    """
    levels = np.arange(6)
    then_share = np.full(6, 1 / 6)
    now_share = gain * np.roll(then_share, 1) * (levels > 0) + (1 - gain) * then_share
    now_share[5] += gain * then_share[5]
    apart = float(sum(now_share[i] * then_share[j] * ((i > j) + (i == j) / 2) for i in levels for j in levels))
    copies = gain * (5 / 6 * 1.0 + 1 / 6 * 0.5) + (1 - gain) * 0.5
    side = max(1, layout.size)
    pair_names = [f"prompt {cluster:04d}" for cluster in range(layout.clusters) for _ in range(side**2)]

    def draw(generator: np.random.Generator) -> Estimate:
        twice = Layout(layout.clusters, 2 * side)
        points = twice.draw(generator, correlation, lambda r, n: r.integers(6, size=n).astype(np.float64))
        points = points.reshape(layout.clusters, 2, side)
        now = np.minimum(5, points[:, 1] + (generator.random((layout.clusters, side)) < gain))
        wins = (np.sign(now[:, :, None] - points[:, 0][:, None, :]) + 1) / 2
        return clustered_share(wins.reshape(-1), pair_names)

    return draw, correlation * copies + (1 - correlation) * apart


def win_rate_at_equal_length(layout: Layout, correlation: float, pull: float) -> tuple[Draw, float]:
    """Length-controlled (minimal), where the winner is decided by the length alone, by `pull`: .5 at equal length."""
    ends = np.cumsum(np.bincount(layout.index))[:-1]
    names = list(dict.fromkeys(layout.names))

    def draw(generator: np.random.Generator) -> Estimate:
        gaps = layout.draw(generator, correlation, lambda r, n: r.normal(20, 40, n))
        wins = (generator.random(len(gaps)) < 1 / (1 + np.exp(-pull * np.tanh(gaps / 40)))).astype(np.float64)
        sides = zip(np.split(wins, ends), np.split(gaps, ends), strict=True)
        return length_controlled(dict(zip(names, sides, strict=True)))

    return draw, 0.5


def jackknifed(layout: Layout, correlation: float, sigma: float) -> tuple[Draw, float]:
    """The logarithm of a mean: bent, so that leaving out is no shift."""

    def draw(generator: np.random.Generator) -> Estimate:
        means = cluster_means(layout.draw(generator, correlation, partial(lengths, sigma)), layout.names)
        return grouped_jackknife(lambda kept: float(np.log(np.mean([means[name] for name in kept]))), list(means))

    return draw, 3 + sigma**2 / 2
