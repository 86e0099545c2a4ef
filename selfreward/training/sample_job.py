"""What a training on samples is told, and what it refuses before it starts."""

from collections.abc import Sequence
from typing import Any

from selfreward.errors import HandOffError
from selfreward.recipe import GrpoRecipe, RlooRecipe
from selfreward.records import Sample
from selfreward.roles.player import Policy


def refuse_other_policy(samples: Sequence[Sample], start: Policy, round: int) -> None:
    for sample in samples:
        if sample.policy != start.digest:
            raise HandOffError(
                f"round {round}, sample {sample.id}: an answer of policy {sample.policy[:16]}, expected one of "
                f"{start.digest[:16]}, from which training starts; make the round's samples again"
            )


def loss_of(method: GrpoRecipe | RlooRecipe, longest: int) -> dict[str, Any]:
    """The fields of the method's PolicyLoss; `longest` is the limit of an answer in tokens."""
    return {
        "clip": method.clip,
        "clip_high": method.clip_high,
        "kl": 0.0 if method.KL_IN_REWARD else method.kl,
        "ratio": method.ratio,
        "aggregate": method.aggregate,
        "longest": longest,
    }
