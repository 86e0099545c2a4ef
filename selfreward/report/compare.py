"""Two runs side by side, paired by prompt: the same prompts of the report pool, so what prompts differ in cancels.

Differences are B minus A, with a t-interval over prompts that has room for moves which no prompt of the pool shows and
does not leave the metric's scale. `smallest_effect` is what such a comparison finds in 80 % of the cases; an interval
that holds 0 is "not resolved", which is not "no difference". Rows that come from one and the same artifact are "same by
construction" and are not compared. Beside the interval of the mean stands the exact sign test of the same prompts. One
run each says nothing about other run seeds: `ablate` is for that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.errors import DataError
from selfreward.measuring.stats.multiplicity import holm, p_value
from selfreward.measuring.stats.nested_difference import NestedDifference, nested_paired_difference
from selfreward.measuring.stats.sign_test import SignTest, sign_test
from selfreward.recipe import as_dict, walk
from selfreward.report.alike import ALIKE, made_of, nothing_to_compare, recipe_differences
from selfreward.report.catalogue import words
from selfreward.report.compared import difference_scale
from selfreward.report.reading import Reading
from selfreward.report.tables import DASH, Table, number_text

METRICS = (
    "true_accuracy",
    "true_quality",
    "judge_mean",
    "judge_minus_truth",
    "claim_echo",
    "length_tokens",
    "distinct_answers",
    "distinct_cores",
)
POOL = "report"
LEVEL = 0.05
TOLD = ("true_accuracy", "judge_mean", "judge_minus_truth", "length_tokens")
HOLM = "Intervals are of each difference alone; p-values are Holm's over all that are listed in one table."
# What decides whether two values of one prompt mean the same; sizes of the other pools do not.
SAME_KEYS = ("measure.samples", "measure.sampling", "measure.verifier")


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of both runs. `before` and `after` are means over the prompts that both have."""

    metric: str
    round_a: int
    round_b: int
    before: float
    after: float
    difference: NestedDifference
    signs: SignTest

    @property
    def verdict(self) -> str:
        if self.difference.unit == ALIKE:
            return ALIKE
        if not self.difference.resolved:
            return "not resolved"
        return "higher" if (self.difference.estimate.value or 0) > 0 else "lower"


@dataclass(frozen=True)
class Comparison:
    """Several runs against the first one."""

    note: str
    tables: Sequence[Table]


def compare(a: Reading, b: Reading) -> list[Compared]:
    """B minus A at every common round, then at the last round of each where those differ.

    Raises DataError naming what differs when the report pools, or how they were sampled, are not the same.
    """
    require_same_pool(a, b)
    rounds = [(number, number) for number in a.rounds if number in b.rounds]
    last = (a.rounds[-1], b.rounds[-1])
    return [row for pair in [*rounds, *([last] if last not in rounds else [])] for row in compare_rounds(a, b, *pair)]


def compare_rounds(a: Reading, b: Reading, round_a: int, round_b: int) -> list[Compared]:
    """Every metric that both runs have per prompt; `a` and `b` may be one run at two rounds."""
    before, after = a.per_prompt(round_a, POOL), b.per_prompt(round_b, POOL)
    rows = []
    for metric in METRICS:
        common = sorted(before.get(metric, {}).keys() & after.get(metric, {}).keys())
        if not common:
            continue
        table = {("", "", name): after[metric][name] - before[metric][name] for name in common}
        start, end = (sum(side[metric][name] for name in common) / len(common) for side in (before, after))
        made = made_of(a, round_a, metric)
        if made and made == made_of(b, round_b, metric):
            found = nothing_to_compare(1, 1, len(common))
        else:
            found = nested_paired_difference(table, difference_scale(metric))
        rows.append(Compared(metric, round_a, round_b, start, end, found, sign_test(table.values())))
    return rows


def require_same_pool(a: Reading, b: Reading) -> None:
    """Raise DataError when one value of `a` and one of `b` would not be about the same thing."""
    pools = [{p.id: p for p in run.pools.values() if p.pool == POOL} for run in (a, b)]
    names = f"runs {a.name!r} and {b.name!r} cannot be compared"
    advice = "run both on the same evaluation prompts with the same measure settings"
    if missing := sorted(pools[0].keys() ^ pools[1].keys()):
        only = a.name if missing[0] in pools[0] else b.name
        text = (pools[0] | pools[1])[missing[0]].text[:60]
        raise DataError(
            f"{names}: their {POOL} pools differ in {len(missing)} prompts ({len(pools[0])} and {len(pools[1])}); "
            f"prompt {missing[0]} ({text!r}) is in {only!r} only; {advice}"
        )
    for what, field in (("text", "messages"), ("gold answer", "answer"), ("data for the verifier", "meta")):
        changed = [name for name in pools[0] if getattr(pools[0][name], field) != getattr(pools[1][name], field)]
        if changed:
            raise DataError(f"{names}: prompt {changed[0]} has the same id and another {what}; {advice}")
    settings = [{key: value for key, value, _ in walk(run.recipe)} for run in (a, b)]
    for key in settings[0]:
        if key.startswith(SAME_KEYS) and settings[0][key] != settings[1][key]:
            raise DataError(f"{names}: {key} is {settings[0][key]!r} and {settings[1][key]!r}; {advice}")


def by_evidence(rows: Sequence[Compared]) -> list[tuple[Compared, float | None, float | None]]:
    """Each row with its p-value and Holm's over all of them, the strongest evidence first.

    What is the same by construction is no comparison and left out; what has no interval comes last.
    """
    compared = [(row, p_value(row.difference)) for row in rows if row.difference.unit != ALIKE]
    compared.sort(key=lambda item: math.inf if item[1] is None else item[1])
    adjusted = iter(holm([chance for _, chance in compared if chance is not None]))
    return [(row, chance, None if chance is None else next(adjusted)) for row, chance in compared]


def comparison_table(rows: Sequence[Compared], a: str, b: str) -> Table:
    """The rows for people, the strongest evidence first."""
    header = ["metric", "round", a, b, "difference", "p (Holm)", "verdict", "n", "resolvable", "up / down, sign test"]
    if a == b:
        header[2:5] = ["before", "after", "difference"]
    body = []
    for row, _, adjusted in by_evidence(rows):
        estimate, effect = row.difference.estimate, row.difference.smallest_effect
        rounds = str(row.round_a) if row.round_a == row.round_b else f"{row.round_a} / {row.round_b}"
        fallen = row.difference.resolved and adjusted is not None and adjusted >= LEVEL
        body.append(
            [
                words(row.metric),
                rounds,
                number_text(row.before),
                number_text(row.after),
                number_text(estimate.value, estimate.low, estimate.high, signed=True),
                DASH if adjusted is None else f"{adjusted:.2g}",
                "not after Holm" if fallen else row.verdict,
                str(row.difference.prompts),
                number_text(effect),
                _signs(row.signs),
            ]
        )
    return Table(f"{b} minus {a}, {POOL} pool, paired by prompt, strongest evidence first", header, body)


def comparison_words(rows: Sequence[Compared], a: Reading, b: Reading) -> str:
    """What the last rounds say of truth, belief and length, in one sentence; Holm's correction is over all rows."""
    last = (a.rounds[-1], b.rounds[-1])
    at_last = [
        (row, adjusted)
        for row, _, adjusted in by_evidence(rows)
        if (row.round_a, row.round_b) == last and row.metric in TOLD
    ]
    if not at_last:
        return f"Of their last rounds, {last[0]} and {last[1]}, nothing can be compared."
    at_last.sort(key=lambda item: TOLD.index(item[0].metric))
    said = []
    for row, adjusted in at_last:
        known = row.difference.resolved and (adjusted is None or adjusted < LEVEL)
        estimate = row.difference.estimate
        size = number_text(estimate.value, estimate.low, estimate.high, signed=True)
        said.append(f"{words(row.metric)} {row.verdict if known else 'not resolved'} ({size})")
    ending = "."
    if any(row.metric.startswith("judge") for row, _ in at_last) and asked(a) != asked(b):
        ending = "; two different judges scored them, so belief and what it is held against cannot be compared."
    return f"{b.name} (round {last[1]}) beside {a.name} (round {last[0]}): {'; '.join(said)}{ending}"


def asked(run: Reading) -> tuple[str, object, object, object]:
    """Who judges in a run, what is asked and how the reply is read."""
    judge = run.recipe.judge
    return str(judge.model), as_dict(judge.question), as_dict(judge.reading), as_dict(judge.aggregate)


def _signs(signs: SignTest) -> str:
    return f"{signs.ups} / {signs.downs}, p {signs.p:.2g}"


def compare_with_first(readings: Sequence[Reading]) -> Comparison | None:
    """Every further run minus the first at their last rounds; None for one run.

    Raises DataError naming what differs where two runs were not measured on the same pool in the same way.
    """
    if len(readings) < 2:
        return None
    first, tables = readings[0], []
    for other in readings[1:]:
        require_same_pool(first, other)
        rows = compare_rounds(first, other, first.rounds[-1], other.rounds[-1])
        tables += [recipe_differences(first, other), comparison_table(rows, first.name, other.name)]
    return Comparison(f"Last rounds. {HOLM} One run each: other run seeds may differ by more than these say.", tables)
