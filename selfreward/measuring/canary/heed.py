"""`gates.canary`: before round 1 trains, its own sealed rows are held against the truth; nothing is judged twice.

Later rounds are the gates' own (`gates.rules`): their judge has been trained since, and is measured after every round.
"""

from dataclasses import asdict

from selfreward.errors import GateError
from selfreward.measuring.canary.evidence import RoundAnswers, canary_evidence
from selfreward.measuring.canary.verdict import decide
from selfreward.roles.round import Round

FIRST = 1


def heed_canary(round: Round, rows: RoundAnswers) -> None:
    """Say the canary's sentence and note it. Raises GateError where it is required to say "train" and does not."""
    gates = round.recipe.gates
    if gates.canary == "off" or round.number != FIRST:
        return
    verdict = decide(canary_evidence(round, rows), gates.min_readable)
    round.artifacts.note("canary", round.number, "pairs", **asdict(verdict))
    if verdict.word == "train":
        return
    if gates.canary == "require":
        raise GateError(
            f"canary: {verdict.sentence}. Nothing was trained (gates.canary=require); change the judge, add truth, or "
            "set gates.canary=warn"
        )
    round.say(f"canary: {verdict.sentence}")
