"""One run, for selection.py: its truth by round, which round each rule takes, where the truth fell, what gates say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selfreward.measuring.gates import judge_round
from selfreward.measuring.selection import SELECTION_POOL, SELECTIONS, best_round, resolved_gains
from selfreward.recipe import GatesRecipe
from selfreward.records import Measurement
from selfreward.report.compare import compare_rounds
from selfreward.report.reading import Key, Reading

METRIC, POOL = "true_accuracy", "report"
OWN, HELD_OUT, HIGHEST = "own judge", "held-out judge", "highest by the own judge"


@dataclass(frozen=True)
class RunStudy:
    """One run. `truth` is per round; `fell` lists the rounds below an earlier one (paired 95 % interval below 0)."""

    name: str
    arm: str
    model: str
    truth: tuple[float, ...]
    chosen: dict[str, int]
    regret: dict[str, float]
    fell: tuple[int, ...]
    fired: dict[str, tuple[int, ...]]


def study_run(reading: Reading, arm: str, model: str, gates: GatesRecipe) -> RunStudy:
    """A run whose gate pool was read as `gates` needs it."""
    fired, rejected = replay(reading, gates)
    return _study(reading, arm, model, rejected, fallen_rounds(reading), fired)


def measured_run(reading: Reading, arm: str, model: str) -> RunStudy:
    """A run of another grid: what is chosen, without gates and falls."""
    return _study(reading, arm, model, None, (), {})


def _study(
    reading: Reading,
    arm: str,
    model: str,
    rejected: set[int] | None,
    fell: tuple[int, ...],
    fired: dict[str, tuple[int, ...]],
) -> RunStudy:
    rows, measured = reading.by_key[Key(METRIC, POOL)], reading.measurements
    truth = tuple(float(rows[number].value or 0.0) for number in reading.rounds)
    chosen = {}
    judges: dict[str, Literal["judge", "held_out"]] = {OWN: "judge", HELD_OUT: "held_out"}
    for rule, by in judges.items():
        if Key(SELECTIONS[by].metric, SELECTION_POOL) in reading.by_key:
            chosen[rule] = best_round(measured, select_by=by)
            if rejected is not None:
                chosen[f"{rule}, gated"] = best_round(measured, rejected, select_by=by)
    chosen |= {HIGHEST: highest(measured), "last": reading.rounds[-1], "first": reading.rounds[1], "start": 0}
    regret = {rule: max(truth) - truth[number] for rule, number in chosen.items()}
    return RunStudy(reading.name, arm, model, truth, chosen, regret, fell, fired)


def highest(measurements: Sequence[Measurement]) -> int:
    """The rule's candidate of the highest gain by the own judge, the first of equals."""
    gains = resolved_gains(measurements, (), "judge")
    return max(gains, key=lambda gain: (gain.value, -gain.round)).round if gains else 0


def replay(reading: Reading, gates: GatesRecipe) -> tuple[dict[str, tuple[int, ...]], set[int]]:
    """Metric of each rule → the rounds in which it fires, and the rounds that would be stopped or rolled back."""
    fired: dict[str, list[int]] = {rule.metric: [] for rule in gates.rules}
    rejected = set()
    for number in reading.rounds[1:]:
        for verdict in judge_round(gates, reading.rounds[-1], reading.measurements, number):
            if verdict.fired:
                fired[verdict.rule.metric].append(number)
                if verdict.rule.action != "warn":
                    rejected.add(number)
    return {metric: tuple(rounds) for metric, rounds in fired.items()}, rejected


def fallen_rounds(reading: Reading) -> tuple[int, ...]:
    """Rounds whose true accuracy is below an earlier round's, with the whole paired interval."""
    found = set()
    for later in reading.rounds:
        for earlier in reading.rounds[: reading.rounds.index(later)]:
            row = next(row for row in compare_rounds(reading, reading, earlier, later) if row.metric == METRIC)
            high = row.difference.estimate.high
            if high is not None and high < 0:
                found.add(later)
    return tuple(sorted(found))
