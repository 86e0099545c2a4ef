"""The three forces round by round: every sign, the training steps behind them, and the judge's criteria one by one.

criterion NAME     mean points that the judge's rubric gives the criterion minus round 0's, paired by prompt, report
                   pool: what rises there while a cohort outside the rubric falls is compression. Each round's own
                   judge gave them. Criteria of a row's own (`meta.rubric`) have no common names and are left out
score minus label  the anchors' gap of the frozen answers; its growth is the generosity of that pool
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from selfreward.judging.prompts.rubric import load_rubric, points_of
from selfreward.measuring.stats.clustered import cluster_means, paired_difference
from selfreward.recipe import RubricQuestion
from selfreward.records import Judgment
from selfreward.report.catalogue import place, words
from selfreward.report.forces import BELIEF, POOL, Sign, sentence, signs
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import DASH, Table, measurement_text, number_text

GAP = Key("judge_minus_label", "frozen")


@dataclass(frozen=True, slots=True)
class Panel:
    """Nothing is said of a run without a later round."""

    sentence: str
    table: Table


def panel(reading: Reading) -> Panel:
    later = reading.rounds[1:]
    header = ["sign", "force", *(f"round {number}" for number in later), "beyond chance"]
    caption = "Signs of three forces, against round 0; beyond chance: at an error of 5 % for all of them together."
    if not later:
        return Panel("", Table(caption, header, []))
    rows = [
        *(_row(reading, sign) for sign in signs(reading)),
        *_beside(reading, BELIEF, "compression"),
        *_criteria(reading),
        ["training steps until then", "amplification", *_steps(reading), ""],
        *_beside(reading, GAP, "co-adaptation"),
    ]
    return Panel(sentence(reading), Table(caption, header, rows))


def _row(reading: Reading, sign: Sign) -> list[str]:
    cohort = "" if sign.key.cohort == "all" else f", {sign.key.cohort}"
    name = f"{words(sign.key.metric)}, {place(sign.key.pool)}{cohort}"
    cells = [measurement_text(sign.rows.get(number)) for number in reading.rounds[1:]]
    return [name, sign.force, *cells, ", ".join(f"round {number}" for number in sign.rounds) or "no"]


def _beside(reading: Reading, key: Key, force: str) -> Iterator[list[str]]:
    """A row that is shown and not held against chance."""
    if found := reading.by_key.get(key):
        cells = [measurement_text(found.get(number)) for number in reading.rounds[1:]]
        yield [f"{words(key.metric)}, {place(key.pool)}", force, *cells, ""]


def _steps(reading: Reading) -> list[str]:
    """Of all rounds up to each one; a policy that was rolled back had its steps too."""
    total, cells = 0, []
    numbers = range(1, reading.rounds[-1] + 1)
    for number in numbers:
        seal = reading.view.seal(number, "checkpoint")
        total += int(seal.facts.get("steps", 0)) if seal else 0
        if number in reading.rounds:
            cells.append(str(total))
    return cells


def _criteria(reading: Reading) -> Iterator[list[str]]:
    """The points of each criterion of the recipe's rubric."""
    asked = reading.recipe.judge.question
    if not isinstance(asked, RubricQuestion) or asked.rubric is None:
        return
    by_round = {number: _points(reading, number, asked, asked.rubric) for number in reading.rounds}
    first = by_round[reading.rounds[0]]
    for criterion in load_rubric(asked.rubric).criteria:
        cells = []
        for number in reading.rounds[1:]:
            change = paired_difference(by_round[number].get(criterion.name, {}), first.get(criterion.name, {}))
            cells.append(number_text(change.value, change.low, change.high, signed=True) if change.n else DASH)
        yield [f"criterion {criterion.name}, {place(POOL)}, change", "compression", *cells, ""]


def _points(reading: Reading, number: int, asked: RubricQuestion, name: str) -> dict[str, Mapping[str, float]]:
    """Criterion -> prompt -> mean points of its answers; judgments that cannot be read have none."""
    found: dict[str, list[tuple[float, str]]] = {}
    for judgment in reading.rows(number, "eval_judgments", Judgment):
        prompt = reading.pools.get(judgment.prompt_id)
        if prompt is None or prompt.pool != POOL or judgment.score is None or "rubric" in prompt.meta:
            continue
        points = points_of(asked.template, load_rubric(name), judgment.text)
        for criterion, value in points.items():
            found.setdefault(criterion, []).append((value, judgment.prompt_id))
    return {
        criterion: cluster_means([value for value, _ in rows], [prompt for _, prompt in rows])
        for criterion, rows in found.items()
    }
