"""What came of critique and revision in the round? Nothing in a round that revised nothing (pool "train").

    critiques_finding    share of usable critiques that found something to change; all and by principle
    critiques_unusable   share of critiques that are none
    revisions_unusable   share of revisions that do not take the answer's place
    revised_answers      share of answers that were revised in the end
    revision_similarity  mean ROUGE-L F1 of an answer and its revision: 1 is a copy, 0 another answer
    revision_truth       mean quality of the revision minus the answer's, by the verifier (oracle)

Why critiques and revisions were not used is counted by reason (`revision_dropped`, metrics/policy/pairs.py). What the
verifier leaves open of either side is excluded. Intervals are clustered by prompt. That a revision is better is what
the method assumes: `revision_truth` below 0 says that rewriting broke answers.
"""

from collections.abc import Sequence
from typing import Literal

from selfreward.judging.revising.rows import Critique
from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric
from selfreward.measuring.metrics.answers import OWN, row
from selfreward.measuring.metrics.families import PAIRS
from selfreward.measuring.metrics.worries import Beyond, Remedy
from selfreward.measuring.stats.clustered import clustered_mean, clustered_share
from selfreward.records import Measurement, Response
from selfreward.tasks.similarity import rouge_l, words_of
from selfreward.tasks.verifiers.protocol import Verifier

_MODEL = Remedy("pairs.revise.model", "a larger model, or another one, criticises and rewrites")

ABOUT = About(
    "revising",
    pools=("train",),
    needs="pairs.revise",
    metrics=(
        Metric("critiques_finding", "critiques that found something", PAIRS, scale=SHARE, by_cohort="also"),
        Metric("critiques_unusable", "critiques that are none", PAIRS, scale=SHARE),
        Metric(
            "revisions_unusable",
            "revisions that were not used",
            PAIRS,
            scale=SHARE,
            worries=(Beyond(OWN, 0.5, True, "more than half of the revisions are none", (_MODEL,)),),
        ),
        Metric("revised_answers", "answers that were revised", PAIRS, scale=SHARE),
        Metric("revision_similarity", "likeness of answer and revision", PAIRS, scale=SHARE),
        Metric("revision_truth", "truth of revision minus answer", PAIRS, still=0.0, truth="oracle"),
    ),
    after="pair_correct",
)


def measure(evidence: Evidence) -> list[Measurement]:
    critiques, revisions = evidence.round_critiques, evidence.round_revisions
    if not critiques:
        return []
    read = sorted((one for one in critiques if one.finding is not None), key=lambda one: one.id)
    rows = [_finding(evidence, read, "all")]
    for principle in sorted({one.principle for one in read}):
        rows.append(_finding(evidence, [one for one in read if one.principle == principle], principle))
    revised = {one.parent for one in evidence.round_revised}
    answers = {one.response_id: one.prompt_id for one in critiques}
    shares: list[tuple[str, list[tuple[str, bool]], Literal["lower", ""]]] = [
        ("critiques_unusable", [(one.prompt_id, one.unusable is not None) for one in critiques], "lower"),
        ("revisions_unusable", [(one.prompt_id, one.unusable is not None) for one in revisions], "lower"),
        ("revised_answers", [(prompt, name in revised) for name, prompt in answers.items()], ""),
    ]
    for name, found, better in shares:
        if found:
            ordered = sorted(found)
            share = clustered_share([float(holds) for _, holds in ordered], [prompt for prompt, _ in ordered])
            rows.append(row(evidence, name, share, pool=OWN, better=better))
    pairs = _pairs(evidence)
    if pairs:
        alike = [rouge_l(words_of(answer.text), words_of(revision.text)) for answer, revision in pairs]
        estimate = clustered_mean(alike, [answer.prompt_id for answer, _ in pairs])
        rows.append(row(evidence, "revision_similarity", estimate, pool=OWN))
        if evidence.verifier is not None:
            rows.append(_truth(evidence, pairs, evidence.verifier))
    return rows


def _finding(evidence: Evidence, read: Sequence[Critique], principle: str) -> Measurement:
    share = clustered_share([float(one.finding == "change") for one in read], [one.prompt_id for one in read])
    excluded = sum(one.unusable is not None for one in evidence.round_critiques) if principle == "all" else 0
    return row(evidence, "critiques_finding", share, pool=OWN, cohort=principle, excluded=excluded)


def _pairs(evidence: Evidence) -> list[tuple[Response, Response]]:
    """Every revised answer with its revision."""
    answers = {answer.id: answer for answer in evidence.round_responses}
    revised = sorted(evidence.round_revised, key=lambda one: one.id)
    return [(answers[one.parent], one) for one in revised if one.parent in answers]


def _truth(evidence: Evidence, pairs: Sequence[tuple[Response, Response]], verifier: Verifier) -> Measurement:
    prompts = {prompt.id: prompt for prompt in evidence.round_prompts}
    gains, decided = [], []
    for answer, revision in pairs:
        before, after = (verifier.check(prompts[answer.prompt_id], side.text) for side in (answer, revision))
        if not before.open and not after.open:
            gains.append(after.quality - before.quality)
            decided.append(answer.prompt_id)
    estimate = clustered_mean(gains, decided)
    excluded = len(pairs) - len(gains)
    return row(evidence, "revision_truth", estimate, pool=OWN, excluded=excluded, better="higher")
