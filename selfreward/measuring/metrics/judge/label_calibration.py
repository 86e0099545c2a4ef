"""Do soft labels mean what they say? Of the pairs trained on, P(chosen is better) against the truth (oracle).

    label_brier       mean (label - y)², y 1, 1/2 or 0 as the chosen answer is truly better, as good, or worse
    label_ece         expected calibration error on adaptive bins (`calibration.py`); no interval
    label_ece_noise   what 95 % of perfectly calibrated labels of that many pairs stay below

Only where some label is neither 0 nor 1: hard labels are no probabilities. Pairs of answers that this round did not
sample, or that the verifier leaves open, are excluded. The reliability plot of the report shows the bins.
"""

from collections.abc import Mapping, Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import OWN, row
from selfreward.measuring.metrics.families import PAIRS
from selfreward.measuring.metrics.policy.pairs import label_credit
from selfreward.measuring.stats.calibration import Calibration, calibration
from selfreward.measuring.stats.clustered import Estimate
from selfreward.records import Measurement, Pair, Prompt
from selfreward.tasks.verifiers.protocol import Verifier

ABOUT = About(
    "label_calibration",
    pools=("train",),
    metrics=(
        Metric("label_brier", "soft labels, Brier score", PAIRS, truth="oracle"),
        Metric("label_ece", "soft labels, calibration error", PAIRS, truth="oracle"),
        Metric("label_ece_noise", "calibration error by noise alone, 95 %", PAIRS, truth="oracle"),
    ),
    after="pair_correct",
)


def measure(evidence: Evidence) -> list[Measurement]:
    if evidence.verifier is None:
        return []
    texts = {answer.id: answer.text for answer in (*evidence.round_responses, *evidence.round_revised)}
    prompts = {prompt.id: prompt for prompt in evidence.round_prompts}
    found = calibrated(evidence.round_pairs, prompts, texts, evidence.verifier)
    if found is None:
        return []
    result, excluded = found
    values = {
        "label_brier": result.brier,
        "label_ece": Estimate(result.adaptive_ece, None, None, result.brier.n),
        "label_ece_noise": Estimate(result.noise_95, None, None, result.brier.n),
    }
    return [
        row(
            evidence,
            name,
            value,
            pool=OWN,
            excluded=excluded,
            better="" if name.endswith("noise") else "lower",
        )
        for name, value in values.items()
    ]


def calibrated(
    pairs: Sequence[Pair], prompts: Mapping[str, Prompt], texts: Mapping[str, str], verifier: Verifier
) -> tuple[Calibration, int] | None:
    """The calibration of the answer pairs' labels and how many were left out; None without soft labels."""
    answers = sorted((pair for pair in pairs if pair.kind == "answer"), key=lambda pair: pair.id)
    if all(pair.label in (0.0, 1.0) for pair in answers):
        return None
    labels, outcomes, names = [], [], []
    for pair in answers:
        if pair.chosen_id not in texts or pair.rejected_id not in texts:
            continue
        prompt = prompts[pair.prompt_id]
        chosen, rejected = (verifier.check(prompt, texts[name]) for name in (pair.chosen_id, pair.rejected_id))
        if not chosen.open and not rejected.open:
            labels.append(pair.label)
            outcomes.append(label_credit(1.0, chosen.quality - rejected.quality))
            names.append(pair.prompt_id)
    return (calibration(labels, outcomes, names), len(answers) - len(labels)) if labels else None
