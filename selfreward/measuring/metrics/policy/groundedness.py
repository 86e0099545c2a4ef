"""Do answers keep to the text that they were given? Numbers and names that are not in it, by rule (tasks/grounding.py).

    cohort_unsupported_numbers   share of answers with a number that neither context nor conversation has
    cohort_unsupported_names     the same of a name
    ..._change                   the same minus round 0's, paired by prompt: low > 0 is a regression
    ..._other_context            the control: the same answers against the context of another prompt of the cohort
    cohort_factless              share of answers without any number or name, of which nothing can be said
    cohort_copied                mean share of an answer's words in the longest run that its context has, too

Of the prompts of a cohort whose row has `meta.context`; other prompts are excluded and counted. A level says something
only beside its control, which must be far higher: an answer that suits every context says nothing of this one. To copy,
or to say nothing, is perfectly grounded, so the last two and the cohort's own score stand beside it. The rules have
false alarms, so a level is not the truth's; a change has them on both sides.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from selfreward.measuring.evidence import CohortRows, Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric
from selfreward.measuring.metrics.answers import Answer, clusters, join, row
from selfreward.measuring.metrics.families import COHORTS
from selfreward.measuring.metrics.policy.cohorts import POOLS
from selfreward.measuring.metrics.worries import CLOSER, ROLL_BACK, Regressed
from selfreward.measuring.stats.clustered import cluster_means, clustered_mean, clustered_share, paired_difference
from selfreward.records import Measurement, stable_id
from selfreward.tasks.grounding import Facts, context_of, copied_share, facts

Found = Callable[[Facts], Sequence[str]]

KINDS: dict[str, Found] = {
    "cohort_unsupported_numbers": lambda found: found.unsupported_numbers,
    "cohort_unsupported_names": lambda found: found.unsupported_names,
}


def _told(kind: str, words: str) -> tuple[Metric, ...]:
    worries = (Regressed((ROLL_BACK, CLOSER)),)
    return (
        Metric(f"{kind}", f"answers with {words}", COHORTS, scale=SHARE, by_cohort="only"),
        Metric(f"{kind}_change", f"answers with {words}, change", COHORTS, worries=worries, by_cohort="only"),
        Metric(
            f"{kind}_other_context",
            f"answers with {words}, by another context",
            COHORTS,
            scale=SHARE,
            by_cohort="only",
        ),
    )


ABOUT = About(
    "groundedness",
    (
        *_told("cohort_unsupported_numbers", "numbers not in the context"),
        *_told("cohort_unsupported_names", "names not in the context"),
        Metric("cohort_factless", "answers without number or name", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_copied", "longest run copied from the context", COHORTS, scale=SHARE, by_cohort="only"),
    ),
    after="cohort_score_change",
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for cohort in evidence.cohorts:
        now = join(cohort.now, f"cohort {cohort.name} of round {evidence.round}")
        before = join(cohort.initial, f"cohort {cohort.name} of round 0") if evidence.round else []
        for pool in POOLS:
            inside, start = ([answer for answer in side if answer.prompt.pool == pool] for side in (now, before))
            given = [answer for answer in inside if context_of(answer.prompt) is not None]
            if given:
                left = len(inside) - len(given)
                known = [answer for answer in start if context_of(answer.prompt) is not None]
                rows += _rows(evidence, cohort, pool, given, known, left)
    return rows


def _rows(
    evidence: Evidence,
    cohort: CohortRows,
    pool: str,
    now: Sequence[Answer],
    before: Sequence[Answer],
    excluded: int,
) -> list[Measurement]:
    own, start, asked = contexts_of(now), contexts_of(before), clusters(now)
    found = [_facts(answer, own) for answer in now]
    others = turned(own)
    rows = []
    for kind, stated in KINDS.items():
        values = [float(bool(stated(one))) for one in found]
        told = {f"{kind}": clustered_share(values, asked)}
        if before:
            first = cluster_means([float(bool(stated(_facts(one, start)))) for one in before], clusters(before))
            told[f"{kind}_change"] = paired_difference(cluster_means(values, asked), first)
        if others:
            wrong = [float(bool(stated(_facts(answer, others)))) for answer in now]
            told[f"{kind}_other_context"] = clustered_share(wrong, asked)
        for name, estimate in told.items():
            better: Literal["lower", ""] = "" if name.endswith("other_context") else "lower"
            told_row = row(evidence, name, estimate, pool=pool, cohort=cohort.name, excluded=excluded, better=better)
            rows.append(told_row)
    nothing = clustered_share([float(not one.numbers and not one.names) for one in found], asked)
    copied = clustered_mean([copied_share(one.response.text, own[one.prompt.id]) for one in now], asked)
    rows.append(row(evidence, "cohort_factless", nothing, pool=pool, cohort=cohort.name, excluded=excluded))
    rows.append(row(evidence, "cohort_copied", copied, pool=pool, cohort=cohort.name, excluded=excluded))
    return rows


def contexts_of(answers: Sequence[Answer]) -> dict[str, str]:
    return {answer.prompt.id: context_of(answer.prompt) or "" for answer in answers}


def turned(contexts: dict[str, str]) -> dict[str, str]:
    """Each prompt with the context of another, in an order by hash; none where all have one context."""
    order = sorted(contexts, key=lambda name: stable_id("turned", name))
    for by in range(1, len(order)):
        turned = {name: contexts[order[(place + by) % len(order)]] for place, name in enumerate(order)}
        if all(turned[name] != contexts[name] for name in order):
            return turned
    return {}


def _facts(answer: Answer, contexts: dict[str, str]) -> Facts:
    """By `contexts`, and by what was asked less the context that it shows: against another's that is not there."""
    context = contexts[answer.prompt.id]
    own = " ".join((context_of(answer.prompt) or "").split())
    asked = "\n".join(" ".join(turn.content.split()).replace(own, "") for turn in answer.prompt.messages)
    return facts(answer.response.text, context, asked)
