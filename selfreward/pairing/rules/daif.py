"""Two sources of pairs, by the policy's uncertainty: refinement in the middle, preference at the top (DAIF, TACL 2025).

    refinement   a revision against its answer (revision.py), scores 1 and 0
    preference   the best-scored answer against the worst (best_vs_worst.py), the judge's scores
    critique     no pair: `certain`

pairing/uncertainty.py says which prompt gets which. The paper also trains on critiques where the policy is certain; its
abstract does not say what is trained there (unverified), so nothing is made of these prompts. All pairs go into one
training; that a revision is better is an assumption, as for the revision rule.

A prompt to be refined of whose answers the judge could read fewer than two is dropped for that, as every other.
"""

from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation
from selfreward.pairing.rules import best_vs_worst, revision

NEEDS: Needs = "scores"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    kind = situation.feedback.get(candidates[0].response.prompt_id, "preference")
    if kind == "critique":
        return Refusal("certain", f"{situation.samples} answers, among the most alike of the round")
    return (revision if kind == "refinement" else best_vs_worst).choose(candidates, situation)
