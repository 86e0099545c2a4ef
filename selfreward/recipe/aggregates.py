"""How several readings of an answer become its score."""

from typing import Annotated, Literal

from pydantic import Field

from selfreward.recipe.section import Section, keyed, needed, section, setting


@section
class Drawn(Section):
    """N = `samples` readings of one question."""

    samples: int = setting(3, "readings of each answer (N)", minimum=1)


@section
class MeanAggregate(Drawn):
    """The mean of the readable ones (SRLM)."""

    kind: Literal["mean"] = "mean"


@section
class MedianAggregate(Drawn):
    """Their median."""

    kind: Literal["median"] = "median"


@section
class AdaptiveRecipe(Section):
    """Judge where it matters: `first` judgments of every answer, then more of the contenders for best and worst.

    Up to `cap` per answer, until the leader's and its strongest challenger's intervals of `z` posterior standard
    errors separate, give or take `tolerance` score points (scoring/adaptive.py). `own_noise` trusts an answer's own
    spread beside the pooled one, which then counts as one judgment more.
    """

    kind: Literal["adaptive"] = "adaptive"
    first: int = setting(2, "readings of every answer", minimum=2)
    cap: int = setting(11, "readings of one answer at most", minimum=2)
    z: float = setting(0.8, "posterior standard errors by which two answers are told apart", minimum=0)
    tolerance: float = setting(0.25, "score points that do not matter", minimum=0)
    own_noise: bool = setting(True, "trust an answer's own spread beside the pooled one")


@keyed
class EnsembleAggregate(Drawn):
    """Several judges: `template`, `template@model` or `@model`. The mean of their means (or medians, `average`).

    An answer on which they differ by more than `max_disagreement` points is dropped. Members that compare two answers
    (judge.question=comparison) have a `vote` on every two instead: the mean of their preferences, what most of them
    prefer, or a tie unless all prefer the same.
    """

    members: Annotated[tuple[str, ...], needed("template, template@model or @model of each judge")]
    kind: Literal["ensemble"] = "ensemble"
    average: Literal["mean", "median"] = setting("mean", "what each member's readings become")
    vote: Literal["mean", "majority", "unanimous"] = setting("mean", "of members that compare: what wins", later=True)
    max_disagreement: float | None = setting(None, "points by which the members may differ", minimum=0)


AggregateRecipe = Annotated[
    MeanAggregate | MedianAggregate | AdaptiveRecipe | EnsembleAggregate, Field(discriminator="kind")
]
