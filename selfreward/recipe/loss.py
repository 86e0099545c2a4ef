"""The preference losses, each with the keys that it reads; they are written out in training/losses.py."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from selfreward.recipe.section import Section, section, setting, tags_of

Reads = frozenset[str]


@section
class LossBase(Section):
    """`READS`: what a loss reads beside its keys, beta and the policy's log-probabilities; `nll` is a part of it."""

    READS: ClassVar[Reads] = frozenset()


@section
class Smoothed(LossBase):
    """`label_smoothing` is the share of labels that are held for wrong."""

    label_smoothing: float = setting(0.0, "share of the labels that are held for wrong", minimum=0, below=0.5)


@section
class MarginLoss(Smoothed):
    """Losses of the margin between chosen and rejected, against a reference."""

    READS: ClassVar[Reads] = frozenset({"reference", "label"})

    kind: Literal["dpo", "dpo_length_normalised", "robust", "hinge", "ipo_sum", "ipo_token"] = "dpo"


@section
class SimpoLoss(Smoothed):
    """SimPO: mean log-probabilities without a reference, apart by `gamma`."""

    READS: ClassVar[Reads] = frozenset({"label"})

    kind: Literal["simpo"] = "simpo"
    gamma: float = setting(0.0, "the margin that is asked for", minimum=0)


@section
class OrpoLoss(Smoothed):
    """ORPO: log odds ratio, beside the chosen answer's likelihood, without a reference."""

    READS: ClassVar[Reads] = frozenset({"label", "nll"})

    kind: Literal["orpo"] = "orpo"


@section
class SppoLoss(LossBase):
    """SPPO: each answer's log-ratio is fitted to its win rate, which only pairs.rule=sppo gives."""

    READS: ClassVar[Reads] = frozenset({"reference", "win_rates"})

    kind: Literal["sppo"] = "sppo"


@section
class SppoHardLoss(LossBase):
    """SPPO with win rates of 1 and 0."""

    READS: ClassVar[Reads] = frozenset({"reference", "label"})

    kind: Literal["sppo_hard"] = "sppo_hard"


LossRecipe = Annotated[MarginLoss | SimpoLoss | OrpoLoss | SppoLoss | SppoHardLoss, Field(discriminator="kind")]

LOSS_READS: dict[str, Reads] = {
    tag: kind.READS | (kind.__pydantic_fields__.keys() - {"kind"})
    for kind in get_args(get_args(LossRecipe)[0])
    for tag in tags_of(kind)
}
"""By name: what a loss reads, its own keys included."""
