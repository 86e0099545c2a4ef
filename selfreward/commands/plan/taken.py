"""A plan beside what the seals of a run say was taken."""

from dataclasses import dataclass

from selfreward.commands.plan.plan import Plan
from selfreward.recipe import REWARD_MODEL
from selfreward.store.artifacts import whole_of
from selfreward.store.view import RunView


@dataclass(frozen=True, slots=True)
class Taken:
    """One stage, planned and taken, over all finished rounds."""

    stage: str
    planned_tokens: float
    tokens: int
    planned_seconds: float
    seconds: float


def compare(made: Plan, view: RunView) -> list[Taken]:
    """Planned against taken, stage by stage. What another run computed and this one links counts with its own time."""
    seals = [
        seal
        for number in view.rounds()
        for path in sorted(view.directory(number).glob("*.done.json"))
        if (seal := view.seal(number, path.name.removesuffix(".done.json")))
    ]
    trained = {seal.round for seal in seals if seal.artifact == "checkpoint" and seal.round}
    evaluated = {seal.round for seal in seals if seal.artifact == "measurements"}
    found = []
    taught = {seal.round for seal in seals if seal.artifact == REWARD_MODEL}
    for costs, rounds in ((made.made, trained), (made.measured, evaluated), (made.taught, taught)):
        for stage in dict.fromkeys(cost.stage for cost in costs):
            planned = [cost for cost in costs if cost.stage == stage]
            ours = [seal for seal in seals if seal.round in rounds and belongs(seal.artifact, planned[0].artifact)]
            found.append(
                Taken(
                    stage,
                    len(rounds) * sum(cost.decoded for cost in planned),
                    sum(seal.tokens for seal in ours),
                    len(rounds) * sum(cost.cached if made.caches else cost.seconds for cost in planned),
                    sum(seal.seconds for seal in ours),
                )
            )
    return found


def belongs(artifact: str, name: str) -> bool:
    """`judgments_first`, `judgments_0`, `judgments_comparisons` belong to `judgments`; `meta_judgments` does not."""
    whole = whole_of(name)
    if whole == "likelihoods":
        return artifact.startswith("likelihoods")  # under the policy, the one before it, the initial one
    return whole_of(artifact) in (whole, f"model_{whole}") or artifact.startswith(f"{whole}_of_round_")
