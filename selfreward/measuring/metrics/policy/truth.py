"""How good is the policy really? Asked of the verifier, so a user without one never sees these rows (oracle).

true_accuracy        share of answers that are right, all families together and each alone
true_quality         mean quality on the judge's scale, likewise
best_of_k_accuracy   share of prompts with at least one right answer among the K sampled: what selection could reach
claim_echo           share of answers that give the user's wrong claim back, among prompts with a wrong claim

Answers that the verifier leaves open are excluded and counted.
"""

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import POINTS, SHARE, About, Metric, down, up
from selfreward.measuring.metrics.answers import Answer, by_cohort, clusters, evaluated, row
from selfreward.measuring.metrics.families import TRUTH
from selfreward.measuring.metrics.worries import CLOSER, OTHER_JUDGE, Changed, CohortFell, Remedy
from selfreward.measuring.stats.clustered import cluster_means, clustered_mean, clustered_share
from selfreward.records import Measurement
from selfreward.tasks.verifiers.protocol import Truth

ABOUT = About(
    "truth",
    (
        Metric(
            "true_accuracy",
            "true accuracy",
            TRUTH,
            scale=SHARE,
            planted=(up("drift"), down("worse answers")),
            worries=(
                Changed(-1, "answers became worse", (CLOSER, Remedy("train.learning_rate", "lower"))),
                CohortFell((CLOSER, Remedy("measure.cohorts", "the cohort by name: then gates may read it"))),
            ),
            truth="oracle",
            by_cohort="also",
        ),
        Metric(
            "true_quality",
            "true quality",
            TRUTH,
            scale=POINTS,
            planted=(up("drift"), down("worse answers")),
            truth="oracle",
            by_cohort="also",
        ),
        Metric("best_of_k_accuracy", "best-of-K accuracy", TRUTH, truth="oracle"),
        Metric(
            "claim_echo",
            "wrong claims echoed",
            TRUTH,
            scale=SHARE,
            planted=(up("echo"),),
            worries=(
                Changed(
                    1,
                    "more wrong claims of the user are given back",
                    (OTHER_JUDGE, Remedy("pairs.filters.verifier_conflict", "true, where there is a verifier", "True")),
                ),
            ),
            truth="oracle",
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    verifier = evidence.verifier
    if verifier is None:
        return []
    rows = []
    for pool, answers in evaluated(evidence):
        for cohort, members in by_cohort(answers):
            checked = [(answer, verifier.check(answer.prompt, answer.response.text)) for answer in members]
            decided = [answer for answer, truth in checked if not truth.open]
            truths = [truth for _, truth in checked if not truth.open]
            excluded = len(checked) - len(decided)
            rows += _quality(evidence, pool, cohort, decided, truths, excluded)
            if cohort == "all" and decided:
                rows += _best_and_echo(evidence, pool, decided, truths, excluded)
    return rows


def _quality(
    evidence: Evidence, pool: str, cohort: str, answers: list[Answer], truths: list[Truth], excluded: int
) -> list[Measurement]:
    prompts = clusters(answers)
    accuracy = clustered_share([float(truth.correct) for truth in truths], prompts)
    quality = clustered_mean([truth.quality for truth in truths], prompts)
    return [
        row(evidence, name, estimate, pool=pool, cohort=cohort, excluded=excluded, better="higher")
        for name, estimate in (("true_accuracy", accuracy), ("true_quality", quality))
    ]


def _best_and_echo(
    evidence: Evidence, pool: str, answers: list[Answer], truths: list[Truth], excluded: int
) -> list[Measurement]:
    prompts = clusters(answers)
    share = cluster_means([float(truth.correct) for truth in truths], prompts)
    best = clustered_share([float(value > 0) for value in share.values()], list(share))
    claimed = [
        (float(truth.echoes_claim), prompt)
        for truth, prompt in zip(truths, prompts, strict=True)
        if truth.wrong_claim and truth.echoes_claim is not None
    ]
    rows = [row(evidence, "best_of_k_accuracy", best, pool=pool, excluded=excluded, better="higher")]
    if claimed:
        echo = clustered_share([value for value, _ in claimed], [prompt for _, prompt in claimed])
        rows.append(row(evidence, "claim_echo", echo, pool=pool, better="lower"))
    return rows
