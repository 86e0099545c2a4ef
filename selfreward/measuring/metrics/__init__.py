"""One question about a round per file: what is asked of its rows, how it is counted, what is left out.

A metric is a function `measure(evidence) -> list[Measurement]`. Add one by writing the file and its line here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfreward.recipe.doors import identity, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selfreward.measuring.evidence import Evidence
    from selfreward.records import Measurement

METRICS: dict[str, str] = {
    "truth": "selfreward.measuring.metrics.policy.truth:measure",
    "belief": "selfreward.measuring.metrics.judge.belief:measure",
    "judge": "selfreward.measuring.metrics.judge.judge:measure",
    "judge_health": "selfreward.measuring.metrics.judge.health:measure",
    "judge_agreement": "selfreward.measuring.metrics.judge.agreement:measure",
    "locked_anchors": "selfreward.measuring.metrics.judge.locked_anchors:measure",
    "judge_stability": "selfreward.measuring.metrics.judge.stability:measure",
    "judge_length": "selfreward.measuring.metrics.judge.length:measure",
    "judge_padding": "selfreward.measuring.metrics.judge.padding:measure",
    "judge_sycophancy": "selfreward.measuring.metrics.judge.sycophancy:measure",
    "judge_anchor": "selfreward.measuring.metrics.judge.anchor:measure",
    "self_preference": "selfreward.measuring.metrics.judge.self_preference:measure",
    "length": "selfreward.measuring.metrics.policy.length:measure",
    "form": "selfreward.measuring.metrics.policy.form:measure",
    "pairs": "selfreward.measuring.metrics.policy.pairs:measure",
    "policy_gradient": "selfreward.measuring.metrics.policy.policy_gradient:measure",
    "label_calibration": "selfreward.measuring.metrics.judge.label_calibration:measure",
    "drift": "selfreward.measuring.metrics.policy.drift:measure",
    "text_drift": "selfreward.measuring.metrics.policy.text_drift:measure",
    "output_drift": "selfreward.measuring.metrics.policy.output_drift:measure",
    "two_sample": "selfreward.measuring.metrics.policy.two_sample:measure",
    "shift": "selfreward.measuring.metrics.policy.shift:measure",
    "diversity": "selfreward.measuring.metrics.policy.diversity:measure",
    "lexical_diversity": "selfreward.measuring.metrics.policy.lexical_diversity:measure",
    "embedded_diversity": "selfreward.measuring.metrics.policy.embedded_diversity:measure",
    "coverage": "selfreward.measuring.metrics.policy.coverage:measure",
    "best_of_n": "selfreward.measuring.metrics.judge.best_of_n:measure",
    "win_rate": "selfreward.measuring.metrics.policy.win_rate:measure",
    "held_out": "selfreward.measuring.metrics.judge.held_out:measure",
    "meta": "selfreward.measuring.metrics.judge.meta:measure",
    "asked": "selfreward.measuring.probes.asked:measure",
    "cohorts": "selfreward.measuring.metrics.policy.cohorts:measure",
}

VERSIONS: dict[str, int] = {}
"""Metric → version, 1 where none stands. Raise it when a metric's numbers change for equal rows: measurements are known
by the names and versions of their metrics, and not by where the files lie.
"""


def fingerprint(foreign: Sequence[str] = ()) -> dict[str, int]:
    """Every metric's name and version; the name of somebody's own holds the hash of its file."""
    own = {identity("metrics", name, METRICS): 1 for name in foreign}
    return {name: VERSIONS.get(name, 1) for name in sorted(METRICS)} | own


def measure_all(evidence: Evidence, foreign: Sequence[str] = ()) -> list[Measurement]:
    """Every metric's rows, in the order of `METRICS`, then the `foreign` ones'. One without its evidence gives none."""
    rows: list[Measurement] = []
    for name in (*METRICS, *foreign):
        rows += load("metrics", name, METRICS)(evidence)
    return rows
