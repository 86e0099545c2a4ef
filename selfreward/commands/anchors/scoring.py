"""What the labels say: do people agree with each other, does the judge agree with them, and what is the pool worth.

The share that may steer, the locked share and the audited training answers are kept apart; the gate's word and the
slices (judge's prompt version, cohort, length) are about the first alone. All kappas are of the sheet, on which rare
scores are as common as others; the means are weighted back to the whole pool.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from selfreward.commands.anchors.agreement import Agreement, GateWord, agreement, gate_word
from selfreward.commands.anchors.draw import chances
from selfreward.commands.anchors.key import LEVELS, Key, KeyRow
from selfreward.commands.anchors.labels import Settled
from selfreward.measuring.stats.prediction_powered import Powered, prediction_powered_mean
from selfreward.tasks.anchors_file import Anchor

MIDDLE = 2.5


@dataclass(frozen=True, slots=True)
class Slice:
    """The judge against the final labels of some rows."""

    name: str
    found: Agreement


@dataclass(frozen=True, slots=True)
class Scored:
    """`annotators` is None without double labels. `means` are prediction-powered, by name."""

    key: Key
    settled: Settled
    annotators: Agreement | None
    steering: Agreement
    gate: GateWord | None
    slices: tuple[Slice, ...]
    locked: Agreement
    audits: tuple[Slice, ...]
    means: dict[str, Powered]


def score(key: Key, settled: Settled) -> Scored:
    """Everything that is told about labelled sheets. Without any row that may steer there is no gate."""
    rows = [row for row in key.rows if row.id in settled.labels]
    by_name = {row.id: row for row in key.rows}
    steering = [row for row in rows if row.part == "anchor" and not row.locked]
    audits = [row for row in rows if row.part == "audit"]
    found = _held_against(key, settled, steering)
    waiting = sum(not by_name[name].locked for name in settled.waiting)
    return Scored(
        key=key,
        settled=settled,
        annotators=between_annotators(key, settled),
        steering=found,
        gate=gate_word(found.kappa, waiting) if any(not row.locked for row in key.rows) else None,
        slices=tuple(_slices(key, settled, steering)),
        locked=_held_against(key, settled, [row for row in rows if row.part == "anchor" and row.locked]),
        audits=tuple(_parts(key, settled, audits, lambda row: f"training answers of round {row.candidate.round}")),
        means=means(key, settled),
    )


def between_annotators(key: Key, settled: Settled) -> Agreement | None:
    """How far annotators agree on the rows that two have labelled, before adjudication; None without any."""
    if not settled.doubles:
        return None
    prompts = {row.id: row.candidate.prompt_id for row in key.rows}
    first, second = ([float(pair[side]) for pair in settled.doubles] for side in (1, 2))
    return agreement(first, second, [prompts[name] for name, _, _ in settled.doubles], len(LEVELS[key.kind]))


def means(key: Key, settled: Settled) -> dict[str, Powered]:
    """The whole pool's mean score and share of good answers, or the win rate against the earlier round."""
    label_of: dict[str, float] = {}
    for row in key.rows:
        if row.part == "anchor" and row.id in settled.labels:
            label = settled.labels[row.id]
            label_of[row.candidate.id] = float(2 - label if row.swapped else label)
    chance = chances(key.population, label_of)
    if not chance:
        return {}
    units = [one for one in key.population for _ in range(one.copies)]
    labels = [label_of.get(one.id) if one.certain is None else one.certain for one in units]
    prompts, drawn = [one.prompt_id for one in units], [chance[one.id] for one in units]

    def powered(value: Callable[[float], float]) -> Powered:
        known = [None if label is None else value(label) for label in labels]
        return prediction_powered_mean([value(one.judge) for one in units], known, prompts, drawn)

    if key.kind == "pairs":
        return {f"win rate against round {key.against}": powered(lambda value: value / 2)}
    return {
        "mean score": powered(lambda value: value),
        f"share above {MIDDLE:g}": powered(lambda value: float(value > MIDDLE)),
    }


def anchors_of(scored: Scored) -> list[Anchor]:
    """The labelled answers for `measure.anchors`: audited ones were trained on and are no anchors."""
    return [
        Anchor(
            messages=row.candidate.messages,
            answer=row.candidate.texts[0],
            label=float(scored.settled.labels[row.id]),
            cohort=row.candidate.cohort,
            locked=row.locked,
        )
        for row in scored.key.rows
        if row.part == "anchor" and scored.key.kind == "score" and row.id in scored.settled.labels
    ]


def _held_against(key: Key, settled: Settled, rows: Sequence[KeyRow]) -> Agreement:
    return agreement(
        [row.judge for row in rows],
        [float(settled.labels[row.id]) for row in rows],
        [row.candidate.prompt_id for row in rows],
        len(LEVELS[key.kind]),
    )


def _slices(key: Key, settled: Settled, rows: Sequence[KeyRow]) -> Iterable[Slice]:
    """By prompt version of the judge, cohort and length; a cut with one part only would repeat the whole."""
    lengths = sorted(sum(map(len, row.shown)) for row in rows)

    def tercile(row: KeyRow) -> str:
        size = sum(map(len, row.shown))
        below = sum(size > lengths[min(len(lengths) - 1, len(lengths) * part // 3)] for part in (1, 2))
        return f"{('short', 'middling', 'long')[below]} answers"

    yield from _parts(key, settled, rows, lambda row: f"judged by {row.candidate.template}")
    for name in (lambda row: f"cohort {row.candidate.cohort or '(none)'}", tercile):
        parts = list(_parts(key, settled, rows, name))
        yield from parts if len(parts) > 1 else ()


def _parts(key: Key, settled: Settled, rows: Sequence[KeyRow], name: Callable[[KeyRow], str]) -> Iterable[Slice]:
    members: dict[str, list[KeyRow]] = {}
    for row in rows:
        members.setdefault(name(row), []).append(row)
    for part in sorted(members):
        yield Slice(part, _held_against(key, settled, members[part]))
