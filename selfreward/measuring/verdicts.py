"""What the gates say after a round, and what follows from it: where the next round starts, which weights stay."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Literal

from selfreward.measuring.gates import best_round, decision, judge_round
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
    gates, number, note = round.recipe.gates, round.number, round.artifacts.note
    verdicts = judge_round(gates, round.recipe.rounds, measurements, number)
    decided = decision(verdicts)
    if decided != "go on":
        rejected.add(number)
    if decided == "rollback":
        earlier = [row for row in measurements if row.round < number]
        round.cast.starts[number + 1] = best_round(earlier, rejected, gates.select_by)
    for one in verdicts:
        evidence = asdict(one)
        note("gate", evidence.pop("round"), "measurements", **evidence)
        if one.fired:
            round.say(one.sentence)
    if verdicts:
        start = None if decided == "stop" else round.cast.start_of(number + 1)
        note("verdict", number, decision=decided, next_start=start)
        if decided != "go on":
            round.say(f"round {number}: {decided}" + ("" if start is None else f" to round {start}"))
    return decided


def discard_unneeded_checkpoints(round: Round, measurements: Sequence[Measurement], rejected: Collection[int]) -> None:
    """Retention: the weights of the start, best and last rounds stay, and of any that a reference names.

    The others' weights go; their digests stay in the seals.
    """
    recipe = round.recipe
    if recipe.keep.checkpoints == "all":
        return
    last = len(round.cast.policies) - 1
    named = {int(name.removeprefix("round:")) for name in role_references(recipe) if name.startswith("round:")}
    # What one more round would begin with, should the run be extended; implicit rewards also ask the one before that.
    following = round.cast.start_of(last + 1)
    named |= {following, *([round.cast.start_of(following)] if recipe.pairs.implicit else [])}
    best = best_round(measurements, rejected, recipe.gates.select_by)
    for number in set(range(last)) - {0, best, *named}:
        round.artifacts.discard_weights(number)
