"""How varied are the words? Within a prompt and between prompts apart (Kirk et al. 2310.06452).

`_per_input`: D of the K samples of one prompt, averaged over prompts. `_across_input`: D of the k-th samples of all
prompts, averaged over k. A collapsed policy gives every prompt one answer: per-input falls, across-input does not, and
one number over everything hides it.

    distinct_ngrams   different n-grams / all n-grams, mean over n = 1..5 (Li et al. 1510.03055); falls with length
    ead               expectation-adjusted: N / (V (1 - ((V-1)/V)^C)), N different and C all n-grams, mean over n = 1..5
                      (Liu et al. 2202.13587), V = 50,257 for every n as in the code of Kirk et al.; on texts of tens of
                      words this is distinct_ngrams with the small expected repetition taken out
    compression       zlib's compressed bytes over raw bytes of the texts joined by newlines; low is repetitive
    self_bleu         mean BLEU of a sample against the prompt's others, 0 to 1 (Zhu et al. 1802.01886), per input only;
                      sacrebleu, signature in SIGNATURE; high is repetitive
    duplicate_texts   share of k-th samples that equal the k-th sample of another prompt, across input only

Per input only prompts with two or more samples count, the others' answers are excluded; across input the samples
beyond the smallest K are. n-grams longer than a text do not exist, and an order without any is left out of the mean;
texts without a word give no n-gram value. Across-input intervals are by the grouped jackknife over prompts.
"""

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down, up
from selfreward.measuring.metrics.answers import Answer, evaluated, row
from selfreward.measuring.metrics.families import WORDS_AND_MEANING
from selfreward.measuring.metrics.text import ngrams, words
from selfreward.measuring.stats.clustered import Estimate, clustered_mean, within_share
from selfreward.measuring.stats.jackknife import from_left_out, grouped_jackknife, groups_of
from selfreward.records import Measurement

ABOUT = About(
    "lexical_diversity",
    (
        Metric("ead_per_input", "EAD within a prompt", WORDS_AND_MEANING, planted=(down("collapse"),)),
        Metric("ead_across_input", "EAD between prompts", WORDS_AND_MEANING),
        Metric(
            "distinct_ngrams_per_input",
            "distinct n-grams within a prompt",
            WORDS_AND_MEANING,
            planted=(down("collapse"),),
        ),
        Metric("distinct_ngrams_across_input", "distinct n-grams between prompts", WORDS_AND_MEANING),
        Metric("self_bleu_per_input", "self-BLEU within a prompt", WORDS_AND_MEANING, planted=(up("collapse"),)),
        Metric(
            "compression_per_input", "compression ratio within a prompt", WORDS_AND_MEANING, planted=(down("collapse"),)
        ),
        Metric("compression_across_input", "compression ratio between prompts", WORDS_AND_MEANING),
        Metric("duplicate_texts_across_input", "duplicate answers between prompts", WORDS_AND_MEANING),
    ),
)

ORDERS = (1, 2, 3, 4, 5)
VOCABULARY = 50_257
LEVEL = 6
SIGNATURE = "nrefs:var|case:mixed|eff:yes|tok:13a|smooth:exp"
BETTER: dict[str, Literal["higher", "lower"]] = {"self_bleu": "lower", "duplicate_texts": "lower"}
Grams = tuple[tuple[tuple[str, ...], ...], ...]


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for pool, answers in evaluated(evidence):
        groups: dict[str, list[str]] = defaultdict(list)
        for answer in answers:
            groups[answer.prompt.id].append(answer.response.text)
        rows += _per_input(evidence, pool, groups)
        rows += _across_input(evidence, pool, answers, groups)
    return rows


def _per_input(evidence: Evidence, pool: str, groups: dict[str, list[str]]) -> list[Measurement]:
    several = {prompt: texts for prompt, texts in groups.items() if len(texts) > 1}
    if not several:
        return []
    varied = {prompt: distinct_ngrams(texts) for prompt, texts in several.items()}
    values: dict[str, dict[str, float | None]] = {
        "distinct_ngrams": {prompt: pair[0] for prompt, pair in varied.items()},
        "ead": {prompt: pair[1] for prompt, pair in varied.items()},
        "compression": {prompt: compression(texts) for prompt, texts in several.items()},
        "self_bleu": {prompt: self_bleu(texts) for prompt, texts in several.items()},
    }
    alone = sum(len(texts) for texts in groups.values() if len(texts) < 2)
    rows = []
    for name, found in values.items():
        known = {prompt: value for prompt, value in found.items() if value is not None}
        excluded = alone + sum(len(several[prompt]) for prompt in several.keys() - known.keys())
        estimate = clustered_mean(list(known.values()), list(known))
        better = BETTER.get(name, "higher")
        rows.append(row(evidence, f"{name}_per_input", estimate, pool=pool, excluded=excluded, better=better))
    return rows


def _across_input(
    evidence: Evidence, pool: str, answers: Sequence[Answer], groups: dict[str, list[str]]
) -> list[Measurement]:
    if len(groups) < 2:
        return []
    samples = min(len(texts) for texts in groups.values())
    slices = [{prompt: texts[k] for prompt, texts in groups.items()} for k in range(samples)]

    def over_samples(statistic: Callable[[Sequence[str]], float | None]) -> Estimate:
        return grouped_jackknife(lambda kept: _mean([statistic([s[name] for name in kept]) for s in slices]), [*groups])

    plain, adjusted = _ngrams_across(slices)
    estimates = {
        "distinct_ngrams": plain,
        "ead": adjusted,
        "compression": over_samples(compression),
        "duplicate_texts": within_share(over_samples(duplicate_texts)),
    }
    excluded = len(answers) - samples * len(groups)
    return [
        row(evidence, f"{name}_across_input", estimate, pool=pool, excluded=excluded, better=BETTER.get(name, "higher"))
        for name, estimate in estimates.items()
    ]


def _ngrams_across(slices: Sequence[Mapping[str, str]]) -> tuple[Estimate, Estimate]:
    """distinct_ngrams and ead with their jackknife: what a group alone has is what is lost without it."""
    group = groups_of(list(slices[0]))
    count = max(group.values()) + 1
    # Per slice: on everything, then without each group; each a (distinct_ngrams, ead).
    parts = [[_varied(counted) for counted in _left_out(texts, group, count)] for texts in slices]
    plain, adjusted = (
        [_mean([part[index][which] for part in parts]) for index in range(count + 1)] for which in (0, 1)
    )
    return from_left_out(plain[0], plain[1:], len(group)), from_left_out(adjusted[0], adjusted[1:], len(group))


def _left_out(texts: Mapping[str, str], group: Mapping[str, int], count: int) -> list[list[tuple[int, int]]]:
    """(different, all) n-grams for each order: first of everything, then without each group."""
    shared = -1
    table: list[list[tuple[int, int]]] = [[] for _ in range(count + 1)]
    for order in range(len(ORDERS)):
        owner: dict[tuple[str, ...], int] = {}
        totals = [0] * count
        for prompt, text in texts.items():
            mine = group[prompt]
            found = _grams(text)[order]
            totals[mine] += len(found)
            for gram in found:
                if owner.setdefault(gram, mine) != mine:
                    owner[gram] = shared
        alone = Counter(owner.values())
        table[0].append((len(owner), sum(totals)))
        for index in range(count):
            table[index + 1].append((len(owner) - alone[index], sum(totals) - totals[index]))
    return table


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


@lru_cache(maxsize=20_000)
def _grams(text: str) -> Grams:
    tokens = words(text)
    return tuple(tuple(ngrams(tokens, n)) for n in ORDERS)


def distinct_ngrams(texts: Sequence[str]) -> tuple[float | None, float | None]:
    """distinct_ngrams and ead of one set of texts."""
    counted = []
    for order in range(len(ORDERS)):
        found = [_grams(text)[order] for text in texts]
        counted.append((len(set().union(*found)), sum(map(len, found))))
    return _varied(counted)


def _varied(counted: Sequence[tuple[int, int]]) -> tuple[float | None, float | None]:
    """Both measures from (different, all) n-grams of each order, averaged over the orders that occur."""
    occur = [(different, total) for different, total in counted if total]
    plain = [different / total for different, total in occur]
    # expm1 and log1p: the power of a number this close to 1 would lose the digits that are left after 1 - it.
    adjusted = [
        different / (-VOCABULARY * math.expm1(total * math.log1p(-1 / VOCABULARY))) for different, total in occur
    ]
    return _mean(plain), _mean(adjusted)


def compression(texts: Sequence[str]) -> float | None:
    raw = "\n".join(texts).encode()
    return len(zlib.compress(raw, LEVEL)) / len(raw) if raw.strip() else None


def duplicate_texts(texts: Sequence[str]) -> float:
    counts = Counter(texts)
    return sum(count for count in counts.values() if count > 1) / len(texts)


def self_bleu(texts: Sequence[str]) -> float:
    """A text beside its own copy has BLEU 1; sacrebleu is asked about the others only."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(effective_order=True)
    counts = Counter(texts)
    total = 0.0
    for text, count in counts.items():
        others = [other for other in texts if other != text]
        total += count if count > 1 else metric.sentence_score(text, others).score / 100
    return total / len(texts)
