"""Does the judge tell better from worse? Its scores against true quality (oracle, unless people labelled the pool).

On the frozen pool (the same labelled answers every round, so a trend is the judge's alone) and on the policy's own
samples (what the loop really uses; there the spread of quality shrinks as the policy improves, and rho with it).

    judge_spearman           rho over all answers between mean score and quality
    judge_kendall            tau-b within a prompt, averaged over prompts (SRLM, 2401.10020)
    judge_pairwise_accuracy  share of pairs of one prompt with different quality that the mean scores order alike;
                             equal scores count as wrong
    judge_exact              share of single readable verdicts that equal the quality exactly

`excluded` counts answers without a readable verdict, for `judge_exact` unreadable verdicts, for `judge_kendall` also
the answers of prompts where one side is constant. Equal texts of a prompt count once, with the verdicts of the first:
a text that is sampled five times is not five independent answers.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import CORRELATION, SHARE, About, Metric, down
from selfreward.measuring.metrics.answers import evaluated, mean_score, row
from selfreward.measuring.metrics.families import JUDGE
from selfreward.measuring.stats.clustered import NOTHING, clustered_mean, clustered_share, tau_b
from selfreward.measuring.stats.resampling import clustered_spearman
from selfreward.records import Judgment, Measurement

ABOUT = About(
    "judge",
    pools=(
        "frozen",
        "gate",
    ),
    metrics=(
        Metric(
            "judge_spearman",
            "judge ρ (Spearman)",
            JUDGE,
            scale=CORRELATION,
            guessed=0.0,
            planted=(down("saturated judge", "frozen"), down("stale judge", "frozen"), down("stale judge")),
            truth="labels",
        ),
        Metric(
            "judge_kendall",
            "judge τ within a prompt",
            JUDGE,
            guessed=0.0,
            planted=(down("stale judge"),),
            truth="labels",
        ),
        Metric(
            "judge_pairwise_accuracy", "judge pairwise accuracy", JUDGE, planted=(down("stale judge"),), truth="labels"
        ),
        Metric("judge_exact", "judge exactness", JUDGE, scale=SHARE, truth="labels"),
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One distinct answer with its true quality and what the judge said."""

    prompt_id: str
    quality: float
    judgments: tuple[Judgment, ...]
    score: float | None


def measure(evidence: Evidence) -> list[Measurement]:
    rows = frozen_pool(evidence)
    if evidence.verifier is not None and evidence.pools.judgments:
        for pool, answers in evaluated(evidence):
            distinct = {(answer.prompt.id, answer.response.text): answer for answer in reversed(answers)}
            cases = [
                Case(prompt_id, truth.quality, distinct[prompt_id, text].judgments, distinct[prompt_id, text].score)
                for prompt_id, text in sorted(distinct)
                if not (truth := evidence.verifier.check(distinct[prompt_id, text].prompt, text)).open
            ]
            rows += _against_truth(evidence, pool, cases)
    return rows


def frozen_pool(evidence: Evidence) -> list[Measurement]:
    """The rows about the frozen pool, where there is one."""
    if not (evidence.frozen and evidence.frozen_judgments):
        return []
    return _against_truth(evidence, "frozen", frozen_cases(evidence))


def frozen_cases(evidence: Evidence) -> list[Case]:
    """The frozen pool, ordered by prompt and sample, with what the judge said of it."""
    judged: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in sorted(evidence.frozen_judgments, key=lambda item: (item.response_id, item.sample, item.id)):
        judged[judgment.response_id].append(judgment)
    ordered = sorted(evidence.frozen, key=lambda item: (item.prompt.id, item.response.sample, item.response.id))
    return [
        Case(item.prompt.id, item.label, tuple(judged[item.response.id]), mean_score(judged[item.response.id]))
        for item in ordered
    ]


def _against_truth(evidence: Evidence, pool: str, cases: Sequence[Case]) -> list[Measurement]:
    scored = [(case.prompt_id, case.score, case.quality) for case in cases if case.score is not None]
    unscored = len(cases) - len(scored)
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for prompt, score, quality in scored:
        groups[prompt].append((score, quality))
    rho = clustered_spearman([s for _, s, _ in scored], [q for _, _, q in scored], [p for p, _, _ in scored])
    pairs = [
        (float((first[0] - second[0]) * (first[1] - second[1]) > 0), prompt)
        for prompt, members in groups.items()
        for first, second in combinations(members, 2)
        if first[1] != second[1]
    ]
    pairwise = clustered_share([right for right, _ in pairs], [prompt for _, prompt in pairs]) if pairs else NOTHING
    taus = {prompt: tau_b(*zip(*members, strict=True)) for prompt, members in groups.items()}
    known = {prompt: tau for prompt, tau in taus.items() if tau is not None}
    constant = sum(len(members) for prompt, members in groups.items() if prompt not in known)
    verdicts = [(case, judgment.score) for case in cases for judgment in case.judgments]
    readable = [(float(score == case.quality), case.prompt_id) for case, score in verdicts if score is not None]
    exact = clustered_share([same for same, _ in readable], [prompt for _, prompt in readable])
    results = {
        "judge_spearman": (rho, unscored),
        "judge_kendall": (clustered_mean(list(known.values()), list(known)), unscored + constant),
        "judge_pairwise_accuracy": (pairwise, unscored),
        "judge_exact": (exact, len(verdicts) - len(readable)),
    }
    return [
        row(evidence, metric, estimate, pool=pool, excluded=excluded, better="higher")
        for metric, (estimate, excluded) in results.items()
    ]
