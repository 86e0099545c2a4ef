"""How a judge's reply is read: what it says, the score words' probabilities, those after a rationale, or a number."""

from typing import Annotated, Literal

from pydantic import Field

from selfreward.recipe.model import SamplingRecipe
from selfreward.recipe.section import Section, part, section, setting


def judge_sampling() -> SamplingRecipe:
    return SamplingRecipe(temperature=0.8, max_tokens=40)


@section
class Reply(Section):
    """A reply that is sampled."""

    sampling: SamplingRecipe = part(judge_sampling, "how a reply is sampled")


@section
class Mass(Section):
    """Probabilities that are read. `min_mass` is the least probability of all score or label words together.

    `scale`: the words of a score, as the question asks for them. Scores from 1 to 10 (d-RLAIF) are kept as 0 to 5, on
    which all scores are: 1 is 0 and 10 is 5.
    """

    min_mass: float = setting(0.5, "least probability of all score or label words together", above=0, maximum=1)
    scale: Literal["0-5", "1-10"] = setting("0-5", "the words of a score; 1-10 is kept as 0 to 5")


@section
class VerdictReading(Reply):
    """What the reply says. An unreadable one is asked again up to `ask_again` times."""

    kind: Literal["verdict"] = "verdict"
    ask_again: int = setting(0, "how often an unreadable reply is asked again", minimum=0)


@section
class ProbabilityReading(Mass):
    """The expected score, or P(first is better), from the words' probabilities; nothing is decoded."""

    kind: Literal["probability"] = "probability"


@section
class RationaleReading(Mass, Reply):
    """The same, after a sampled rationale."""

    kind: Literal["rationale"] = "rationale"


@section
class ScalarReading(Section):
    """A number that a model gives for an answer and says nothing: a reward model."""

    kind: Literal["scalar"] = "scalar"


ReadingRecipe = Annotated[
    VerdictReading | ProbabilityReading | RationaleReading | ScalarReading, Field(discriminator="kind")
]
