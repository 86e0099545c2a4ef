"""How a judge's reply is read: what it says, the probabilities of the score words, or those after a rationale."""

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
    """Probabilities that are read. `min_mass` is the least probability of all score or label words together."""

    min_mass: float = setting(0.5, "least probability of all score or label words together", above=0, maximum=1)


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


ReadingRecipe = Annotated[VerdictReading | ProbabilityReading | RationaleReading, Field(discriminator="kind")]
