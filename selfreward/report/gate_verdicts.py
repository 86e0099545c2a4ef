"""What the gates said after every round, with their evidence.

Verdicts are pure functions of the recipe and the sealed measurements, so they are judged again here and need no
journal. The floor of readable verdicts (`gates.min_readable`) holds for every round and is told beside the rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfreward.errors import GateError
from selfreward.measuring.gates import GateVerdict, decision, judge_round, rejected_rounds
from selfreward.measuring.selection import best_round
from selfreward.recipe import GateRule, GatesRecipe
from selfreward.records import Judgment
from selfreward.report.catalogue import place, words
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import DASH, Table, number_text


@dataclass(frozen=True)
class GateReport:
    """`error_level` states what was promised; `problem` is why no verdict could be reached, or ""."""

    error_level: str
    verdicts: Sequence[GateVerdict]
    decisions: Mapping[int, str]
    table: Table
    problem: str = ""

    @property
    def sentences(self) -> list[str]:
        """What the gates did, for the verdict on the run; nothing where nothing fired."""
        said = []
        for number, decided in self.decisions.items():
            fired = [
                one for one in self.verdicts if one.round == number and one.fired and one.rule.when == "after_round"
            ]
            if not fired:
                continue
            did = {"stop": "stopped the run after", "rollback": "rolled back", "go on": "warned after"}[decided]
            why = "; ".join(f"{rule_text(one.rule)} ({_found(one)})" for one in fired)
            said.append(f"The gates {did} round {number}: {why}.")
        early = [one for one in self.verdicts if one.fired and one.rule.when == "before_training"]
        for one in early:
            did = "stopped the run" if one.rule.action == "stop" else "warned"
            next_one = one.round + 1
            said.append(f"The gates {did} before round {next_one} was trained: {rule_text(one.rule)} ({_found(one)}).")
        return said


def gate_report(reading: Reading) -> GateReport:
    """Every rule in every measured round after round 0, and the floor of readable verdicts."""
    recipe, rounds = reading.recipe.gates, reading.recipe.rounds
    verdicts, decisions, problem = [], {}, ""
    try:
        for number in reading.rounds if recipe.rules else []:
            if number:
                judged = judge_round(recipe, rounds, reading.measurements, number)
                verdicts += judged
                decisions[number] = decision(judged)
            # No round starts from one that was rolled back, and none follows the last.
            if decisions.get(number, "go on") == "go on" and number < rounds:
                verdicts += judge_round(recipe, rounds, reading.measurements, number, "before_training")
    except GateError as reason:
        problem = f"{reason}."
    rows = [_readable_row(reading, number) for number in reading.view.rounds()[1:]]
    body = [row for row in rows if row] + [_row(one) for one in verdicts]
    body.sort(key=lambda row: int(row[1]))
    header = ["gate", "round", "value", "bound", "threshold", "error level", "n", "action", "verdict"]
    table = Table("What was held against each rule", header, body)
    return GateReport(error_level(recipe, rounds), verdicts, decisions, table, problem)


def rejected(reading: Reading) -> set[int]:
    """The rounds that the gates stopped or rolled back; none where no verdict could be reached."""
    try:
        return rejected_rounds(reading.recipe.gates, reading.recipe.rounds, reading.measurements)
    except GateError:
        return set()


def selected_round(reading: Reading) -> int:
    """The round that `gates.best_round` chooses."""
    return best_round(reading.measurements, rejected(reading), reading.recipe.gates.select_by)


def error_level(recipe: GatesRecipe, rounds: int) -> str:
    """The planned error level in words."""
    harms = sum(rule.proof == "harm" for rule in recipe.rules)
    planned = recipe.planned_rounds or rounds
    if not recipe.rules:
        return f"No rules. A round stops where less than {recipe.min_readable:.0%} of its verdicts can be read."
    said = []
    if harms:
        each = recipe.error / (planned * harms)
        said.append(
            "Planned error level: in a run without any harm, one of the rules that ask for proof of harm fires with a "
            f"chance of at most {recipe.error:.1%}, split evenly over {planned} planned rounds × {harms} rules: "
            f"{each:.2g} each, one-sided. The bound is the end of the interval at that level; it is held against the "
            "threshold."
        )
    if doubts := len(recipe.rules) - harms:
        said.append(f"Outside of this promise, as they fire on doubt: rules that ask for proof of health ({doubts}).")
    return " ".join(said)


def rule_text(rule: GateRule) -> str:
    """The rule for people."""
    upward = rule.above is not None
    limit = rule.above if rule.above is not None else rule.below
    cohort = "" if rule.cohort == "all" else f", {rule.cohort}"
    early = ", before training" if rule.when == "before_training" else ""
    about = f"{words(rule.metric)}, {place(rule.pool)}{cohort}{early}"
    if rule.against == "initial":
        return f"{about}: changed by {'more' if upward else 'less'} than {limit:+g} since round 0"
    times = " × round 0" if rule.against == "initial_ratio" else ""
    doubt = "not shown to be " if rule.proof == "health" else ""
    side = ("below" if upward else "above") if rule.proof == "health" else ("above" if upward else "below")
    return f"{about}: {doubt}{side} {limit:g}{times}"


def _found(verdict: GateVerdict) -> str:
    return f"value {number_text(verdict.value)}, bound {number_text(verdict.bound)}, n {verdict.n}"


def _row(verdict: GateVerdict) -> list[str]:
    said = "fired" if verdict.fired else f"not judged: {verdict.note}" if verdict.note else "silent"
    level = "95 % bound" if verdict.rule.proof == "health" else f"{verdict.level:.2g}"
    numbers = [number_text(value) for value in (verdict.value, verdict.bound, verdict.limit)]
    return [rule_text(verdict.rule), str(verdict.round), *numbers, level, str(verdict.n), verdict.rule.action, said]


def _readable_row(reading: Reading, number: int) -> list[str] | None:
    """The floor of readable verdicts, also in a round that it stopped; None where no model was asked."""
    if not reading.recipe.judge.asks_model:
        return None
    floor, row = reading.recipe.gates.min_readable, reading.by_key.get(Key("unreadable_rate", "train"), {}).get(number)
    if row is not None and row.value is not None:
        share, n = 1 - row.value, row.n
        found = number_text(share, *(None if end is None else 1 - end for end in (row.high, row.low)))
    else:
        judgments = reading.rows(number, "judgments", Judgment)
        if not judgments:
            return None
        share, n = sum(one.score is not None for one in judgments) / len(judgments), len(judgments)
        found = number_text(share)
    said = "fired" if share < floor else "silent"
    return [
        "readable verdicts, training: below the floor",
        str(number),
        found,
        DASH,
        f"{floor:g}",
        DASH,
        str(n),
        "stop",
        said,
    ]
