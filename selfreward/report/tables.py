"""The report's tables as plain rows of text; the terminal, the HTML and the Markdown only dress them.

A value stands with its 95 % interval: `0.512 [0.48, 0.54]`. A dash is a value that does not exist.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from selfreward.records import Measurement
from selfreward.report.catalogue import SUMMARY, place, words
from selfreward.report.reading import Key, Reading

DASH = "–"
NARROW, SMALL = 0.03, 0.01


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def number_text(
    value: float | None, low: float | None = None, high: float | None = None, *, signed: bool = False
) -> str:
    """A number, with its interval where there is one: three decimals below 10, four below .01."""
    if value is None:
        return DASH
    size = abs(value)
    digits = 4 if 0 < size < SMALL else 3 if size < 10 else 2 if size < 100 else 1
    sign = "+" if signed else ""
    text = f"{value:{sign}.{digits}f}"
    if low is None or high is None:
        return text
    digits = min(digits, 2) if high - low >= NARROW else digits
    return f"{text} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


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
        rows.append([name + cohort, *cells, _counts(row.n for row in found.values()), excluded, truth])
    rounds = [f"round {number}" for number in reading.rounds]
    return Table(caption, ["metric", *rounds, "n", "left out", "needs truth"], rows)


def summary_table(reading: Reading) -> Table:
    """What one looks at first."""
    keys = [Key(metric, pool) for metric, pool in SUMMARY]
    full = metric_table(reading, keys, "")
    rows = [[row[0].removesuffix(", report pool") + (" *" if row[-1] else ""), *row[1:-2]] for row in full.rows]
    caption = "Values with 95 % intervals over n prompts, report pool unless said. * needs truth. ↑ the gap widens."
    return Table(caption, full.header[:-2], rows)


def cohort_table(reading: Reading, metric: str, pool: str) -> Table:
    """One metric by cohort."""
    keys = [key for key in reading.by_key if key.metric == metric and key.pool == pool]
    keys.sort(key=lambda key: (key.cohort != "all", key.cohort))
    return metric_table(reading, keys, f"{words(metric)} by cohort")


def pairs_table(reading: Reading) -> Table:
    """Pairs kept and everything dropped, by reason, per round."""
    fates: dict[int, Counter[str]] = {number: reading.fates(number) for number in reading.rounds if number}
    names = sorted({name for counted in fates.values() for name in counted}, key=lambda name: (name[0] != "k", name))
    rows = [[name, *(str(fates[number][name]) for number in fates)] for name in names]
    return Table("What was kept and what was dropped, and why", ["", *(f"round {number}" for number in fates)], rows)


def lineage_table(reading: Reading) -> Table:
    """Which weights each round trained from and against. The full digests are in report.json."""
    rows = []
    for number in reading.rounds:
        seal = reading.view.seal(number, "checkpoint")
        facts = seal.facts if seal else {}
        digests = [str(facts.get(name, ""))[:12] or DASH for name in ("digest", "parent", "reference")]
        rows.append(
            [
                f"round {number}",
                *digests,
                str(facts.get("method", DASH)),
                str(facts.get("pairs", DASH)),
                str(facts.get("steps", DASH)),
                "weights removed" if seal and seal.pruned else "",
            ]
        )
    header = ["policy", "digest", "trained from", "reference", "method", "pairs", "steps", ""]
    return Table("Digests of the weights", header, rows)


def cost_table(reading: Reading) -> Table:
    """Seconds per stage and round, from the seals: where the work was done, not where it was shared."""
    seconds = {number: {seal.artifact: seal.seconds for seal in reading.seals(number)} for number in reading.rounds}
    tokens = {number: sum(seal.tokens for seal in reading.seals(number)) for number in reading.rounds}
    artifacts = list(dict.fromkeys(name for number in reversed(reading.rounds) for name in seconds[number]))
    rows = [
        [name, *(_seconds(seconds[number].get(name)) for number in reading.rounds)]
        for name in artifacts
        if any(seconds[number].get(name, 0) >= 0.05 for number in reading.rounds)
    ]
    rows.append(["all stages", *(_seconds(sum(seconds[number].values())) for number in reading.rounds)])
    rows.append(["tokens sampled", *(f"{tokens[number]:,}" for number in reading.rounds)])
    return Table("Seconds per stage", ["stage", *(f"round {number}" for number in reading.rounds)], rows)


def _seconds(value: float | None) -> str:
    return DASH if value is None else f"{value:,.1f}"
