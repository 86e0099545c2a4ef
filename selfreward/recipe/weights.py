"""How much each preference pair counts in training, beside what its rule says."""

from typing import Annotated, Literal

from pydantic import Field

from selfreward.recipe.reference import INITIAL, ModelReference
from selfreward.recipe.section import Section, section, setting


@section
class EqualWeights(Section):
    """Every pair counts as its rule, its cohort or its file says."""

    kind: Literal["equal"] = "equal"


@section
class NrdpoWeights(Section):
    """nrDPO: a pair counts as far as a frozen reference believes its label (pairing/noise.py).

    For labels that may be wrong: pairs of a file, of a teacher, of a noisy judge. `gate` drops that share of the
    round's pairs, those of the lowest margins (nrDPO-gated).
    """

    kind: Literal["nrdpo"] = "nrdpo"
    reference: ModelReference = setting(INITIAL, "who is believed: initial, round:K or a path")
    context: float = setting(
        0.5, "weight where the reference prefers the other answer without the context", above=0, maximum=1
    )
    length: float = setting(0.5, "exponent of the shorter length over the longer; 0: lengths do not count", minimum=0)
    gate: float = setting(0.0, "share of the pairs that are dropped, the lowest margins", minimum=0, below=1)


WeightsRecipe = Annotated[EqualWeights | NrdpoWeights, Field(discriminator="kind")]
