"""The rows of an ablation, and how they are told: a table for each metric, one of the contrasts, and notes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfreward.measuring.stats.nested_difference import NestedDifference
from selfreward.report.alike import ALIKE
from selfreward.report.catalogue import words
from selfreward.report.compared import EXACT, PER_RUN
from selfreward.report.tables import DASH, Table, number_text

LEVEL = 0.05
FEW = 3
"""Fewer seed models or run seeds than this say next to nothing of how they scatter."""


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One metric of one arm. `start` and `end` are at round 0 and at the last round, `gain` pairs the two."""

    arm: str
    metric: str
    start: NestedDifference
    end: NestedDifference
    gain: NestedDifference


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """`arm` minus `control` at the last round. `adjusted` is Holm's p-value over all rows of the table."""

    arm: str
    control: str
    metric: str
    difference: NestedDifference
    p: float | None
    adjusted: float | None

    @property
    def verdict(self) -> str:
        if self.difference.unit == ALIKE:
            return ALIKE
        value = self.difference.estimate.value
        if self.adjusted is None or value is None:
            return "no interval"
        if self.adjusted < LEVEL:
            return "higher" if value > 0 else "lower"
        return "not resolved after Holm" if self.difference.resolved else "not resolved"


@dataclass(frozen=True, slots=True)
class ArmCost:
    """What one run of an arm took on average, from the seals: where the work was done, not where it was shared."""

    arm: str
    runs: int
    seconds: float
    tokens: float


def arm_cost(arm: str, spent: Sequence[tuple[float, int]]) -> ArmCost:
    """Seconds and sampled tokens of each run, averaged."""
    count = max(1, len(spent))
    return ArmCost(arm, len(spent), sum(pair[0] for pair in spent) / count, sum(pair[1] for pair in spent) / count)


def main_metric(arms: Sequence[ArmRow]) -> str:
    """What an arm's gain is read from first: the truth, or the judge's belief where none is known."""
    return next((name for name in ("true_accuracy", "judge_mean") if any(row.metric == name for row in arms)), "")


def cost_table(arms: Sequence[ArmRow], costs: Sequence[ArmCost]) -> Table:
    """What each arm gained beside what one run of it took."""
    main = main_metric(arms)
    gains = {row.arm: difference_text(row.gain, signed=True) for row in arms if row.metric == main}
    rows = [
        [one.arm, gains.get(one.arm, DASH), f"{one.seconds:,.0f}", f"{one.tokens:,.0f}", str(one.runs)] for one in costs
    ]
    header = ["arm", f"gain in {words(main)}", "seconds a run", "tokens a run", "runs"]
    return Table("Cost beside gain", header, rows)


def difference_text(difference: NestedDifference, *, signed: bool = False) -> str:
    if difference.unit == ALIKE:
        return ALIKE
    estimate = difference.estimate
    return number_text(estimate.value, estimate.low, estimate.high, signed=signed)


def metric_scope(metric: str) -> str:
    return f"{words(metric)}, frozen pool" if metric in (EXACT, *PER_RUN) else words(metric)


def ablation_tables(arms: Sequence[ArmRow], contrasts: Sequence[ContrastRow], costs: Sequence[ArmCost]) -> list[Table]:
    by_metric: dict[str, list[ArmRow]] = defaultdict(list)
    for row in arms:
        by_metric[row.metric].append(row)
    header = ["arm", "round 0", "last round", "gain", "models x runs"]
    tables = [Table(metric_scope(metric), header, list(map(_arm_cells, rows))) for metric, rows in by_metric.items()]
    body = [
        [
            f"{row.arm} - {row.control}",
            metric_scope(row.metric),
            difference_text(row.difference, signed=True),
            number_text(row.difference.smallest_effect),
            DASH if row.adjusted is None else f"{row.adjusted:.2g}",
            row.verdict,
        ]
        for row in contrasts
    ]
    wide = ["contrast", "metric", "difference at the last round", "smallest effect", "p (Holm)", ""]
    contrasted = [Table("Paired contrasts between arms", wide, body)] if body else []
    return [*tables, cost_table(arms, costs), *contrasted]


def _arm_cells(row: ArmRow) -> list[str]:
    gain = difference_text(row.gain, signed=True)
    return [row.arm, difference_text(row.start), difference_text(row.end), gain, _runs(row.end)]


def _runs(difference: NestedDifference) -> str:
    return f"{difference.models} x {difference.runs // max(1, difference.models)}"


def ablation_notes(
    arms: Sequence[ArmRow], contrasts: Sequence[ContrastRow], grid: Mapping[str, Mapping[tuple[str, int], str]]
) -> list[str]:
    shown = [*(row.end for row in arms), *(row.difference for row in contrasts)]
    known = [difference for difference in shown if difference.parts]
    units = sorted({difference.unit for difference in known})
    runs = sum(len(cells) for cells in grid.values())
    tested = sum(row.p is not None for row in contrasts)
    notes = [
        f"{len(grid)} arms, {runs} runs. 95 % intervals over {'; '.join(units) or 'nothing, there are none'}, inside "
        "each metric's scale. Smallest effect: found in 80 % of the cases."
    ]
    few = min((difference.estimate.n for difference in known if "seed" in difference.unit), default=FEW)
    if few < FEW:
        notes.append(
            f"Only {few} runs stand side by side: how far runs scatter is hardly known, so that an interval over them "
            "may be as wide as the scale. It then says that nothing is known, not that both ends are likely."
        )
    if tested:
        notes.append(
            f"{tested} comparisons are listed; p-values are Holm-corrected over all of them, intervals are not. "
            '"Not resolved" does not mean that there is no difference.'
        )
    if any(row.difference.unit == ALIKE for row in contrasts) or any(row.gain.unit == ALIKE for row in arms):
        notes.append(f'"{ALIKE.capitalize()}": both have the number from one and the same artifact.')
    return notes
