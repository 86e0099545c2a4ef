"""A blinded sheet from a run: what is drawn, shuffled and written, with its key and a second annotator's sheet.

The sheet shows a conversation and an answer (or two). Model, round, score, cohort and whether a row is locked or
audited stand in the key alone; row ids are hashes, and the rows stand in their order. The same run gives the same
sheet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from selfreward.commands.anchors.candidates import Candidate, pool_answers, pool_pairs, training_answers
from selfreward.commands.anchors.draw import draw, spread
from selfreward.commands.anchors.key import LEVELS, Key, KeyRow, key_path, write_key
from selfreward.commands.anchors.sheet import fits, write_sheet
from selfreward.errors import DataError
from selfreward.records import stable_id
from selfreward.store.files import on_disk
from selfreward.store.view import RunView

STEERING_POOL = "gate"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`pool` other than gate: everything is locked, since these pools never steer. `against`: pairs with that round."""

    rows: int = 200
    pool: str = STEERING_POOL
    against: int | None = None
    locked: float = 0.15
    double: float = 0.2
    audit: float | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was written. `too_long` candidates do not fit into a spreadsheet's cell and were left out."""

    key: Key
    sheet: Path
    second: Path | None
    too_long: int

    def lines(self) -> list[str]:
        kind = "pairs" if self.key.kind == "pairs" else "distinct answers"
        anchors = [row for row in self.key.rows if row.part == "anchor"]
        locked, double = sum(row.locked for row in anchors), sum(row.double for row in self.key.rows)
        open_ones = sum(one.certain is None for one in self.key.population)
        told = [
            f"sheet: {self.sheet}: {len(self.key.rows)} rows to label",
            f"  {len(anchors)} of {open_ones} {kind} on the {self.key.pool} pool, {locked} of them locked; "
            f"{len(self.key.rows) - len(anchors)} audited training answers",
            f"  label: one of {', '.join(sorted(LEVELS[self.key.kind]))}, by the rubric that the judge was given: "
            f"{', '.join(sorted({row.candidate.template for row in self.key.rows}))}",
            f"key:   {key_path(self.sheet)}: not for whoever labels",
        ]
        if self.second:
            told.insert(1, f"second annotator: {self.second}: {double} of the same rows")
        if self.key.unread:
            told.append(f"left out: {self.key.unread} answers without a readable score")
        if self.too_long:
            told.append(f"left out: {self.too_long} that are longer than a spreadsheet's cell")
        return told


def sample(view: RunView, number: int, out: Path, wanted: Wanted) -> Sampled:
    """Draw, and write the sheet(s) and the key. Raises DataError where nothing can be drawn or a file exists."""
    second = out.with_name(f"{out.stem}-second{out.suffix}") if wanted.double else None
    for path in (out, second, key_path(out)):
        if path is not None and path.exists():
            raise DataError(f"{path}: exists and may hold labels; a sheet is never overwritten, choose another --out")
    key, too_long = make_key(view, number, wanted)
    double = [row for row in key.rows if row.double]
    with on_disk(out):
        write_key(key_path(out), key)
        write_sheet(out, key.kind, key.rows)
        if second and double:
            write_sheet(second, key.kind, sorted(double, key=lambda row: stable_id("second", row.id)))
    return Sampled(key, out, second if double else None, too_long)


def make_key(view: RunView, number: int, wanted: Wanted) -> tuple[Key, int]:
    """The key of a new sheet, and how many candidates are too long."""
    if wanted.against is None:
        population, unread = pool_answers(view, number, wanted.pool)
    else:
        population, unread = pool_pairs(view, number, wanted.against, wanted.pool)
    population, cut = _that_fit(population)
    everything = wanted.pool != STEERING_POOL
    drawn, locked = draw(population, wanted.rows, 0.0 if everything else wanted.locked)
    if not drawn:
        raise DataError(
            f"run {view.name!r}, round {number}: nothing to label on the {wanted.pool} pool; expected an answer (or a "
            "pair of different ones); choose another round or pool"
        )
    rows = [_row(one, "anchor", everything or one.prompt_id in locked) for one in drawn]
    for earlier in range(1, number + 1) if wanted.audit else ():
        trained, more = _that_fit(training_answers(view, earlier))
        cut += more
        picked = spread(trained, math.ceil((wanted.audit or 0.0) * len(trained)))
        rows += [_row(one, "audit", True) for one in picked]
    first_doubles = sorted(rows, key=lambda row: stable_id("double", row.candidate.id))
    doubled = {row.id for row in first_doubles[: math.ceil(wanted.double * len(rows))]}
    return Key(
        kind="score" if wanted.against is None else "pairs",
        run=view.name,
        round=number,
        against=wanted.against,
        pool=wanted.pool,
        unread=unread,
        rows=tuple(sorted((replace(row, double=row.id in doubled) for row in rows), key=lambda row: row.id)),
        population=tuple(population),
    ), cut


def _row(candidate: Candidate, part: Literal["anchor", "audit"], locked: bool) -> KeyRow:
    swapped = len(candidate.texts) == 2 and int(stable_id("side", candidate.id), 16) % 2 == 1
    # A letter first: a spreadsheet makes numbers of digits, and of digits around an e.
    return KeyRow(f"r{stable_id('anchor row', part, candidate.id)}", part, candidate, locked, False, swapped)


def _that_fit(candidates: Sequence[Candidate]) -> tuple[list[Candidate], int]:
    kept = [one for one in candidates if fits(_row(one, "anchor", False))]
    return kept, len(candidates) - len(kept)
