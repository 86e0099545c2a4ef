"""Every interval constructor of `measuring/stats/` and the metrics, as a case for the coverage grid."""

from collections.abc import Callable, Mapping
from functools import partial

from selfreward.commands.validate.clustered_draws import Layout
from selfreward.commands.validate.coverage_means import (
    Draw,
    jackknifed,
    mean_of_lengths,
    mean_of_points,
    nested,
    paired,
    ratio_per_token,
    ratio_slope,
    share,
    share_less_errors,
    slope_over_rounds,
    win_rate,
    win_rate_at_equal_length,
)
from selfreward.commands.validate.coverage_rare import nested_few_moves, one_run_few_moves, trend_few_moves
from selfreward.commands.validate.coverage_tables import entropy, median, of_agreement, of_ranks, of_two_labels

Case = Callable[[Layout, float, float], tuple[Draw, float]]
"""(layout, correlation, setting) → what is drawn, and the truth."""

CASES: Mapping[str, tuple[Case, tuple[float, ...]]] = {
    "share (Wilson)": (share, (0.05, 0.2, 0.5, 0.95)),
    "mean, rubric points": (mean_of_points, (0.1, 0.5, 0.9)),
    "mean, lengths": (mean_of_lengths, (0.6,)),
    "mean per token": (ratio_per_token, (0.3,)),
    "slope through 0": (ratio_slope, (0.5,)),
    "paired difference": (paired, (0.05, 0.5, 0.95)),
    "trend": (slope_over_rounds, (0.1,)),
    "trend, few moves": (trend_few_moves, (0.02, 0.1, 0.2)),
    "win rate": (win_rate, (0.0, 0.5)),
    "win rate, length-controlled": (win_rate_at_equal_length, (0.3, 1.0)),
    "nested difference": (nested, (3, 6)),
    "nested difference, few moves": (nested_few_moves, (0.02, 0.1, 0.2)),
    "nested difference, one run": (one_run_few_moves, (0.02, 0.1, 0.2)),
    "jackknife": (jackknifed, (0.6,)),
    "median": (median, (0.6,)),
    "share less a classifier's errors": (share_less_errors, (0.05, 0.3)),
    "entropy": (entropy, (0.3, 0.8)),
    "Spearman": (partial(of_ranks, "spearman"), (0.0, 0.7)),
    "Kendall": (partial(of_ranks, "kendall"), (0.7,)),
    "kappa": (partial(of_agreement, "judge_kappa"), (0.0, 0.7, 0.95)),
    "kappa, quadratic": (partial(of_agreement, "judge_kappa_quadratic"), (0.7,)),
    "AC1": (partial(of_agreement, "judge_ac1"), (0.7,)),
    "raw agreement": (partial(of_agreement, "judge_raw_agreement"), (0.7, 0.95)),
    "Youden": (partial(of_two_labels, "youden"), (0.7,)),
    "AUC": (partial(of_two_labels, "auc"), (0.7,)),
}
"""Name → its case and settings: a share, a mean's share of the maximum, a skewness, an agreement ..."""
BOOTSTRAPPED = ("median", "Spearman", "Kendall", "kappa, quadratic", "Youden", "AUC", "win rate, length-controlled")
"""A thousand resamples, or twenty fits, for every interval."""
