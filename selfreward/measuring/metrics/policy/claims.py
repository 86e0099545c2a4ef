"""Are an answer's claims supported by its context? By a judge that quotes, whose quotations are looked up.

    cohort_claims_supported         mean over answers of the share of claims whose quotation is in the context
    cohort_claims_supported_change  the same minus round 0's, paired by prompt: high < 0 is a regression
    cohort_claims_other_context     the control: the same quotations looked for in another prompt's context, near 0
    cohort_claims                   claims of an answer: few of them are easily supported
    cohort_claimless                share of answers in which no reading found a claim
    cohort_quotes_invented          mean share of quotations that are not in the context: the judge's own fault

Of cohorts whose judge is asked for claims (`question: claims` of the cohort; judging/prompts/claims.py). Readings of an
answer are averaged. Excluded are answers without a reading that has claims; from the number of claims those without any
reading, from the last row those without a quotation. That the quotation says what its claim says, and that all claims
are listed, is the judge's word: a level is read beside its control and the number of claims. A change is by one judge.
"""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Literal

from selfreward.judging.prompts.claims import KIND, Claim, read_claims, stands_in
from selfreward.measuring.evidence import CohortRows, Evidence
from selfreward.measuring.metrics.about import COUNT, SHARE, About, Metric
from selfreward.measuring.metrics.answers import Answer, clusters, join, row
from selfreward.measuring.metrics.families import COHORTS
from selfreward.measuring.metrics.policy.cohorts import POOLS
from selfreward.measuring.metrics.policy.groundedness import contexts_of, turned
from selfreward.measuring.metrics.worries import CLOSER, ROLL_BACK, Regressed
from selfreward.measuring.stats.clustered import (
    Estimate,
    cluster_means,
    clustered_mean,
    clustered_share,
    paired_difference,
)
from selfreward.records import Measurement
from selfreward.roles.unreadable import Unreadable

Known = tuple[list[float], list[str]]
"""Values of answers, and their prompt ids."""

ABOUT = About(
    "claims",
    (
        Metric("cohort_claims_supported", "claims in the context", COHORTS, scale=SHARE, by_cohort="only"),
        Metric(
            "cohort_claims_supported_change",
            "claims in the context, change",
            COHORTS,
            worries=(Regressed((ROLL_BACK, CLOSER)),),
            by_cohort="only",
        ),
        Metric("cohort_claims_other_context", "claims in another context", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_claims", "claims of an answer", COHORTS, scale=COUNT, by_cohort="only"),
        Metric("cohort_claimless", "answers without a claim", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_quotes_invented", "quotations not in the context", COHORTS, scale=SHARE, by_cohort="only"),
    ),
    after="cohort_score_change",
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for cohort in evidence.cohorts:
        now = join(cohort.now, f"cohort {cohort.name} of round {evidence.round}")
        before = join(cohort.initial, f"cohort {cohort.name} of round 0") if evidence.round else []
        for pool in POOLS:
            inside, start = ([one for one in side if one.prompt.pool == pool] for side in (now, before))
            if any(said.template.startswith(f"{KIND}/") for answer in inside for said in answer.judgments):
                rows += _rows(evidence, cohort, pool, inside, start)
    return rows


def _rows(
    evidence: Evidence, cohort: CohortRows, pool: str, now: Sequence[Answer], before: Sequence[Answer]
) -> list[Measurement]:
    own = contexts_of(now)
    others = turned(own)

    def row_of(
        name: str, found: Estimate, of: int, better: Literal["higher", "lower", ""] = "", among: int | None = None
    ) -> Measurement:
        excluded = (len(now) if among is None else among) - of
        return row(evidence, name, found, pool=pool, cohort=cohort.name, excluded=excluded, better=better)

    good = _values(now, own, supported)
    rows = [row_of("cohort_claims_supported", clustered_mean(*good), len(good[0]), "higher")]
    if before:
        first = _values(before, contexts_of(before), supported)
        change = paired_difference(cluster_means(*good), cluster_means(*first))
        asked = len({answer.prompt.id for answer in (*now, *before)})
        rows.append(row_of("cohort_claims_supported_change", change, change.n, "higher", asked))
    if others:
        wrong = _values(now, others, supported)
        rows.append(row_of("cohort_claims_other_context", clustered_mean(*wrong), len(wrong[0])))
    many = _values(now, own, lambda claims, _: float(len(claims)))
    rows.append(row_of("cohort_claims", clustered_mean(*many), len(many[0])))
    none = [float(value == 0.0) for value in many[0]]
    rows.append(row_of("cohort_claimless", clustered_share(none, many[1]), len(none)))
    made_up = _values(now, own, invented)
    rows.append(row_of("cohort_quotes_invented", clustered_mean(*made_up), len(made_up[0]), "lower"))
    return rows


def supported(claims: Sequence[Claim], context: str) -> float | None:
    return fmean(claim.supported_by(context) for claim in claims) if claims else None


def invented(claims: Sequence[Claim], context: str) -> float | None:
    quotes = [claim.quote for claim in claims if claim.quote is not None]
    return fmean(not stands_in(quote, context) for quote in quotes) if quotes else None


def _values(
    answers: Sequence[Answer], contexts: dict[str, str], of: Callable[[Sequence[Claim], str], float | None]
) -> Known:
    """The mean over an answer's readings, of the answers that have any."""
    known = []
    for answer in answers:
        context = contexts[answer.prompt.id]
        said = [value for claims in _readings(answer) if (value := of(claims, context)) is not None]
        if said:
            known.append((fmean(said), answer))
    return [value for value, _ in known], clusters([answer for _, answer in known])


def _readings(answer: Answer) -> list[list[Claim]]:
    """What finished replies list; a list without a claim has no score, and is a reading all the same."""
    finished = [said.text for said in answer.judgments if said.unreadable in (None, "no verdict")]
    found = [read_claims(text) for text in finished]
    return [claims for claims in found if not isinstance(claims, Unreadable)]
