"""The first screen: what is true, what the judge believes, how far apart they are, and which round to take.

Each tile is a number of the report pool over the rounds, its paired change from the first to the last one, and a
sentence. Truth is the verifier's word. Without a verifier a held-out judge's win rate against round 0 stands for it
(.5 is no gain), and the gap is what the loop's own judge sees more; without either, truth and gap are "not known", and
the tile says what would make them known. Words follow the intervals, as in verdict.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selfreward.report.compare import Compared, compare_rounds
from selfreward.report.gate_verdicts import selected_round
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import DASH, Table, number_text
from selfreward.report.verdict import direction, selection_sentence

Mood = Literal["good", "bad", "open"]
Level = tuple[int, float, float | None, float | None]
NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Tile:
    """`value` is the last round's, `before` the first one's; `levels` (round, value, low, high) make a small plot."""

    name: str
    value: str
    before: str
    word: str
    sentence: str
    mood: Mood = "open"
    levels: Sequence[Level] = ()


@dataclass(frozen=True, slots=True)
class Glance:
    """`chosen` is the round to take, and `why` the sentence behind it."""

    tiles: Sequence[Tile]
    chosen: int
    why: str


def glance(reading: Reading) -> Glance:
    """Three tiles and the chosen round of one run."""
    first, last = reading.rounds[0], reading.rounds[-1]
    rows = compare_rounds(reading, reading, first, last) if last != first else []
    changes = {row.metric: row for row in rows}
    tiles = (_truth(reading, changes), _belief(reading, changes), _gap(reading, changes))
    why = selection_sentence(reading) if last != first else "Only the start policy is measured."
    return Glance(tiles, selected_round(reading), why)


def glance_table(found: Glance) -> Table:
    """The tiles as a table."""
    rows = [[tile.name, tile.before or DASH, tile.value, tile.word] for tile in found.tiles]
    return Table(f"{found.why}", ["", "at first", "now", ""], rows)


def levels(reading: Reading, key: Key) -> list[Level]:
    """The values over the rounds."""
    found = sorted(reading.by_key.get(key, {}).items())
    return [(number, row.value, row.low, row.high) for number, row in found if row.value is not None]


def _truth(reading: Reading, changes: dict[str, Compared]) -> Tile:
    known = levels(reading, Key("true_accuracy", "report"))
    if known:
        tile = _moved("Truth", known, changes.get("true_accuracy"), "True accuracy by the verifier", up="good")
        at_length = reading.by_key.get(Key("true_accuracy_at_length_change", "report"), {}).get(reading.rounds[-1])
        if at_length is None or at_length.value is None:
            return tile
        change = number_text(at_length.value, at_length.low, at_length.high, signed=True)
        return _with(tile, f"At equal length the change is {change}.")
    if won := levels(reading, Key("held_out_win_rate_initial", "report")):
        return _against(won[-1], won, "Truth: what stands for it", 0.5, "good", _win_sentence(won[-1]))
    said = "No verifier and no held-out judge: whether the answers became better cannot be known."
    if frozen := levels(reading, Key("judge_spearman", "frozen")):
        said += f" On labelled answers this judge's rank correlation is {number_text(*frozen[-1][1:])}."
    return Tile("Truth", NOT_KNOWN, "", NOT_KNOWN, f"{said} Keys: measure.verifier, measure.held_out.model.")


def _belief(reading: Reading, changes: dict[str, Compared]) -> Tile:
    known = levels(reading, Key("judge_mean", "report"))
    if not known:
        return Tile("The judge's belief", NOT_KNOWN, "", NOT_KNOWN, "No judge scored these answers.")
    return _moved("The judge's belief", known, changes.get("judge_mean"), "The judge's mean score, 0 to 5,")


def _gap(reading: Reading, changes: dict[str, Compared]) -> Tile:
    known = levels(reading, Key("judge_minus_truth", "report"))
    if known:
        words = ("widened", "fell")
        row = changes.get("judge_minus_truth")
        return _moved("The gap", known, row, "Judge minus truth, in points,", up="bad", words=words, signed=True)
    if more := levels(reading, Key("self_minus_held_out_win_rate_initial", "report")):
        last = more[-1]
        said = (
            f"Its own judge sees {number_text(*last[1:], signed=True)} more wins against round 0 than the held-out one."
        )
        return _against(last, more, "The gap: own minus held-out judge", 0.0, "bad", said)
    said = "Without a truth to hold it against, a belief that ran ahead looks like a gain."
    return Tile("The gap", NOT_KNOWN, "", NOT_KNOWN, said)


def _win_sentence(last: Level) -> str:
    return (
        f"No verifier. The held-out judge prefers round {last[0]} to round 0 in {number_text(*last[1:])} of the pairs; "
        "half is no gain."
    )


def _moved(
    name: str,
    known: Sequence[Level],
    row: Compared | None,
    subject: str,
    *,
    up: Mood = "open",
    words: tuple[str, str] = ("rose", "fell"),
    signed: bool = False,
) -> Tile:
    """A tile of a paired change; `up` is what a rise means, and a fall means the other for the truth alone."""
    last = known[-1]
    value = number_text(*last[1:], signed=signed)
    before, now = (number_text(*level[1:], signed=signed).partition(" ")[0] for level in (known[0], last))
    if row is None:
        return Tile(name, value, "", "start" if len(known) == 1 else DASH, f"{subject} is {value}.", levels=known)
    estimate = row.difference.estimate
    way = direction(estimate)
    change = number_text(estimate.value, estimate.low, estimate.high, signed=True)
    paired = f"paired change {change}, {row.difference.prompts} prompts"
    if not way:
        effect = row.difference.smallest_effect
        seen = "" if effect is None else f"; one of {number_text(effect)} would be seen in 80 % of the cases"
        said = f"{subject} went from {before} to {now}: {paired}, not resolved{seen}."
        return Tile(name, value, before, "not resolved", said, levels=known)
    word = words[0] if way > 0 else words[1]
    mood: Mood = up if way > 0 else "bad" if up == "good" else "open"
    said = f"{subject} {word} from {before} to {now} by round {last[0]} ({paired})."
    return Tile(name, value, before, word, said, mood, known)


def _against(last: Level, known: Sequence[Level], name: str, null: float, up: Mood, said: str) -> Tile:
    """A tile of a number that is itself a comparison, held against what it is where nothing changed."""
    _, value, low, high = last
    above, below = low is not None and low > null, high is not None and high < null
    word = "above" if above else "below" if below else "not resolved"
    mood: Mood = up if above else "bad" if below and up == "good" else "open"
    text = number_text(value, low, high, signed=null == 0)
    return Tile(name, text, f"{null:g}", f"{word} {null:g}" if above or below else word, said, mood, known)


def _with(tile: Tile, sentence: str) -> Tile:
    return Tile(tile.name, tile.value, tile.before, tile.word, f"{tile.sentence} {sentence}", tile.mood, tile.levels)
