"""What a run shows, in words, by rule: nothing is claimed that its interval does not hold.

Truth and belief are compared with round 0 by prompt, on the report pool. The words follow from the 95 % intervals:

    truth rose                  the interval of the paired difference (last minus round 0) is above 0
    truth fell                  it is below 0
    judge minus truth           widened: its paired change is above 0; shifted down: below 0; else not seen to widen
    a later round fell back     last minus an earlier round is below 0 at an error level split over the earlier rounds

Not resolved is not "no change": the smallest change that such a pool finds in 80 % of the cases stands beside it.
Without a verifier the judge's own mean score is all there is, and the verdict says that it is not evidence of quality.
"""

from selfreward.measuring.selection import SELECTIONS
from selfreward.measuring.stats.clustered import Estimate
from selfreward.measuring.stats.multiplicity import p_value
from selfreward.report.compare import Compared, compare_rounds
from selfreward.report.gate_verdicts import gate_report, selected_round
from selfreward.report.reading import Key, Reading
from selfreward.report.state import run_state
from selfreward.report.tables import number_text
from selfreward.report.verdict_file import Tone, Verdict


def direction(estimate: Estimate) -> int:
    """1 where the whole interval is above 0, -1 where it is below, else 0 (not resolved)."""
    if estimate.low is not None and estimate.low > 0:
        return 1
    return -1 if estimate.high is not None and estimate.high < 0 else 0


def _so_far(reading: Reading) -> str:
    state = run_state(reading.view)
    if state.word == "failed":
        return f"the run failed in round {state.round}: {state.said}"
    return "there is nothing to compare it with yet."


def judge_run(reading: Reading) -> Verdict:
    """The verdict on one run."""
    first, last = reading.rounds[0], reading.rounds[-1]
    if last == first:
        return Verdict(f"Only the start policy is measured; {_so_far(reading)}", (), "open")
    changes = {row.metric: row for row in compare_rounds(reading, reading, first, last)}
    details = [*_off_policy(reading), *gate_report(reading).sentences, selection_sentence(reading)]
    if "true_accuracy" not in changes:
        return _without_truth(reading, changes, last, details)
    truth, belief, gap = (changes.get(name) for name in ("true_accuracy", "judge_mean", "judge_minus_truth"))
    assert truth is not None
    fallen = _fell_back(reading, last)
    widened = direction(gap.difference.estimate) > 0 if gap else False
    headline, tone = _headline(
        direction(truth.difference.estimate),
        direction(belief.difference.estimate) if belief else 0,
        widened,
        fallen,
        widened and _ran_ahead(reading, fallen, last),
        reading.recipe.train.method,
    )
    sentences = [_sentence("True accuracy", truth, last)]
    if fallen:
        sentences.append(
            f"Since round {fallen.round_a} it fell by {_interval(fallen, flip=True)}: the last round is not the best."
        )
    if belief:
        sentences.append(_sentence("The judge's mean score", belief, last))
    if gap:
        sentences.append(_gap_sentence(gap, last))
    return Verdict(headline, tuple(sentences + details), tone)


def _headline(
    truth: int, belief: int, widened: bool, fallen: Compared | None, ran_ahead: bool, method: str
) -> tuple[str, Tone]:
    if truth > 0 and fallen:
        then = ", while its judge's belief ran ahead of the truth." if ran_ahead else "."
        return f"The policy improved until round {fallen.round_a} and then lost part of it again{then}", "mixed"
    if truth > 0 and widened:
        return "The policy really improved, but its judge's belief grew faster than the truth.", "mixed"
    if truth > 0:
        return "The policy really improved, and its judge's belief did not measurably run ahead of the truth.", "good"
    if truth < 0 and belief > 0:
        return "The loop only pleased itself: the judge's belief rose while the truth fell.", "bad"
    if truth < 0:
        return "The policy got worse.", "bad"
    if widened:
        return "The loop pleased itself: the judge's belief outgrew the truth, and no real gain was resolved.", "bad"
    if method == "none":
        return "Nothing was trained (a control), and no change of the truth was resolved.", "open"
    return "Whether the policy changed is not resolved.", "open"


def _without_truth(reading: Reading, changes: dict[str, Compared], last: int, details: list[str]) -> Verdict:
    """Without a verifier: what the judge believes, and the plain words that this is not evidence of quality."""
    sentences = []
    belief, length = changes.get("judge_mean"), changes.get("length_tokens")
    if belief:
        sentences.append(_sentence("The judge's mean score", belief, last))
    frozen = reading.by_key.get(Key("judge_spearman", "frozen"), {})
    if reading.rounds[0] in frozen and last in frozen:
        before, after = (number_text(frozen[n].value, frozen[n].low, frozen[n].high) for n in (reading.rounds[0], last))
        sentences.append(f"On the labelled frozen pool its rank correlation went from {before} to {after}.")
    if length:
        sentences.append(_sentence("The length in tokens", length, last))
    sentences.append(
        "A judge that became more generous, or that likes longer answers, would look the same: only a verifier, a "
        "held-out judge or human labels can tell."
    )
    headline = "There is no verifier, so whether the answers became better cannot be known from this run"
    moved = direction(belief.difference.estimate) if belief else 0
    headline += {1: "; its own judge believes so.", -1: "; its own judge believes that they became worse.", 0: "."}[
        moved
    ]
    return Verdict(headline, tuple(sentences + details), "open")


def _fell_back(reading: Reading, last: int) -> Compared | None:
    """The earlier round (after round 0) that the last one is most clearly below, at a level split over them."""
    earlier = [number for number in reading.rounds[1:] if number != last]
    found = []
    for number in earlier:
        row = next(row for row in compare_rounds(reading, reading, number, last) if row.metric == "true_accuracy")
        chance, value = p_value(row.difference), row.difference.estimate.value
        if value is not None and value < 0 and chance is not None and chance * len(earlier) < 0.05:
            found.append((value, row))
    return min(found, key=lambda item: item[0])[1] if found else None


def _ran_ahead(reading: Reading, fallen: Compared | None, last: int) -> bool:
    """Whether judge minus truth widened since the round that the last one fell back from."""
    if fallen is None:
        return False
    rows = compare_rounds(reading, reading, fallen.round_a, last)
    return any(row.metric == "judge_minus_truth" and direction(row.difference.estimate) > 0 for row in rows)


def _interval(row: Compared, *, flip: bool = False) -> str:
    """The paired difference with its interval; `flip` tells a fall as a positive number."""
    estimate = row.difference.estimate
    if not flip:
        return number_text(estimate.value, estimate.low, estimate.high, signed=True)
    value, low, high = (None if v is None else -v for v in (estimate.value, estimate.high, estimate.low))
    return number_text(value, low, high)


def _sentence(subject: str, row: Compared, last: int) -> str:
    moved = direction(row.difference.estimate)
    levels = f"from {number_text(row.before)} to {number_text(row.after)}"
    paired = f"(paired difference {_interval(row)}, {row.difference.prompts} prompts)"
    if moved:
        return f"{subject} {'rose' if moved > 0 else 'fell'} {levels} by round {last} {paired}."
    effect = row.difference.smallest_effect
    seen = "" if effect is None else f", one of {number_text(effect)} would be in 80 % of the cases"
    return f"{subject} went {levels} by round {last}; a change is not resolved {paired}{seen}."


def _gap_sentence(row: Compared, last: int) -> str:
    moved = direction(row.difference.estimate)
    what = {1: "widened", -1: "did not widen, it shifted down", 0: "was not seen to widen"}[moved]
    return (
        f"Judge minus truth {what}: {number_text(row.before, signed=True)} at the start, "
        f"{number_text(row.after, signed=True)} in round {last} (paired change {_interval(row)})."
    )


def _off_policy(reading: Reading) -> list[str]:
    """Where the answers of training came from a file."""
    if reading.recipe.generate.source is None:
        return []
    return [
        "The answers of training are off-policy: they were not sampled by the policy but read from a file "
        "(generate.source), so a preference among them need not be one among its own."
    ]


def selection_sentence(reading: Reading) -> str:
    """Which round the selection pool chose, and whether the truth, which it may not see, agrees."""
    recipe = reading.recipe
    if not recipe.measure.judge and recipe.gates.select_by == "judge":
        return (
            "The loop's own judge was left out (measure.judge=false): there is no word of its about these answers, and "
            "no round is selected by it."
        )
    best = selected_round(reading)
    by = SELECTIONS[reading.recipe.gates.select_by].said
    if best not in reading.rounds[1:]:
        return f"No rise of {by} is resolved on the selection pool, so the start policy stays selected."
    changes = {row.metric: row for row in compare_rounds(reading, reading, reading.rounds[0], best)}
    truth = changes.get("true_accuracy")
    wrong = truth is not None and direction(truth.difference.estimate) < 0
    said = f"Round {best} is selected as best, by {by} on the selection pool, "
    said += "which no training saw" if recipe.gates.select_by == "verifier" else "which needs no truth"
    return said + (": a wrong choice, says the truth that selection may not see." if wrong else ".")
