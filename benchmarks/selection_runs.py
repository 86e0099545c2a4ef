"""One run, for selection.py: its truth by round, which round each rule takes, where the truth fell, what gates say."""

from dataclasses import dataclass
from pathlib import Path

from selection_rules import anchored_round, latest_within_error, round_by_scores

from selfreward.gates import best_round, judge_round
from selfreward.recipe import GatesRecipe
from selfreward.report.compare import compare_rounds
from selfreward.report.reading import Key, Reading

METRIC, POOL = "true_accuracy", "report"
LATEST = "latest within one standard error"


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


def study_run(reading: Reading, arm: str, model: str, gates: GatesRecipe, anchors: Path) -> RunStudy:
    rows = reading.by_key[Key(METRIC, POOL)]
    truth = tuple(float(rows[number].value or 0.0) for number in reading.rounds)
    fired, rejected = replay(reading, gates)
    chosen = {
        "selected, gated": best_round(reading.measurements, rejected),
        "selected on twice the prompts": round_by_scores(two_pools(reading)),
        "selected by round 0's judge": anchored_round(reading, anchors),
        **measured_rules(reading),
    }
    regret = {rule: max(truth) - truth[number] for rule, number in chosen.items()}
    return RunStudy(reading.name, arm, model, truth, chosen, regret, fallen_rounds(reading), fired)


def measured_rules(reading: Reading) -> dict[str, int]:
    """The rules that need nothing but the sealed measurements."""
    rows = reading.measurements
    simple = {"last": reading.rounds[-1], "first": reading.rounds[1], "start": 0}
    return {"selected": best_round(rows), LATEST: latest_within_error(rows), **simple}


def measured_run(reading: Reading, arm: str, model: str) -> RunStudy:
    """A run of another grid: by its measurements alone."""
    rows, chosen = reading.by_key[Key(METRIC, POOL)], measured_rules(reading)
    truth = tuple(float(rows[number].value or 0.0) for number in reading.rounds)
    regret = {rule: max(truth) - truth[number] for rule, number in chosen.items()}
    return RunStudy(reading.name, arm, model, truth, chosen, regret, (), {})


def two_pools(reading: Reading) -> dict[int, dict[str, float]]:
    """Round → prompt of the gate or selection pool → the judge's mean score."""
    pools = ("gate", "selection")
    return {
        n: {k: v for pool in pools for k, v in reading.per_prompt(n, pool)["judge_mean"].items()}
        for n in reading.rounds
    }


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
