"""The first question about a run that judges itself: can this judge tell right from wrong at all?

Three things can know: labelled answers (anchors, the frozen pool), a verifier, a held-out judge. Each gives a rank
correlation with the judge's scores. In a round

    not at all    none of those at hand is above 0 with its whole interval, or one is below 0 with all of it. A judge
                  that gives one and the same score has no correlation, and tells nothing
    cannot know   nothing of the three is at hand

One resolved source is enough to be silent: as a policy improves, its own answers differ less in quality, and the
correlation on them fades without any fault of the judge. Then the scale: where nine tenths of the scores lie within
half a point, with the whole interval, there is hardly anything to choose by, whatever the judge knows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from selfreward.measuring.metrics.worries import FINER, QUESTION, Remedy
from selfreward.records import Measurement
from selfreward.report.catalogue import place, words
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import number_text

SOURCES = (
    (Key("judge_spearman", "frozen"), "labelled answers"),
    (Key("judge_spearman", "report"), "the verifier"),
    (Key("judge_held_out_spearman", "report"), "the held-out judge"),
)
BAND = Key("score_band", "report")
NARROW = 0.5
KNOW = (
    Remedy("measure.anchors", "answers with labels by people (`selfreward anchors`)"),
    Remedy("measure.held_out.model", "a judge that the run does not train on"),
)
LEARN = (
    Remedy("judge.model", "a stronger model"),
    Remedy("judge.question.template", "another prompt; `selfreward judge-bench` sets several side by side"),
    Remedy("gates.canary", "require: such a judge is found out before any training", "require"),
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """`remedies` are keys of the recipe that work against it, the first to try first."""

    name: str
    evidence: str
    remedies: tuple[Remedy, ...] = ()


def judge_skill(reading: Reading) -> Iterator[Alarm]:
    """At most one alarm about skill and one about the scale; none for a run without a judge's scores."""
    if Key("judge_mean", "report") not in reading.by_key:
        return
    rounds = sorted(reading.by_key[Key("judge_mean", "report")])
    at_hand = {number: _at_hand(reading, number) for number in rounds}
    if not any(at_hand.values()):
        yield Alarm("judge:", f"whether it tells right from wrong cannot be known: {_missing(reading)}", KNOW)
    failed = [(number, found) for number, found in at_hand.items() if found and not _tells(found)]
    if failed:
        said = "; ".join(
            f"round {number}: " + ", ".join(f"ρ with {source} {_text(row)}" for source, row in found)
            for number, found in failed
        )
        yield Alarm("judge:", f"this judge does not tell right from wrong ({said}).", LEARN)
    narrow = [row for row in reading.by_key.get(BAND, {}).values() if row.high is not None and row.high < NARROW]
    if narrow:
        found_in = "; ".join(f"round {row.round}: {number_text(row.value, row.low, row.high)}" for row in narrow)
        yield Alarm(
            f"{words(BAND.metric)}:",
            f"nine tenths of the scores lie within less than {NARROW} points, {place(BAND.pool)}, so there is hardly "
            f"anything to choose by ({found_in}).",
            (FINER, QUESTION),
        )


def _missing(reading: Reading) -> str:
    """There may be truth and no score beside it: a judge whose replies cannot be read."""
    there = [source for key, source in SOURCES if reading.by_key.get(key)]
    if there:
        return f"fewer than two prompts have a score that can be read beside {' or '.join(there)}."
    return (
        "there are no labelled answers (measure.anchors), no verifier (measure.verifier) and no held-out judge "
        "(measure.held_out)."
    )


def _at_hand(reading: Reading, number: int) -> list[tuple[str, Measurement]]:
    found = [(source, reading.by_key.get(key, {}).get(number)) for key, source in SOURCES]
    return [(source, row) for source, row in found if row is not None and row.n > 1]


def _tells(found: list[tuple[str, Measurement]]) -> bool:
    against = any(row.high is not None and row.high < 0 for _, row in found)
    return not against and any(row.low is not None and row.low > 0 for _, row in found)


def _text(row: Measurement) -> str:
    if row.value is None:
        return "does not exist, one of the two never varies"
    return number_text(row.value, row.low, row.high, signed=True)
