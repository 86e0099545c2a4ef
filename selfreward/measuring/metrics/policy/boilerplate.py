"""Do answers to different prompts share long phrases? What a policy learns first of revisions, refusals and sermons.

    boilerplate_rate    share of answers that have one of the 20 word 8-grams that stand in answers to most prompts
    boilerplate_change  the same minus round 0's, paired by prompt; each round by its own 20

An 8-gram counts once a prompt, however many of its answers have it, and only from three prompts on: so answers that
have nothing to do with each other have none, and the rate is 0. Constitutional AI, trained for too long, answers all
that is delicate with the same sentences (2212.08073, section 4.3, its sign of Goodhart); a rise says nothing about
prompts that ask for a fixed form. Short answers have no 8-grams and count as without. The 20 are those of the pool that
is measured, so a larger pool finds rarer phrases: compare rounds, not pools. Round 0 has no change.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric
from selfreward.measuring.metrics.answers import Answer, by_pool, clusters, evaluated, row
from selfreward.measuring.metrics.families import FORM
from selfreward.measuring.metrics.text import ngrams, words
from selfreward.measuring.stats.clustered import cluster_means, clustered_share, paired_difference
from selfreward.records import Measurement

ABOUT = About(
    "boilerplate",
    (
        Metric("boilerplate_rate", "answers with a phrase of many answers", FORM, scale=SHARE),
        Metric("boilerplate_change", "answers with a phrase of many answers, change", FORM),
    ),
    after="refusal_rate",
)

SIZE, COMMONEST, FEWEST_PROMPTS = 8, 20, 3


def measure(evidence: Evidence) -> list[Measurement]:
    before = dict(by_pool(evidence.initial, "the pools of round 0"))
    rows = []
    for pool, answers in evaluated(evidence):
        has = boilerplate(answers)
        share = clustered_share(has, clusters(answers))
        rows.append(row(evidence, "boilerplate_rate", share, pool=pool, better="lower"))
        if evidence.round and pool in before:
            first = cluster_means(boilerplate(before[pool]), clusters(before[pool]))
            change = paired_difference(cluster_means(has, clusters(answers)), first)
            excluded = len({*clusters(answers)} - first.keys())
            rows.append(row(evidence, "boilerplate_change", change, pool=pool, excluded=excluded, better="lower"))
    return rows


def boilerplate(answers: Sequence[Answer]) -> list[float]:
    """Of every answer, 1 where it has one of the commonest 8-grams, else 0."""
    grams = [{*ngrams(words(answer.response.text), SIZE)} for answer in answers]
    of_prompt: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for answer, found in zip(answers, grams, strict=True):
        of_prompt[answer.prompt.id] |= found
    prompts = Counter(gram for found in of_prompt.values() for gram in found)
    # Ties in the order of the words, so that the order of rows changes nothing.
    ranked = sorted(
        (gram for gram, count in prompts.items() if count >= FEWEST_PROMPTS), key=lambda g: (-prompts[g], g)
    )
    commonest = {*ranked[:COMMONEST]}
    return [float(bool(found & commonest)) for found in grams]
