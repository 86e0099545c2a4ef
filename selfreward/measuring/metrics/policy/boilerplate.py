"""Do answers to different prompts share long phrases? What a policy learns first of revisions, refusals and sermons.

    boilerplate_rate    share of answers that have one of the 20 word 8-grams that stand in answers to most prompts
    boilerplate_change  the same minus round 0's, paired by prompt; both by the 20 that stand in answers to most prompts
                        of the two rounds together

An 8-gram counts once a prompt, however many of its answers have it, and only from three prompts on: so answers that
have nothing to do with each other have none, and the rate is 0. Constitutional AI, trained for too long, answers all
that is delicate with the same sentences (2212.08073, section 4.3, its sign of Goodhart); a rise says nothing about
prompts that ask for a fixed form. Short answers have no 8-grams and count as without. The 20 are those of the pool that
is measured, so a larger pool finds rarer phrases: compare rounds, not pools. Round 0 has no change.

Which phrases count depends on all prompts, so no prompt owns its share: a phrase that one prompt less would make no
boilerplate takes two others with it. The rate's interval is therefore the wider one of the share's and of a jackknife
that chooses the phrases anew; where all of them are rare it still holds its mean in .86 of the cases only. In the
change the phrases are those of both rounds, where it makes no difference which of a prompt's two sets of answers came
first: by each round's own 20, one in six rounds in which nothing happened seemed to change.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric
from selfreward.measuring.metrics.answers import Answer, by_pool, clusters, evaluated, row
from selfreward.measuring.metrics.families import FORM
from selfreward.measuring.metrics.text import ngrams, words
from selfreward.measuring.stats.clustered import (
    Estimate,
    cluster_means,
    clustered_share,
    paired_difference,
    within_share,
)
from selfreward.measuring.stats.jackknife import grouped_jackknife
from selfreward.records import Measurement

ABOUT = About(
    "boilerplate",
    (
        Metric("boilerplate_rate", "answers with a phrase of many answers", FORM, scale=SHARE),
        Metric("boilerplate_change", "answers with a phrase of many answers, change", FORM),
    ),
    after="refusal_rate",
    version=2,
)

SIZE, COMMONEST, FEWEST_PROMPTS = 8, 20, 3


def measure(evidence: Evidence) -> list[Measurement]:
    before = dict(by_pool(evidence.initial, "the pools of round 0"))
    rows = []
    for pool, answers in evaluated(evidence):
        rows.append(row(evidence, "boilerplate_rate", rate(answers), pool=pool, better="lower"))
        if evidence.round and pool in before:
            now, first = with_either(answers, before[pool])
            excluded = len({*clusters(answers)} - first.keys())
            change = paired_difference(now, first)
            rows.append(row(evidence, "boilerplate_change", change, pool=pool, excluded=excluded, better="lower"))
    return rows


def rate(answers: Sequence[Answer]) -> Estimate:
    grams, prompts = phrases(answers), clusters(answers)

    def share(kept: Sequence[str]) -> float:
        stays = {*kept}
        inside = [index for index, prompt in enumerate(prompts) if prompt in stays]
        chosen = commonest([grams[index] for index in inside], [prompts[index] for index in inside])
        return sum(bool(grams[index] & chosen) for index in inside) / len(inside)

    chosen = commonest(grams, prompts)
    plain = clustered_share([float(bool(found & chosen)) for found in grams], prompts)
    anew = grouped_jackknife(share, prompts)
    if plain.low is None or plain.high is None or anew.low is None or anew.high is None:
        return plain
    return within_share(Estimate(plain.value, min(plain.low, anew.low), max(plain.high, anew.high), plain.n))


def with_either(now: Sequence[Answer], before: Sequence[Answer]) -> tuple[dict[str, float], dict[str, float]]:
    """Each prompt's share of answers with a phrase that is common in the two together."""
    sides = [(phrases(answers), clusters(answers)) for answers in (now, before)]
    chosen = commonest([*sides[0][0], *sides[1][0]], [*sides[0][1], *sides[1][1]])
    mine, its = (cluster_means([float(bool(found & chosen)) for found in grams], prompts) for grams, prompts in sides)
    return mine, its


Phrase = tuple[str, ...]


def phrases(answers: Sequence[Answer]) -> list[set[Phrase]]:
    return [{*ngrams(words(answer.response.text), SIZE)} for answer in answers]


def commonest(grams: Sequence[set[Phrase]], prompts: Sequence[str]) -> set[Phrase]:
    """Of the answers' 8-grams, those that stand in answers to most prompts."""
    of_prompt: defaultdict[str, set[Phrase]] = defaultdict(set)
    for prompt, found in zip(prompts, grams, strict=True):
        of_prompt[prompt] |= found
    counts = Counter(gram for found in of_prompt.values() for gram in found)
    # Ties in the order of the words, so that the order of rows changes nothing.
    ranked = sorted((gram for gram, count in counts.items() if count >= FEWEST_PROMPTS), key=lambda g: (-counts[g], g))
    return {*ranked[:COMMONEST]}
