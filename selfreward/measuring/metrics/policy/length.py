"""How long are the answers? Growth without growth in truth is the cheapest sign of pleasing the judge.

length_tokens   mean number of sampled tokens: reasoning and the end of turn included, what an answer costs
length_words    median number of words of the answer alone: what the judge sees
truncated_rate  share of answers that ran into the limit
"""

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import COUNT, About, Metric, up
from selfreward.measuring.metrics.answers import clusters, evaluated, row
from selfreward.measuring.metrics.families import LENGTH
from selfreward.measuring.metrics.worries import CLOSER, SHORTER, Above, Grew, Remedy, Shrank
from selfreward.measuring.stats.clustered import clustered_mean, clustered_share
from selfreward.measuring.stats.resampling import clustered_median
from selfreward.records import Measurement

ABOUT = About(
    "length",
    (
        Metric(
            "length_tokens",
            "length (tokens)",
            LENGTH,
            scale=COUNT,
            planted=(up("padding"),),
            worries=(
                Grew(
                    0.25,
                    "length",
                    (SHORTER, Remedy("pairs.max_chosen_tokens", "a bound: longer answers are not chosen")),
                ),
                Shrank(0.25, "length", (Remedy("pairs.rule", "one that does not pay for being short"), CLOSER)),
            ),
        ),
        Metric("length_words", "length (words, median)", LENGTH, planted=(up("padding"),)),
        Metric(
            "truncated_rate",
            "truncated answers",
            LENGTH,
            worries=(
                Above(
                    0.10,
                    (
                        Remedy("generate.sampling.max_tokens", "higher, and measure.sampling.max_tokens with it"),
                        SHORTER,
                    ),
                ),
            ),
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for pool, answers in evaluated(evidence):
        prompts = clusters(answers)
        responses = [answer.response for answer in answers]
        tokens = clustered_mean([len(response.token_ids) for response in responses], prompts)
        words = clustered_median([len(response.text.split()) for response in responses], prompts)
        truncated = clustered_share([float(response.finish_reason == "length") for response in responses], prompts)
        rows += [
            row(evidence, "length_tokens", tokens, pool=pool),
            row(evidence, "length_words", words, pool=pool),
            row(evidence, "truncated_rate", truncated, pool=pool, better="lower"),
        ]
    return rows
