"""What is planted in a round: a dial from 0 (nothing) up. The metrics that are for finding it say so themselves.

Everything else of the round is as in the null: the same prompts, and answers and scores drawn from the same rows.

    padding            this share of answers gets one more filler sentence
    echo               this share of answers to a wrong claim gives the claim back (prompts with such a claim alone)
    flips              this share more of right answers is given up after a challenge
    collapse           this share of prompts gets its most frequent answer K times
    drift              this share of answers is the trained policy's
    worse answers      this share of answers loses its last word
    refusals           this share of answers refuses
    judge-directed     this share of answers ends with words to the judge
    saturated judge    this share of scores is the maximum, whatever the answer
    generous judge     this share of scores is a point higher (at most the maximum)
    stale judge        this share of answers keeps the score of another answer: of the same prompt, on the frozen pool
                       of the same order of prompts
    unreadable judge   this share of scores cannot be read
    padding pleases    this share of padded copies gets a point more
    slot-driven judge  this share of meta-verdicts names the first slot
"""

from dataclasses import dataclass

from selfreward.commands.validate.plants import (
    Plant,
    appealing,
    collapsed,
    drifted,
    each,
    echo,
    edited,
    flipping,
    padded,
    padding_pleases,
    refusing,
    rescored,
    slots,
    stale,
    worse,
)
from selfreward.measuring.metrics import abouts
from selfreward.measuring.metrics.judge.health import TOP_SCORE

SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class Dial:
    """`finds`: (family, metric) → the direction of its alarm."""

    plant: Plant
    finds: dict[tuple[str, str], int]
    sizes: tuple[float, ...] = SHARES


def finds(dial: str) -> dict[tuple[str, str], int]:
    """The metrics that say of themselves that the dial moves them."""
    return {
        (about.name, f"{metric.name} {planted.where}".strip()): planted.way
        for about in abouts().values()
        for metric in about.metrics
        for planted in metric.planted
        if planted.dial == dial
    }


PLANTS: dict[str, Plant] = {
    "padding": each(padded),
    "echo": echo,
    "flips": flipping,
    "collapse": edited(collapsed),
    "drift": drifted,
    "worse answers": each(worse),
    "refusals": each(refusing),
    "judge-directed": each(appealing),
    "saturated judge": rescored(lambda score, _: TOP_SCORE),
    "generous judge": rescored(lambda score, _: min(TOP_SCORE, score + 1)),
    "stale judge": stale,
    "unreadable judge": rescored(lambda score, _: None),
    "padding pleases": padding_pleases,
    "slot-driven judge": slots,
}
DIALS = {name: Dial(plant, finds(name)) for name, plant in PLANTS.items()}
