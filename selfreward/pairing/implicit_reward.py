"""The implicit reward of DPO as a score (CREAM, 2410.12735 §4; DICE, 2406.09760).

    r(y) = log pi(y | x) - log pi_ref(y | x)        sums over the tokens of the answer

The factor beta is left out: it changes neither ranks nor which answer is best. Where the policy is its own reference
(the start policy against itself) r is 0 for every answer, so the length-normalised log-likelihood, the mean per token,
is ranked instead, as CREAM's code does where it has no reference. The two are never mixed in one ranking.
"""

import math
from collections.abc import Mapping, Sequence

from selfreward.judging.scoring.score import Score, counted
from selfreward.records import Likelihood


def implicit_rewards(policy: Sequence[Likelihood], reference: Sequence[Likelihood] | None) -> dict[str, Score]:
    """By response id; `reference` is None where the policy is its own. An answer without tokens has no score."""
    if reference is None:
        return {row.response_id: counted(math.fsum(row.logprobs) / len(row.logprobs)) for row in policy if row.logprobs}
    reference_sums = sums(reference)
    return {
        response_id: counted(total - reference_sums[response_id])
        for response_id, total in sums(policy).items()
        if response_id in reference_sums
    }


def sums(rows: Sequence[Likelihood]) -> Mapping[str, float]:
    """The log-probability of each whole answer, by response id."""
    return {row.response_id: math.fsum(row.logprobs) for row in rows}
