"""Intervals cover what they promise, clusters count once, and nothing is ever NaN."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from selfreward.measuring.stats.clustered import (
    NOTHING,
    cluster_means,
    clustered_mean,
    clustered_share,
    paired_difference,
    robust_variance,
    t_quantile,
    tau_b,
    trend,
    wilson,
)
from selfreward.measuring.stats.nested_difference import nested_paired_difference
from selfreward.measuring.stats.resampling import _bca_levels, clustered_entropy, clustered_median, clustered_spearman

NUMBERS = st.floats(-1e6, 1e6)


def names(sizes):
    """Cluster names for clusters of these sizes."""
    return [f"p{cluster}" for cluster, size in enumerate(sizes) for _ in range(size)]


def coverage(draw, truth, repeats):
    """Share of intervals that hold the truth."""
    inside = 0
    for seed in range(repeats):
        estimate = draw(np.random.default_rng(seed))
        inside += estimate.low <= truth <= estimate.high
    return inside / repeats


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=2, max_size=20))
def test_equal_clusters_give_the_error_of_the_mean_of_cluster_means_and_a_t_quantile_by_their_kurtosis(groups):
    flat = [value for group in groups for value in group]
    estimate = clustered_mean(flat, names([3] * len(groups)))
    means = np.mean(groups, axis=1)
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    half = (estimate.high - estimate.low) / 2
    scale = max(1.0, float(np.abs(flat).max()))
    assert estimate.value == pytest.approx(np.mean(flat), abs=1e-9 * scale)
    narrowest, widest = (float(reference.t.ppf(0.975, freedom)) * error for freedom in (len(means) - 1, 1))
    assert narrowest - 1e-6 * scale <= half <= widest + 1e-6 * scale


def test_degrees_of_freedom_are_those_of_the_clusters_that_hold_the_variance():
    normal = np.random.default_rng(0).normal(size=4000)
    _, freedom = robust_variance(normal - normal.mean(), np.ones(4000))
    assert freedom == pytest.approx(3999, rel=0.1)  # normal residuals: Satterthwaite's is the number of clusters
    few = np.zeros(100)
    few[:5] = (1, -1, 1, -1, 1)
    assert robust_variance(few - few.mean(), np.ones(100))[1] == pytest.approx(2 * 5, rel=0.1)
    assert robust_variance(np.asarray([1.0, -1.0]), np.ones(2))[1] == 1.0
    assert robust_variance(np.zeros(4), np.ones(4)) == (0.0, 3.0)


def test_the_robust_variance_of_unequal_clusters_is_the_jackknifes():
    """A second implementation: leave every cluster out and take the ratio again."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 12, 30).astype(float)
    sums = rng.normal(size=30) * sizes
    ratio = sums.sum() / sizes.sum()
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    variance, _ = robust_variance(sums - ratio * sizes, sizes)
    assert variance == pytest.approx(29 / 30 * ((without - ratio) ** 2).sum())


@pytest.mark.parametrize("copies", [1, 2, 7])
def test_copies_of_a_row_inside_its_cluster_add_no_certainty(copies):
    rng = np.random.default_rng(0)
    values, other = rng.integers(0, 6, 50), rng.integers(0, 6, 50)
    once, many = names([1] * 50), names([copies] * 50)
    repeated, again = np.repeat(values, copies), np.repeat(other, copies)
    assert clustered_mean(repeated, many).low == pytest.approx(clustered_mean(values, once).low)
    for got, expected in (
        (clustered_spearman(repeated, again, many), clustered_spearman(values, other, once)),
        (clustered_entropy(repeated, many), clustered_entropy(values, once)),
    ):
        assert (got.value, got.low, got.high) == pytest.approx((expected.value, expected.low, expected.high))
    share, single = clustered_share(repeated > 2, many), clustered_share(values > 2, once)
    assert share.high - share.low >= single.high - single.low


@given(st.integers(1, 400), st.data())
def test_wilson_is_scipys_and_singletons_get_it(n, data):
    hits = data.draw(st.integers(0, n))
    exact = reference.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((exact.low, exact.high), abs=1e-9)
    if n > 1:
        estimate = clustered_share([1.0] * hits + [0.0] * (n - hits), names([1] * n))
        assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6), min_size=2, max_size=12))
def test_a_share_stays_between_0_and_1_and_is_never_certain(groups):
    flat = [value for group in groups for value in group]
    estimate = clustered_share(flat, names([len(group) for group in groups]))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high > estimate.low


def correlated_shares(rng, clusters=40, size=6, concentration=1.5, mean=0.3):
    """Six answers to each prompt; prompts differ in how hard they are."""
    hardness = rng.beta(concentration * mean, concentration * (1 - mean), clusters)
    return (rng.random((clusters, size)) < hardness[:, None]).astype(float).reshape(-1), names([size] * clusters)


def unequal_means(rng):
    sizes = rng.integers(1, 12, 40)
    values = np.repeat(rng.normal(2.0, 1.0, 40), sizes) + rng.normal(0, 1.0, int(sizes.sum()))
    return values, names(sizes)


def correlated_pairs(rng, clusters=60, size=5, rho=0.6):
    first = np.repeat(rng.normal(size=clusters), size) + rng.normal(size=clusters * size)
    second = rho * first / math.sqrt(2) + math.sqrt(1 - rho**2) * rng.normal(size=clusters * size)
    return first, second, names([size] * clusters)


COVERAGE = {
    "unequal means": (lambda rng: clustered_mean(*unequal_means(rng)), 2.0),
    "clustered share": (lambda rng: clustered_share(*correlated_shares(rng)), 0.3),
    "small share": (lambda rng: clustered_share(*correlated_shares(rng, mean=0.03)), 0.03),
    "single share": (lambda rng: clustered_share((rng.random(80) < 0.9).astype(float), names([1] * 80)), 0.9),
    "rank correlation": (
        lambda rng: clustered_spearman(*correlated_pairs(rng)),
        6 / math.pi * math.asin(0.6 / 2),  # Spearman's rho of a bivariate normal with correlation .6
    ),
    "entropy": (
        lambda rng: clustered_entropy(rng.choice(4, 600, p=[0.55, 0.25, 0.15, 0.05]), names([3] * 200)),
        1.6010,
    ),
    "median": (lambda rng: clustered_median(np.repeat(rng.normal(1, 1, 101), 3), names([3] * 101)), 1.0),
}


def check_coverage(case, repeats, lowest, highest=1.0):
    draw, truth = COVERAGE[case]
    assert lowest <= coverage(draw, truth, repeats) <= highest


@pytest.mark.parametrize("case", ["unequal means", "clustered share", "small share", "single share"])
def test_intervals_hold_the_truth(case):
    check_coverage(case, 300, 0.91)


@pytest.mark.parametrize("case", ["rank correlation", "entropy", "median"])
def test_bootstrap_intervals_hold_the_truth(case):
    check_coverage(case, 300, 0.90)


@pytest.mark.slow
@pytest.mark.parametrize("case", COVERAGE)
def test_intervals_hold_the_truth_about_as_often_as_they_say(case):
    check_coverage(case, 2000, 0.91 if case == "small share" else 0.925, 0.99)


def test_ignoring_the_clusters_would_not_hold_the_truth():
    """The ruler: the same draws, taken for independent rows, must be seen to fail."""

    def naive(rng):
        values, _ = correlated_shares(rng)
        return clustered_share(values, names([1] * len(values)))

    assert coverage(naive, 0.3, 300) < 0.85


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_rank_correlations_are_scipys(rows):
    first, second = zip(*rows, strict=True)
    rho = clustered_spearman(first, second, names([1] * len(rows)))
    tau = tau_b(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert rho.value is None and rho.low is None and rho.n == len(rows) and tau is None
    else:
        assert rho.value == pytest.approx(reference.spearmanr(first, second)[0], abs=1e-9)
        assert tau == pytest.approx(reference.kendalltau(first, second)[0], abs=1e-9)


def test_the_fast_bootstrap_is_the_plain_one():
    """A second implementation: draw clusters, stack their rows, ask scipy."""
    first, second, clusters = correlated_pairs(np.random.default_rng(3), clusters=30)
    first, second = np.round(first), np.round(second)
    estimate = clustered_spearman(first, second, clusters)
    blocks = np.stack([first, second], axis=1).reshape(30, 5, 2)
    rng = np.random.default_rng(0)
    plain = [reference.spearmanr(blocks[rng.integers(30, size=30)].reshape(-1, 2)).statistic for _ in range(4000)]
    # BCa moves the ends a little outwards and, near 1, to the left: both stay close to the plain percentiles.
    assert (estimate.low, estimate.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.05)


def test_bca_without_bias_and_skewness_is_the_plain_percentile_and_corrects_both():
    symmetric = np.concatenate([np.arange(1.0, 500), -np.arange(1.0, 500)])
    levels = _bca_levels(0.5, symmetric, 1_000_000)
    assert levels == pytest.approx([0.025, 0.975], abs=1e-3)
    # Efron & Tibshirani 1993, 14.10: alpha = Phi(z0 + (z0 + z) / (1 - a (z0 + z))).
    skewed = np.random.default_rng(0).exponential(size=500)
    influence = skewed.mean() - skewed
    a = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    _, freedom = robust_variance(influence, np.ones(500))
    z0, reach = reference.norm.ppf(0.4), reference.t.ppf([0.025, 0.975], freedom) * math.sqrt(500 / 499)
    expected = reference.norm.cdf(z0 + (z0 + reach) / (1 - a * (z0 + reach)))
    assert _bca_levels(0.4, skewed, 500) == pytest.approx(expected)


def test_entropy_has_the_interval_of_its_jackknife():
    values, clusters = np.random.default_rng(2).integers(0, 4, 120), names([3] * 40)
    estimate = clustered_entropy(values, clusters)

    def bits(kept):
        return reference.entropy(np.unique(values[kept], return_counts=True)[1], base=2)

    position = np.arange(120) // 3
    without = np.asarray([bits(position != cluster) for cluster in range(40)])
    error = math.sqrt(39 / 40 * ((without - without.mean()) ** 2).sum())
    assert estimate.value == pytest.approx(bits(position >= 0))
    freedom = robust_variance(without - without.mean(), np.ones(40))[1]
    assert estimate.low == pytest.approx(estimate.value - reference.t.ppf(0.975, freedom) * error)
    assert estimate.high == pytest.approx(min(2.0, estimate.value + reference.t.ppf(0.975, freedom) * error))


def test_rank_correlation_of_noise_holds_zero_and_of_itself_is_one():
    rng = np.random.default_rng(1)
    noise = clustered_spearman(rng.normal(size=600), rng.normal(size=600), names([6] * 100))
    assert noise.low < 0 < noise.high
    same = clustered_spearman(np.arange(600), np.arange(600) ** 3, names([6] * 100))
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)


def test_entropy_and_median_of_known_lists():
    clusters = names([1] * 4)
    assert clustered_entropy([1, 2, 3, 4], clusters).value == 2.0
    assert clustered_entropy([1, 1, 1, 1], clusters) == type(NOTHING)(0.0, 0.0, 0.0, 4)
    assert clustered_median([1, 2, 10, 100], clusters).value == 6.0
    assert clustered_median([1, 2, 10], clusters[:3]).value == 2.0


@pytest.mark.parametrize("statistic", [clustered_mean, clustered_share, clustered_entropy, clustered_median])
def test_one_cluster_has_a_value_and_no_interval_and_no_row_has_neither(statistic):
    estimate = statistic([0.0, 1.0], ["p", "p"])
    assert estimate.value is not None and estimate.low is None and estimate.high is None and estimate.n == 1
    assert statistic([], []) == NOTHING


def test_no_rows_correlate_with_nothing():
    assert clustered_spearman([], [], []) == NOTHING


@given(st.permutations(range(30)))
def test_the_order_of_rows_changes_no_share_mean_or_bootstrap(order):
    rng = np.random.default_rng(5)
    values, other, clusters = rng.integers(0, 6, 30), rng.integers(0, 6, 30), names([3] * 10)
    shuffled = [clusters[position] for position in order]
    index = list(order)
    assert clustered_spearman(values[index], other[index], shuffled) == clustered_spearman(values, other, clusters)
    assert clustered_mean(values[index], shuffled).value == clustered_mean(values, clusters).value


def test_a_move_that_few_clusters_show_leaves_room_for_one_that_none_shows():
    names = [f"p{index:02d}" for index in range(50)]
    still = dict.fromkeys(names, 0.5)
    t = reference.t.ppf(0.975, 49)
    nothing = paired_difference(still, still)
    assert (nothing.value, nothing.low) == (0.0, pytest.approx(-(t**2) / (50 + t**2)))
    assert nothing.high == pytest.approx(wilson(0, 50, t)[1])
    alike = paired_difference(still | dict.fromkeys(names, 0.7), still)
    assert (alike.value, alike.high) == (pytest.approx(0.2), pytest.approx(0.2 + nothing.high))
    # As many as moved, and how far one may: at least by 1, or by what was seen.
    for moved, by in ((3, 0.2), (3, 4.0), (40, 0.2)):
        after = still | dict.fromkeys(names[:moved], 0.5 + by)
        found = paired_difference(after, still)
        plain = clustered_mean([after[name] - 0.5 for name in names], names)
        unseen = t * max(1.0, by) * math.sqrt((1 - moved / 50) * math.exp(-moved / 10) / (50 * 49))
        assert found.high - found.value == pytest.approx(math.hypot(plain.high - plain.value, unseen))


@pytest.mark.parametrize("count", [5, 50])
def test_where_every_cluster_moved_a_paired_difference_is_a_plain_mean(count):
    before = {f"p{index:02d}": 0.0 for index in range(count)}
    after = {name: 0.01 + index / 1000 for index, name in enumerate(before)}
    plain = clustered_mean(list(after.values()), list(after))
    found = paired_difference(after, before)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_paired_difference_sees_through_the_prompts_and_counts_common_ones():
    rng = np.random.default_rng(2)
    hardness = rng.normal(0, 10, 100)
    before = {f"p{i}": hardness[i] + rng.normal(0, 0.1) for i in range(100)}
    after = {f"p{i}": hardness[i] + 0.2 + rng.normal(0, 0.1) for i in range(10, 110 - 10)}
    difference = paired_difference(after, before)
    assert difference.n == 90 and 0.1 < difference.low < difference.value < difference.high < 0.3
    assert paired_difference(before, before).value == 0.0
    assert paired_difference({"p": 1.0}, {"q": 1.0}) == NOTHING


def test_cluster_means():
    assert cluster_means([1.0, 3.0, 5.0], ["b", "b", "a"]) == {"a": 5.0, "b": 2.0}


def test_trend_is_the_slope_and_noise_has_none():
    rng = np.random.default_rng(4)
    prompts = [f"p{i}" for i in range(80)]
    level = dict(zip(prompts, rng.normal(0, 5, 80), strict=True))
    rising = {k: {name: level[name] + 0.3 * k + rng.normal(0, 0.2) for name in prompts} for k in (0, 1, 3)}
    slope = trend(rising)
    assert slope.low < 0.3 < slope.high and slope.low > 0.2 and slope.n == 80
    flat = {k: {name: level[name] + rng.normal(0, 0.2) for name in prompts} for k in (0, 1, 2)}
    assert trend(flat).low < 0 < trend(flat).high
    assert trend({0: level}) == NOTHING
    exact = trend({0: {"p": 1.0, "q": 0.0}, 2: {"p": 5.0, "q": 4.0, "only here": 9.0}})
    assert (exact.value, exact.n) == (2.0, 2)


def experiment(rng, effect=0.1, models=3, runs=3, prompts=60, model_sd=0.03, run_sd=0.02, prompt_sd=0.2, noise=0.3):
    """Differences of two arms with variance from every source."""
    of_prompt = rng.normal(0, prompt_sd, prompts)
    table = {}
    for model in range(models):
        of_model = rng.normal(0, model_sd)
        for run in range(runs):
            of_run = rng.normal(0, run_sd)
            for prompt in range(prompts):
                value = effect + of_model + of_run + of_prompt[prompt] + rng.normal(0, noise)
                table[f"m{model}", f"r{run}", f"p{prompt}"] = float(value)
    return table


def test_nested_difference_counts_and_averages():
    table = {("m0", "r0", "p0"): 1.0, ("m0", "r1", "p0"): 3.0, ("m1", "r0", "p0"): 5.0}
    table |= {(model, run, "p1"): value for (model, run, _), value in table.items()}
    table["m1", "r0", "only here"] = 1000.0
    result = nested_paired_difference(table)
    assert result.estimate.value == pytest.approx(3.5)  # runs inside a model first, then models
    assert (result.models, result.runs, result.prompts, result.estimate.n) == (2, 3, 2, 2)
    assert result.unit == "seed models and prompts"
    assert nested_paired_difference({}).estimate == NOTHING


def test_nested_difference_says_what_its_interval_speaks_for():
    rng = np.random.default_rng(0)
    runs = nested_paired_difference(experiment(rng, models=1))
    assert runs.unit == "run seeds and prompts of one seed model" and runs.estimate.n == 3
    single = nested_paired_difference(experiment(rng, models=1, runs=1, prompts=30))
    assert single.unit == "prompts of one run" and single.estimate.low is not None
    one = nested_paired_difference({("m", "r", "p"): 1.0})
    assert (one.estimate.value, one.estimate.low, one.smallest_effect, one.resolved) == (1.0, None, None, False)


def test_a_trend_over_two_rounds_is_a_paired_difference_and_has_room_too():
    names = [f"p{index:02d}" for index in range(20)]
    before = dict.fromkeys(names, 0.0)
    for after in (before, before | {"p03": 1.0}, {name: index / 7 for index, name in enumerate(names)}):
        two, difference = trend({4: before, 5: after}), paired_difference(after, before)
        assert (two.value, two.low, two.high) == pytest.approx((difference.value, difference.low, difference.high))
    # Up and down again is a move although its slope is 0; a step in the middle of four rounds is a slope of .4.
    there_and_back = {0: before, 1: dict.fromkeys(names, 1.0), 2: before}
    assert trend(there_and_back).low < 0 == trend(there_and_back).value
    still = trend(dict.fromkeys(range(4), before))
    assert still.high == pytest.approx(0.4 * paired_difference(before, before).high)


def test_runs_that_agree_on_every_prompt_may_differ_on_the_next_one():
    cells = [(model, run, f"p{prompt}") for model in "ab" for run in "rs" for prompt in range(16)]
    for value in (0.0, 1.0):
        found = nested_paired_difference(dict.fromkeys(cells, value), (-1.0, 1.0))
        assert found.smallest_effect > 0.2 and found.estimate.low < value - 0.2
        assert found.estimate.high == (1.0 if value else pytest.approx(-found.estimate.low))
    # One run against another: Student's interval with room as in a paired difference.
    one = {("m", "r", f"p{prompt}"): float(prompt == 3) for prompt in range(16)}
    found = nested_paired_difference(one).estimate
    unseen = 15 / 16 * math.exp(-0.1) / (16 * 15)
    half = reference.t.ppf(0.975, 15) * math.sqrt(np.var(list(one.values()), ddof=1) / 16 + unseen)
    assert (found.low, found.high) == pytest.approx((1 / 16 - half, 1 / 16 + half))
    # A value that no prompt owns: three runs without a difference.
    ranks = nested_paired_difference({("m", run, ""): 0.0 for run in "rst"}, (-2.0, 2.0))
    assert ranks.estimate.high > 0.5 and ranks.unit == "run seeds of one seed model"


@given(st.lists(st.floats(0, 1), min_size=2, max_size=4), st.integers(1, 6))
def test_no_interval_leaves_its_scale_and_no_smallest_effect_is_nothing(levels, prompts):
    table = {("m", str(run), str(p)): level for run, level in enumerate(levels) for p in range(prompts)}
    found = nested_paired_difference(table, (0.0, 1.0))
    low, value, high = found.estimate.low, found.estimate.value, found.estimate.high
    assert 0 <= low <= value <= high <= 1 + 1e-12 and 0 < found.smallest_effect <= 1


def test_one_run_gives_the_paired_t_interval():
    table = experiment(np.random.default_rng(0), models=1, runs=1, prompts=30)
    differences = list(table.values())
    low, high = reference.t.interval(0.95, 29, np.mean(differences), reference.sem(differences))
    result = nested_paired_difference(table).estimate
    assert (result.low, result.high) == pytest.approx((low, high))


def nested_coverage(repeats, **planted):
    inside = resolved = 0
    for seed in range(repeats):
        result = nested_paired_difference(experiment(np.random.default_rng(seed), **planted))
        inside += result.estimate.low <= planted.get("effect", 0.1) <= result.estimate.high
        resolved += result.resolved
    return inside / repeats, resolved / repeats


def test_nested_intervals_hold_the_truth():
    held, _ = nested_coverage(300)
    assert held > 0.92
    held, resolved = nested_coverage(300, effect=0.0)
    assert held > 0.92 and resolved < 0.08


@pytest.mark.slow
@pytest.mark.parametrize(
    "planted", [{}, {"models": 5, "runs": 1}, {"prompt_sd": 0.0, "prompts": 20}, {"model_sd": 0.2}, {"prompt_sd": 0.6}]
)
def test_nested_intervals_hold_the_truth_whichever_source_dominates(planted):
    held, _ = nested_coverage(1000, **planted)
    assert 0.94 < held < 0.995


def test_the_smallest_effect_is_found_four_times_in_five():
    """Plant the effect that the experiment itself calls resolvable; many models, so that its estimate is stable."""
    planted = {"models": 8, "runs": 2, "prompts": 40, "prompt_sd": 0.1}
    effects = [
        nested_paired_difference(experiment(np.random.default_rng(seed), **planted)).smallest_effect
        for seed in range(50)
    ]
    _, resolved = nested_coverage(300, effect=float(np.mean(effects)), **planted)
    assert 0.7 < resolved < 0.95


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_rows_agree_each_cluster_is_one_trial(value: float) -> None:
    """Ten clusters of four rows say as much as ten rows: nothing shows how alike the rows of a cluster are."""
    found = clustered_share([value] * 40, [f"p{row // 4}" for row in range(40)])
    low, high = wilson(10 * value, 10, t_quantile(0.975, 9))
    assert found.n == 10 and found.low == pytest.approx(low, abs=1e-9) and found.high == pytest.approx(high, abs=1e-9)
