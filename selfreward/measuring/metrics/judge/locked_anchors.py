"""Does the judge agree with people on answers that never steered? The report beside what the gates read.

What `judge` and `judge_agreement` measure on the frozen pool, on the locked share of its human labels, under the pool
`locked`: no gate rule can name that pool. A judge that was chosen, or trained until a gate was silent, on the other
labels looks better there than here.
"""

import dataclasses

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About
from selfreward.measuring.metrics.judge import agreement as judge_agreement
from selfreward.measuring.metrics.judge.judge import frozen_pool
from selfreward.records import Measurement

ABOUT = About("locked_anchors", ())
"""The numbers are those of `judge` and `judge_agreement`."""


def measure(evidence: Evidence) -> list[Measurement]:
    if not evidence.locked:
        return []
    shown = dataclasses.replace(evidence, frozen=evidence.locked, frozen_judgments=evidence.locked_judgments)
    return [dataclasses.replace(row, pool="locked") for row in [*frozen_pool(shown), *judge_agreement.measure(shown)]]
