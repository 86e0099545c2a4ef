"""The canary's rule: "train", "do not train" or "cannot be known", by what a judge says of the start policy's answers.

Of the pairs that the recipe's rule makes, those are looked at whose two answers the truth tells apart (decided pairs).
Accuracy is the share in which the chosen answer is the better one. In this order:

    do not train      fewer verdicts can be read than gates.min_readable; or the rule makes no pair at all
    cannot be known   no truth stands beside the judge; or it decides a pair of fewer than 10 prompts
    do not train      the 95 % interval of the accuracy lies below 1/2
    train             it lies above 1/2
    do not train      it holds 1/2, and a judge that is right in .75 would have been seen (`smallest_visible` <= .75)
    cannot be known   it holds 1/2, and such a judge might have been missed: too few decided pairs

The interval is Wilson's, clustered by prompt. `smallest_visible` is the accuracy at which n prompts with one decided
pair each show it in 80 % of the cases: the p with P(Bin(n, p) >= k) = .8, k the fewest right pairs whose interval lies
above 1/2. It falls to .75 at 29 prompts.

Error rates, exact for one decided pair a prompt (binomial sums; tests/test_canary.py computes them again and holds
them against simulated evidence):

    decided     "train" of a     not "train" of a judge that is right in .65 | .75 | .85
    20          .021             .755 | .383 | .067, all of it "cannot be known" or nearly
    30          .021             .642 | .197 | .010
    60          .026             .338 | .015 | .000
    100         .028             .125 | .000 | .000

So a coin is let through in one of forty runs or so, and is seldom more than "cannot be known" below 29 decided pairs. A
truth that is itself wrong now and then (people, a held-out judge) pulls the accuracy towards 1/2: the canary then errs
to "do not train". It says whether the pairs of round 1 are better than chance, not that training on them will help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from scipy.special import betaincinv

from selfreward.measuring.judge_truth import Rated
from selfreward.measuring.stats.clustered import NOTHING, Estimate, clustered_share, wilson

Word = Literal["train", "do not train", "cannot be known"]
CHANCE = 0.5
WORTH_SEEING = 0.75
POWER = 0.8
FEWEST = 10
"""Prompts with a decided pair: of fewer, Wilson's interval clears 1/2 too often (four right of four: 1 in 16)."""


class Fought(NamedTuple):
    """A pair that the rule made: 1 where the chosen answer is the better one by truth, 0 the worse, None undecided."""

    prompt: str
    right: float | None


@dataclass(frozen=True)
class CanaryEvidence:
    """`truth` names what stands beside the judge, "" where nothing does; then `missing` says why.

    `pairs` are all that the rule made of answers with a truth; `rated` the answers behind them. `verdicts` counts the
    judge's replies, `scores` its scores (ratings, where it compares), `ends` those of them at an end of the scale.
    """

    truth: str
    pairs: Sequence[Fought]
    prompts: int
    verdicts: int
    readable: int
    answers: int
    truncated: int
    rated: Sequence[Rated] = ()
    scores: int = 0
    ends: int = 0
    flips: Estimate = NOTHING
    missing: str = ""
    reasons: Sequence[str] = field(default_factory=tuple)
    """Why prompts made no pair, the commonest first, as `reason count`."""


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """`smallest` is the smallest accuracy that so many prompts with decided pairs show; None: too few."""

    word: Word
    sentence: str
    accuracy: Estimate
    decided: int
    smallest: float | None


def decide(evidence: CanaryEvidence, min_readable: float) -> CanaryVerdict:
    """The rule of the module: a pure function of the evidence."""
    known = [(pair.right, pair.prompt) for pair in evidence.pairs if pair.right is not None]
    accuracy = clustered_share([right for right, _ in known], [prompt for _, prompt in known])
    smallest = smallest_visible(accuracy.n)

    def say(word: Word, why: str) -> CanaryVerdict:
        return CanaryVerdict(word, f"{word}: {why}", accuracy, len(known), smallest)

    share = evidence.readable / evidence.verdicts if evidence.verdicts else 0.0
    if not evidence.verdicts or share < min_readable:
        return say(
            "do not train",
            f"{evidence.readable} of {evidence.verdicts} verdicts could be read; gates.min_readable is "
            f"{min_readable:.0%}",
        )
    if not evidence.truth:
        return say("cannot be known", f"no truth stands beside the judge ({evidence.missing})")
    if not evidence.pairs:
        why = f" ({', '.join(evidence.reasons)})" if evidence.reasons else ""
        return say("do not train", f"the pair rule makes no pair of {evidence.prompts} prompts{why}")
    low, high = accuracy.low, accuracy.high
    told = f"of {len(known)} pairs that {evidence.truth} decides"
    told += "" if accuracy.value is None else f", the chosen answer is the better one in {accuracy.value:.2f}"
    told += "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    if low is None or high is None or smallest is None:
        return say("cannot be known", f"{told}, and that is {accuracy.n} of the {FEWEST} prompts or more that it takes")
    if high < CHANCE:
        return say("do not train", f"{told}, which is worse than chance")
    if low > CHANCE:
        return say("train", f"{told}, which is better than chance")
    if smallest > WORTH_SEEING:
        seen = f"so few pairs show none below {smallest:.2f} in {POWER:.0%} of the cases"
        return say("cannot be known", f"{told}, and {seen}; ask more prompts")
    seen = f"a judge that is right in {smallest:.2f} would have been seen in {POWER:.0%} of the cases"
    return say("do not train", f"{told}, as a coin could; {seen}")


def smallest_visible(n: int) -> float | None:
    """The accuracy that n independent decided pairs show in 80 % of the cases; None of fewer than `FEWEST`."""
    if n < FEWEST:
        return None
    enough = next(k for k in range(n + 1) if wilson(k, n)[0] > CHANCE)
    return float(betaincinv(enough, n - enough + 1, POWER))
