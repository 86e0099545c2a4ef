"""The questions that metrics answer, in the order of the report. One that a metric brings itself stands behind them."""

from selfreward.measuring.metrics.about import Family

TRUTH = Family("Truth", "How good is the policy really? By the verifier, on prompts that it never trained on.")
LENGTH = Family("Length", "Do answers grow? Growth without growth in truth is the cheapest sign of pleasing the judge.")
FORM = Family("Form", "What do the answers look like, and do they refuse?")
DIVERSITY = Family("Diversity", "Do samples of one prompt still differ?")
WORDS_AND_MEANING = Family(
    "Diversity of words and meaning",
    "Within a prompt and between prompts apart: a collapsed policy loses the first and may keep the second.",
)
COVERAGE = Family("Coverage", "Could more samples solve it?")
OUTPUT_DRIFT = Family(
    "Output drift",
    "How differently does the policy write than earlier rounds? Divergence above what halves of a round "
    "differ by; a classifier's AUC, .5 is no difference.",
)
PAIRS = Family(
    "Pairs and training",
    "How many pairs were there, were they right, and what did training do to their likelihood?",
)
REWARDS = Family(
    "Rewards and training",
    "What were the answers worth, did their advantages point the right way, and how far did training go?",
)
POLICY_DRIFT = Family(
    "Policy drift",
    "How far has the policy moved? KL in nats from its own samples; k3 is never negative, k1 unbiased and noisier.",
)
SYCOPHANCY = Family(
    "Sycophancy",
    "Does the policy give in to the user? Conversations with a cue, beside the same ones without it.",
)
COHORTS = Family(
    "Named cohorts",
    "Did anything else get worse? Sets of prompts of their own; a change below 0 is a regression.",
)
BELIEF = Family("Belief", "What does the policy's own judge think of it, and is that more than the truth?")
JUDGE = Family(
    "Judge against truth",
    "Does the judge tell better from worse? The frozen pool is the same in every round; own samples are not.",
)
BEST_OF_N = Family(
    "Best of N by the judge",
    "How true is the answer that the judge picks among N samples, beside a random pick (of 1) and the verifier's?",
)
JUDGE_HEALTH = Family("Judge health", "Does the judge still discriminate, and can its verdicts be read?")
JUDGE_AGREEMENT = Family(
    "Judge agreement",
    "Does the judge agree with the known labels beyond chance, with itself, and with earlier judges?",
)
JUDGE_AND_LENGTH = Family("Judge and length", "Does the judge pay for length?")
JUDGE_DRIFT = Family(
    "Judge's drift",
    "Does the judge move away from what holds still: truth, labels, the same answers, a held-out judge?",
)
JUDGE_TASTES = Family(
    "Judge's tastes",
    "Does the judge pay for filler, for agreement with the user, for its own policy's hand? 0 is unbiased; "
    "a win rate of .5 is.",
)
HELD_OUT = Family(
    "Win rate by a held-out judge",
    "Does the policy beat earlier rounds in the eyes of a judge that it was not trained on?",
)
WIN_RATE = Family(
    "Win rate by the loop's own judge",
    "Does the policy beat earlier rounds? The training judge is asked about its own training: read with care.",
)
META = Family("Meta-judge", "Does the meta-judge agree with itself when the order is swapped, and is it right?")

FAMILIES = (
    TRUTH,
    LENGTH,
    FORM,
    DIVERSITY,
    WORDS_AND_MEANING,
    COVERAGE,
    OUTPUT_DRIFT,
    PAIRS,
    REWARDS,
    POLICY_DRIFT,
    SYCOPHANCY,
    COHORTS,
    BELIEF,
    JUDGE,
    BEST_OF_N,
    JUDGE_HEALTH,
    JUDGE_AGREEMENT,
    JUDGE_AND_LENGTH,
    JUDGE_DRIFT,
    JUDGE_TASTES,
    HELD_OUT,
    WIN_RATE,
    META,
)
