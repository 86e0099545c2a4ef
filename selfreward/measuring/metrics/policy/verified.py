"""How many more answers does a verifier that the user has call right? Instructions, mathematics, SQL, gold answers.

verified_accuracy_change   share of right answers minus that of round 0, paired by prompt

The same difference as true accuracy's, but no oracle's: these verifiers can be asked of a real model's answers, so that
gates may read it and `gates.select_by=verifier` chooses by it. The sandbox's own truth is nobody's to ask, so there
this is not measured. Answers that the verifier leaves open are excluded, and prompts without any other are counted.
"""

from collections.abc import Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import Answer, by_pool, evaluated, row
from selfreward.measuring.metrics.families import TRUTH
from selfreward.measuring.stats.clustered import cluster_means, paired_difference
from selfreward.records import Measurement
from selfreward.tasks.verifiers.protocol import Verifier
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

ABOUT = About(
    "verified",
    (Metric("verified_accuracy_change", "verified accuracy, change", TRUTH, scale=(-1.0, 1.0), truth="verifier"),),
)


def measure(evidence: Evidence) -> list[Measurement]:
    verifier = evidence.verifier
    if verifier is None or isinstance(verifier, SandboxVerifier):
        return []
    if evidence.initial is None or not evidence.initial.responses or evidence.round == 0:
        return []
    first = dict(by_pool(evidence.initial, "the pools of round 0"))
    rows = []
    for pool, answers in evaluated(evidence):
        before = first.get(pool, [])
        change = paired_difference(_right(verifier, answers), _right(verifier, before))
        asked = {answer.prompt.id for answer in (*answers, *before)}
        rows.append(
            row(
                evidence,
                "verified_accuracy_change",
                change,
                pool=pool,
                excluded=len(asked) - change.n,
                better="higher",
            )
        )
    return rows


def _right(verifier: Verifier, answers: Sequence[Answer]) -> dict[str, float]:
    """Each prompt's share of right answers among those that were decided."""
    checked = [(answer.prompt.id, verifier.check(answer.prompt, answer.response.text)) for answer in answers]
    decided = [(prompt, float(truth.correct)) for prompt, truth in checked if not truth.open]
    return cluster_means([right for _, right in decided], [prompt for prompt, _ in decided])
