"""How differently does the policy write? Its answers on the frozen prompts against those of an earlier round.

    ngram_js_{previous,initial}   Jensen-Shannon divergence of the uni- and bigram counts, base 2, in [0, 1], above what
                                  two halves of one round differ by

Small samples of one distribution differ too. So the samples of each prompt are split in halves by turns, everything is
compared at half size, and what halves of the same round show is subtracted:

    (JS(now odd, then even) + JS(now even, then odd)) / 2 - (JS(now odd, now even) + JS(then odd, then even)) / 2

For equal policies every term has the same expectation, so the difference is 0 on average and may be negative.
`scipy.spatial.distance.jensenshannon` returns the root of this divergence; here it is the divergence itself, averaged
over the two orders. Interval: grouped jackknife over prompts. Prompts that one of the rounds has fewer than two
samples of are excluded with their answers of this round.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import Answer, by_pool, evaluated, row
from selfreward.measuring.metrics.families import OUTPUT_DRIFT
from selfreward.measuring.metrics.text import ngrams, words
from selfreward.measuring.stats.clustered import Array, Estimate
from selfreward.measuring.stats.jackknife import from_left_out, groups_of
from selfreward.records import Measurement

ABOUT = About(
    "output_drift",
    (
        Metric("ngram_js_previous", "JS of n-grams to previous", OUTPUT_DRIFT, still=0.0),
        Metric(
            "ngram_js_initial",
            "JS of n-grams to initial",
            OUTPUT_DRIFT,
            still=0.0,
            planted=(up("padding"), up("drift")),
        ),
    ),
)

ORDERS = (1, 2)
Halves = Mapping[str, tuple[list[str], list[str]]]


def measure(evidence: Evidence) -> list[Measurement]:
    if evidence.round == 0:
        return []
    rows = []
    for name, earlier in earlier_rounds(evidence):
        before = dict(by_pool(earlier, f"the pools of the {name} round"))
        for pool, answers in evaluated(evidence):
            now, then = _halves(answers), _halves(before.get(pool, []))
            common = sorted(now.keys() & then.keys())
            if not common:
                continue
            estimate = divergence({p: now[p] for p in common}, {p: then[p] for p in common})
            excluded = sum(answer.prompt.id not in then or answer.prompt.id not in now for answer in answers)
            rows.append(row(evidence, f"ngram_js_{name}", estimate, pool=pool, excluded=excluded))
    return rows


def earlier_rounds(evidence: Evidence) -> list[tuple[str, PoolRows]]:
    """The rounds that this one is compared with, those that the evidence holds."""
    named = [("previous", evidence.previous), ("initial", evidence.initial)]
    return [(name, rows) for name, rows in named if rows is not None and rows.responses]


def _halves(answers: Sequence[Answer]) -> dict[str, tuple[list[str], list[str]]]:
    """The texts of each prompt by turns; a sample left over by an odd number is left out, so that halves are equal."""
    texts: dict[str, list[str]] = defaultdict(list)
    for answer in answers:
        texts[answer.prompt.id].append(answer.response.text)
    even = {prompt: samples[: len(samples) // 2 * 2] for prompt, samples in texts.items() if len(samples) > 1}
    return {prompt: (samples[::2], samples[1::2]) for prompt, samples in even.items()}


def divergence(now: Halves, then: Halves) -> Estimate:
    """The divergence above that of halves, averaged over the n-gram orders; both sides have the same prompts."""
    names = sorted(now)
    group = groups_of(names)
    parts = [_left_out(now, then, group, max(group.values()) + 1, order) for order in ORDERS]
    values = [math.fsum(part) / len(parts) for part in zip(*parts, strict=True)]
    return from_left_out(values[0], values[1:], len(names))


def _left_out(now: Halves, then: Halves, group: Mapping[str, int], count: int, order: int) -> list[float]:
    """The divergence of everything, then without each group of prompts (where there are two groups or more)."""
    columns: dict[tuple[str, ...], int] = {}
    places: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for side, texts_by_prompt in enumerate((now, then)):
        for prompt, halves in texts_by_prompt.items():
            for half, texts in enumerate(halves):
                for text in texts:
                    found = ngrams(words(text), order)
                    places[group[prompt]] += [(2 * side + half, columns.setdefault(g, len(columns))) for g in found]
    size = max(1, len(columns))

    def counted(part: list[tuple[int, int]]) -> Array:
        flat = [half * size + column for half, column in part]
        return np.bincount(np.asarray(flat, dtype=np.intp), minlength=4 * size).reshape(4, size).astype(np.float64)

    # One group's dense table at a time: the vocabulary of a large model's bigrams is large.
    everything = counted([place for part in places for place in part])
    rest = (everything - counted(part) for part in places) if count > 1 else ()
    return [_excess(everything), *map(_excess, rest)]


def _excess(counts: Array) -> float:
    """From the n-gram counts of now odd, now even, then odd and then even."""
    totals = counts.sum(axis=1, keepdims=True)
    odd, even, then_odd, then_even = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    return float(_js(odd, then_even) + _js(even, then_odd) - _js(odd, even) - _js(then_odd, then_even)) / 2


def _js(first: Array, second: Array) -> Array:
    """Base 2, over the last axis."""
    middle = (first + second) / 2
    return (_relative(first, middle) + _relative(second, middle)) / 2


def _relative(shares: Array, middle: Array) -> Array:
    ratio = np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0)
    divergences: Array = (shares * np.log2(ratio)).sum(axis=-1)
    return divergences
