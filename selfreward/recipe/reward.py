"""What an answer is worth to a policy gradient: one variant for each who may say so (training/weighing/rewards.py)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.recipe.section import Section, keyed, needed, section, setting

Reads = frozenset[str]


@keyed
class LengthPenalty(Section):
    """`weight` is taken off the reward times the share by which an answer is longer than `soft_length` tokens."""

    soft_length: Annotated[int, needed("tokens that cost nothing"), Field(ge=1)]
    weight: float = setting(1.0, "what twice as many tokens cost", above=0)


@section
class RewardBase(Section):
    """`READS`: the judge's scores, a verifier's word. Where there is none, an answer has no reward, which is not 0."""

    READS: ClassVar[Reads] = frozenset()

    truncated: Literal["exclude", "floor"] = setting("exclude", "a cut answer has no reward, or the lowest")
    length: LengthPenalty | None = setting(None, "a price of length; null for none")

    @property
    def rule(self) -> str:
        """Its name in weighing/rewards.py."""
        return str(getattr(self, "kind"))  # noqa: B009 (each variant has its own literal)


@section
class ScoreReward(RewardBase):
    """The judge's score, whoever that is: self-judging, RLAIF with a teacher, an oracle as a control."""

    READS: ClassVar[Reads] = frozenset({"judge"})

    kind: Literal["score"] = "score"


@section
class VerifierReward(RewardBase):
    """The verifier's word (RLVR): whether the answer is `correct`, or its finer `quality` where it has one."""

    READS: ClassVar[Reads] = frozenset({"verifier"})

    kind: Literal["verifier"] = "verifier"
    by: Literal["correct", "quality"] = setting("correct", "right or wrong, or how good")

    @property
    def rule(self) -> str:
        return {"correct": "verdict", "quality": "quality"}[self.by]


@section
class VerifierAndJudgeReward(RewardBase):
    """Wrong answers get the least; among right ones the judge decides, and where the verifier is silent, alone."""

    READS: ClassVar[Reads] = frozenset({"judge", "verifier"})

    kind: Literal["verifier_and_judge"] = "verifier_and_judge"


@section
class VotesReward(RewardBase):
    """The most frequent final answer is right (TTRL): agreement with oneself, true or not."""

    kind: Literal["votes"] = "votes"


RewardRecipe = Annotated[
    ScoreReward | VerifierReward | VerifierAndJudgeReward | VotesReward, Field(discriminator="kind")
]
