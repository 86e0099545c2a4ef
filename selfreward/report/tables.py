"""The report's tables as plain rows of text; the terminal, the HTML and the Markdown only dress them.

A value stands with its 95 % interval: `0.512 [0.482, 0.542]`. A dash is a value that does not exist.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from selfreward.measuring.metrics import families
from selfreward.measuring.metrics.families import COHORTS, SYCOPHANCY
from selfreward.measuring.stats.clustered import MANY
from selfreward.records import Measurement
from selfreward.report.catalogue import OTHER, SUMMARY, family_of, place, words
from selfreward.report.reading import Key, Reading

DASH = "–"
SMALL, MOST_DECIMALS = 0.01, 4
SIDE_FAMILIES = (SYCOPHANCY.name, COHORTS.name)
PLAIN_PROBES = (
    "restated_flips",
    "_flips_change",
    "_echo_change",
    "_loss_change",
    "_corrections_change",
    "sure_accuracy_change",
    "twin_flips",
    "twin_uses",
    "told_affirmed",
    "_lift_change",
    "_drop_change",
    "_able_change",
)


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def number_text(
    value: float | None, low: float | None = None, high: float | None = None, *, signed: bool = False
) -> str:
    """A number: three decimals below 10, four below .01. With an interval as many as its width deserves, all alike."""
    if value is None:
        return DASH
    size = abs(value)
    sign = "+z" if signed else "z"  # z: what rounds to 0 is not called -0
    if low is None or high is None or not high > low:
        digits = MOST_DECIMALS if 0 < size < SMALL else 3 if size < 10 else 2 if size < 100 else 1
        ends = "" if low is None or high is None else f" [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
        return f"{value:{sign}.{digits}f}{ends}"
    digits = decimals(low, high)
    if value < 0 and round(value, digits) == 0:  # nor +0: the sign would be the wrong one
        return f"{value:z.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
    return f"{value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def decimals(low: float, high: float) -> int:
    """How many decimals an interval deserves, by the rounding rule of the Particle Data Group for errors.

    Of the half width's first three digits, 100 to 354 keep two, the others one (950 and more become 1000, and keep
    two of that). At most four decimals; an end that is not 0 is not shown as 0, which would hide its side.
    """
    half = (high - low) / 2
    if not math.isfinite(half):
        return 3
    if half < 10.0**-MOST_DECIMALS:
        return MOST_DECIMALS
    power = math.floor(math.log10(half))
    kept = (1 if half / 10.0**power < 3.545 else 0) - power
    digits = min(MOST_DECIMALS, max(0, kept))
    while digits < MOST_DECIMALS and any(end != 0 and round(end, digits) == 0 for end in (low, high)):
        digits += 1
    return digits


def measurement_text(row: Measurement | None) -> str:
    """The value of a measurement; a change is signed, and a widening gap is flagged."""
    if row is None:
        return DASH
    if row.low is None and row.metric.endswith(("_kept", "_dropped")) and row.value is not None:
        return f"{row.value:.0f}"
    text = number_text(row.value, row.low, row.high, signed=row.metric.endswith("_change") or "shift" in row.metric)
    widens = row.metric == "judge_minus_truth_change" and row.low is not None and row.low > 0
    return f"{text} ↑" if widens else text


def _counts(numbers: Iterable[int]) -> str:
    """The number where all are equal, else the range."""
    distinct = sorted(set(numbers))
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]}–{distinct[-1]}"


def metric_table(reading: Reading, keys: Sequence[Key], caption: str) -> Table:
    """Metrics down, rounds across; `n` counts prompts, `left out` the excluded rows; a range where rounds differ."""
    rows = []
    for key in keys:
        found = reading.by_key.get(key)
        if not found:
            continue
        name = ", ".join(part for part in (words(key.metric), place(key.pool)) if part)
        cells = [measurement_text(found.get(number)) for number in reading.rounds]
        excluded = _counts(row.excluded for row in found.values())
        cohort = "" if key.cohort == "all" else f", {key.cohort}"
        truth = "yes" if any(row.oracle for row in found.values()) else ""
        rows.append([name + cohort, *cells, prompts_text(found.values()), excluded, truth])
    rounds = [f"round {number}" for number in reading.rounds]
    return Table(caption, ["metric", *rounds, "n", "left out", "needs truth"], rows)


def prompts_text(rows: Iterable[Measurement]) -> str:
    """How many prompts stand behind the rows; few of them give a small-sample interval, and it says so."""
    rows = list(rows)
    few = any(row.low is not None and row.n < MANY for row in rows)
    return _counts(row.n for row in rows) + (" (small sample)" if few else "")


def summary_table(reading: Reading) -> Table:
    """What one looks at first."""
    keys = [Key(metric, pool) for metric, pool in SUMMARY]
    full = metric_table(reading, keys, "")
    rows = [[row[0].removesuffix(", report pool") + (" *" if row[-1] else ""), *row[1:-2]] for row in full.rows]
    caption = "Values with 95 % intervals over n prompts, report pool unless said. * needs truth. ↑ the gap widens."
    return Table(caption, full.header[:-2], rows)


def side_table(reading: Reading) -> Table:
    """What is measured beside the pools: cohorts, of the probes what is not there without a cue, and own metrics."""
    order = [metric for family in families() if family.name in SIDE_FAMILIES for metric in family.metrics]
    order += dict.fromkeys(key.metric for key in reading.by_key if family_of(key.metric) is OTHER)
    keys = [key for key in reading.by_key if key.metric in order and not key.metric.endswith(PLAIN_PROBES)]
    keys.sort(key=lambda key: (order.index(key.metric), key.cohort, key.pool))
    full = metric_table(reading, keys, "")
    rows = [[row[0].replace(", report pool", "") + (" *" if row[-1] else ""), *row[1:-2]] for row in full.rows]
    return Table("Cohorts, probes and own metrics of the recipe, likewise.", full.header[:-2], rows)


def pairs_table(reading: Reading) -> Table:
    """Pairs kept and everything dropped, by reason, per round."""
    # A round in which everything was dropped is never measured, and its reasons are what one looks for.
    decided = [n for n in reading.view.rounds() if n and (n in reading.rounds or reading.view.seal(n, "dropped"))]
    fates: dict[int, Counter[str]] = {number: reading.fates(number) for number in decided}
    names = sorted({name for counted in fates.values() for name in counted}, key=lambda name: (name[0] != "k", name))
    rows = [[name, *(str(fates[number][name]) for number in fates)] for name in names]
    return Table("What was kept and what was dropped, and why", ["", *(f"round {number}" for number in fates)], rows)
