"""What the gates say before and after a round, and what follows from it: the next round's start, which weights stay."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Literal

from selfreward.measuring.gates import GateVerdict, decision, judge_round
from selfreward.measuring.selection import best_round
from selfreward.recipe.references import role_references
from selfreward.records import Measurement
from selfreward.roles.round import Round

Verdict = Literal["go on", "stop", "rollback"]


def verdict(round: Round, measurements: Sequence[Measurement], rejected: set[int]) -> Verdict:
    """The gates' word on the round: go on, stop, or roll back, which sets where the next round starts.

    A verdict is a pure function of recipe and measurements: a resumed run reaches it again. It is written to the
    journal with its evidence; the checkpoints' seals say what each was trained from. A round that is not gone on from
    joins `rejected`.
    """
    gates, number = round.recipe.gates, round.number
    verdicts = judge_round(gates, round.recipe.rounds, measurements, number)
    decided = decision(verdicts)
    if decided != "go on":
        rejected.add(number)
    if decided == "rollback":
        earlier = [row for row in measurements if row.round < number]
        round.cast.starts[number + 1] = best_round(earlier, rejected, gates.select_by)
    _tell(round, verdicts)
    if verdicts:
        start = None if decided == "stop" else round.cast.start_of(number + 1)
        round.artifacts.note("verdict", number, decision=decided, next_start=start)
        if decided != "go on":
            round.say(f"round {number}: {decided}" + ("" if start is None else f" to round {start}"))
    return decided


def may_train(round: Round, measurements: Sequence[Measurement]) -> bool:
    """The word of the gates that stand before the training of this round, on the policy that it would start from.

    Their verdicts are as pure as those after a round, and noted likewise.
    """
    gates, start = round.recipe.gates, round.cast.start_of(round.number)
    asked = [rule for rule in gates.rules if rule.when == "before_training"]
    if not asked:
        return True
    if not any(row.round == start for row in measurements):
        round.say(f"round {round.number}: round {start} was not measured, no gate is asked before training")
        return True
    verdicts = judge_round(gates, round.recipe.rounds, measurements, start, "before_training")
    _tell(round, verdicts)
    stops = decision(verdicts) == "stop"
    round.artifacts.note("before_training", round.number, start=start, decision="stop" if stops else "go on")
    if stops:
        round.say(f"round {round.number}: stop, nothing of it was sampled or trained")
    return not stops


def _tell(round: Round, verdicts: Sequence[GateVerdict]) -> None:
    for one in verdicts:
        evidence = asdict(one)
        round.artifacts.note("gate", evidence.pop("round"), "measurements", **evidence)
        if one.fired:
            round.say(one.sentence)


def discard_unneeded_checkpoints(round: Round, measurements: Sequence[Measurement], rejected: Collection[int]) -> None:
    """Retention: the weights of the start, best and last rounds stay, and of any that a reference names.

    The others' weights go; their digests stay in the seals.
    """
    recipe = round.recipe
    if recipe.keep.checkpoints == "all":
        return
    last = len(round.cast.policies) - 1
    named = {one.number for one in role_references(recipe) if one.number is not None}
    # What one more round would begin with, should the run be extended; implicit rewards also ask the one before that.
    following = round.cast.start_of(last + 1)
    named |= {following, *([round.cast.start_of(following)] if recipe.pairs.implicit else [])}
    best = best_round(measurements, rejected, recipe.gates.select_by)
    for number in set(range(last)) - {0, best, *named}:
        round.artifacts.discard_weights(number)
