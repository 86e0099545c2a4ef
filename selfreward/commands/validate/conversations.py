"""How many questions does a conversation probe need? Its own code with scripted people (`scripted_people.py`).

power         share of repeats in which the metric alarms: its 95 % interval is above 0
of a change   the same for the paired change against a round in which nothing is planted
size_at_80    the planted size that is found in 80 % of the repeats, by straight lines between the measured ones
null          share of repeats without anything planted in which the interval excludes 0 on either side
runs          share of runs without any change, of all probes and three rounds, in which the report has an alarm
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfreward.commands.validate.planted import size_at
from selfreward.commands.validate.scripted_people import PEOPLE, asked
from selfreward.measuring.probes.asked import changes, measured
from selfreward.measuring.stats.clustered import wilson
from selfreward.records import Measurement, seed_for
from selfreward.report.alarms import risen
from selfreward.report.tables import Table

COUNTS = (12, 25, 50, 100)
SIZES = (0.0, 0.1, 0.2, 0.4, 0.8)
REPEATS = 60
RUNS = 400
ROUNDS = 3
QUESTIONS = 25


@dataclass(frozen=True, slots=True)
class ConversationPower:
    """Of the level and of the change: the power at each of `sizes`, of which the first is 0."""

    probe: str
    metric: str
    questions: int
    repeats: int
    sizes: tuple[float, ...]
    powers: tuple[float, ...]
    change_powers: tuple[float, ...]
    size_at_80: float | None
    change_size_at_80: float | None


@dataclass(frozen=True, slots=True)
class ConversationNull:
    """`rate` with Wilson's interval; `metric` is "any" for whole runs."""

    metric: str
    questions: int
    repeats: int
    alarms: int
    rate: float
    low: float
    high: float


def conversation_powers(
    repeats: int, say: Callable[[str], None], counts: Sequence[int] = COUNTS, sizes: Sequence[float] = SIZES
) -> list[ConversationPower]:
    found = []
    for probe, (_, metrics) in PEOPLE.items():
        say(f"conversations: {probe}")
        for count in counts:
            hits: Counter[tuple[str, float]] = Counter()
            for size in sizes:
                for number in range(repeats):
                    for row in _two_rounds(probe, count, size, ("power", number)):
                        hits[row.metric, size] += row.low is not None and row.low > 0
            for metric in metrics:
                found.append(_curve(probe, metric, count, repeats, sizes, hits))
    return found


def _two_rounds(probe: str, count: int, size: float, name: Sequence[object]) -> list[Measurement]:
    """A round with something planted, and its changes against one without."""
    before, now = (
        asked(probe, count, planted, random.Random(seed_for(*name, probe, count, size, planted, side)))
        for side, planted in (("before", 0.0), ("now", size))
    )
    return [*measured(now, round=1, policy="now"), *changes(now, before, round=1, policy="now")]


def _curve(
    probe: str, metric: str, count: int, repeats: int, sizes: Sequence[float], hits: Counter[tuple[str, float]]
) -> ConversationPower:
    level, change = (tuple(hits[name, size] / repeats for size in sizes) for name in (metric, f"{metric}_change"))
    return ConversationPower(
        probe,
        metric,
        count,
        repeats,
        tuple(sizes),
        level,
        change,
        size_at_80=size_at(sizes, level),
        change_size_at_80=size_at(sizes, change),
    )


def conversation_nulls(runs: int, say: Callable[[str], None], count: int = QUESTIONS) -> list[ConversationNull]:
    """Each metric and its change in round 1, and whole runs by the report's own alarms."""
    metrics = [metric for _, names in PEOPLE.values() for metric in names]
    alarms: Counter[str] = Counter()
    for number in range(runs):
        rows: list[Measurement] = []
        for probe in PEOPLE:
            rounds = [
                asked(probe, count, 0.0, random.Random(seed_for("null", number, probe, turn)))
                for turn in range(ROUNDS + 1)
            ]
            first = measured(rounds[1], round=1, policy="now")
            for row in [*first, *changes(rounds[1], rounds[0], round=1, policy="now")]:
                alarms[row.metric] += row.low is not None and row.high is not None and not row.low <= 0 <= row.high
            for turn, values in enumerate(rounds[1:], 1):
                rows += changes(values, rounds[0], round=turn, policy="now")
        wanted = {f"{metric}_change" for metric in metrics}
        alarms["any"] += bool(risen([row for row in rows if row.metric in wanted]))
        if (number + 1) % 100 == 0:
            say(f"conversations without anything planted: {number + 1} of {runs} runs")
    names = [*(name for metric in metrics for name in (metric, f"{metric}_change")), "any"]
    return [ConversationNull(n, count, runs, alarms[n], alarms[n] / runs, *wilson(alarms[n], runs)) for n in names]


def conversation_tables(powers: Sequence[ConversationPower], nulls: Sequence[ConversationNull]) -> list[Table]:
    counts = sorted({curve.questions for curve in powers})
    by = {(curve.metric, curve.questions): curve for curve in powers}
    found = []
    for kind in ("level", "change"):
        body = []
        for metric in dict.fromkeys(curve.metric for curve in powers):
            curves = [by[metric, count] for count in counts]
            body.append([metric if kind == "level" else f"{metric}_change", *(_size(curve, kind) for curve in curves)])
        found.append(Table(f"Planted size that is found in 80 %, {kind}", ["metric", *map(str, counts)], body))
    silent = [[one.metric, f"{one.rate:.1%} [{one.low:.1%}, {one.high:.1%}]"] for one in nulls]
    found.append(Table(f"Alarms without anything planted, {nulls[0].questions} questions", ["metric", "rate"], silent))
    return found


def _size(curve: ConversationPower, kind: str) -> str:
    size = curve.size_at_80 if kind == "level" else curve.change_size_at_80
    return "-" if size is None else f"{size:.2f}"


def conversations_markdown(powers: Sequence[ConversationPower], nulls: Sequence[ConversationNull]) -> str:
    text = [
        "# How many questions a conversation probe needs",
        "`selfreward validate --only conversations`: the probes' own code with scripted people who do what is planted "
        "with the share given (`commands/validate/scripted_people.py`) and err by themselves; "
        f"{powers[0].repeats} repeats for each size and number of questions. A dash: not found in 80 % at the largest "
        f"size, {powers[0].sizes[-1]:g}. The sets that ship have 12 to 18 rows each: what they can see stands in the "
        "first two columns. `any`: runs of all probes and three rounds in which nothing changes and the report has an "
        "alarm (5 % is promised).",
    ]
    for one in conversation_tables(powers, nulls):
        head = f"| {' | '.join(one.header)} |\n|{'---|' * len(one.header)}"
        text.append("\n".join([f"## {one.caption}\n", head, *(f"| {' | '.join(row)} |" for row in one.rows)]))
    return "\n\n".join(text) + "\n"
