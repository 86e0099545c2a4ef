"""Is the policy better at equal length, or only shorter (or longer)? Asked of the verifier (oracle).

true_accuracy_at_length_change   share of right answers minus that of round 0, within levels of length

Short answers satisfy some instructions by themselves and escape the token limit, so a gain in accuracy that is gone
here was bought with length. The levels are `LEVELS` equal parts of both rounds' answers by sampled tokens; answers
that ran into the limit are a level of their own. Levels that one round never wrote in say nothing and are left out,
so the number is about the lengths that both have. The difference within a level is `matched_difference`.
"""

from collections.abc import Sequence

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import by_pool, evaluated, row
from selfreward.measuring.metrics.families import TRUTH
from selfreward.measuring.metrics.matched import matched_difference
from selfreward.records import Measurement, Response

LEVELS = 8
CUT = float(LEVELS)
"""The level of answers that were cut off."""

ABOUT = About(
    "truth_at_length",
    (
        Metric(
            "true_accuracy_at_length_change",
            "true accuracy at equal length, change",
            TRUTH,
            scale=(-1.0, 1.0),
            planted=(up("drift"),),
            truth="oracle",
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    verifier = evidence.verifier
    if verifier is None or evidence.initial is None or not evidence.initial.responses or evidence.round == 0:
        return []
    first = dict(by_pool(evidence.initial, "the pools of round 0"))
    found = []
    for pool, answers in evaluated(evidence):
        both = [(answer, now) for now, side in ((False, first.get(pool, [])), (True, answers)) for answer in side]
        truths = [verifier.check(answer.prompt, answer.response.text) for answer, _ in both]
        kept = [(one, truth) for one, truth in zip(both, truths, strict=True) if not truth.open]
        estimate = matched_difference(
            [float(truth.correct) for _, truth in kept],
            [now for (_, now), _ in kept],
            length_levels([answer.response for (answer, _), _ in kept]),
            [answer.prompt.id for (answer, _), _ in kept],
        )
        found.append(
            row(
                evidence,
                "true_accuracy_at_length_change",
                estimate,
                pool=pool,
                excluded=len(both) - len(kept),
                better="higher",
            )
        )
    return found


def length_levels(responses: Sequence[Response]) -> list[float]:
    """The level of each answer: where its length lies among all of them, or `CUT`."""
    if not responses:
        return []
    lengths = np.array([len(response.token_ids) for response in responses], dtype=np.float64)
    cuts = np.quantile(lengths, np.arange(1, LEVELS) / LEVELS)
    within = np.searchsorted(cuts, lengths, side="left")
    cut_off = np.array([response.finish_reason == "length" for response in responses])
    return [float(level) for level in np.where(cut_off, CUT, within)]
