"""One question about a round per file: what is asked of its rows, how it is counted, what is left out.

A metric is a function `measure(evidence) -> list[Measurement]`. Add one by writing the file and its line here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfreward.metrics.evidence import Evidence
    from selfreward.records import Measurement

METRICS: dict[str, str] = {
    "truth": "selfreward.metrics.truth:measure",
    "belief": "selfreward.metrics.belief:measure",
    "judge": "selfreward.metrics.judge:measure",
    "judge_health": "selfreward.metrics.judge_health:measure",
    "judge_agreement": "selfreward.metrics.judge_agreement:measure",
    "locked_anchors": "selfreward.metrics.locked_anchors:measure",
    "judge_stability": "selfreward.metrics.judge_stability:measure",
    "judge_length": "selfreward.metrics.judge_length:measure",
    "judge_padding": "selfreward.metrics.judge_padding:measure",
    "judge_sycophancy": "selfreward.metrics.judge_sycophancy:measure",
    "judge_anchor": "selfreward.metrics.judge_anchor:measure",
    "self_preference": "selfreward.metrics.self_preference:measure",
    "length": "selfreward.metrics.length:measure",
    "form": "selfreward.metrics.form:measure",
    "pairs": "selfreward.metrics.pairs:measure",
    "drift": "selfreward.metrics.drift:measure",
    "text_drift": "selfreward.metrics.text_drift:measure",
    "output_drift": "selfreward.metrics.output_drift:measure",
    "two_sample": "selfreward.metrics.two_sample:measure",
    "diversity": "selfreward.metrics.diversity:measure",
    "lexical_diversity": "selfreward.metrics.lexical_diversity:measure",
    "embedded_diversity": "selfreward.metrics.embedded_diversity:measure",
    "coverage": "selfreward.metrics.coverage:measure",
    "best_of_n": "selfreward.metrics.best_of_n:measure",
    "win_rate": "selfreward.metrics.win_rate:measure",
    "held_out": "selfreward.metrics.held_out:measure",
    "meta": "selfreward.metrics.meta:measure",
    "asked": "selfreward.metrics.asked:measure",
    "cohorts": "selfreward.metrics.cohorts:measure",
}

VERSIONS: dict[str, int] = {}
"""Metric → version, 1 where none stands. Raise it when a metric's numbers change for equal rows: measurements are known
by the names and versions of their metrics, and not by where the files lie.
"""


def fingerprint() -> dict[str, int]:
    """Every metric's name and version."""
    return {name: VERSIONS.get(name, 1) for name in sorted(METRICS)}


def measure_all(evidence: Evidence) -> list[Measurement]:
    """Every metric's rows, in the order of `METRICS`. A metric without its evidence gives no rows."""
    rows: list[Measurement] = []
    for address in METRICS.values():
        module, attribute = address.split(":")
        rows += getattr(importlib.import_module(module), attribute)(evidence)
    return rows
