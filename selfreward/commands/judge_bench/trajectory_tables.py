"""What the bench tells of trajectories: each judge by their length, and judges of calls beside judges of the whole."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from selfreward.commands.judge_bench.bench import Result
from selfreward.commands.judge_bench.trajectories import Beside, beside, calls_right, right_sides
from selfreward.measuring.stats.clustered import Estimate
from selfreward.report.tables import DASH, Table, number_text

SHOWN = 20
"""Trajectories that the two judges disagree about; the JSON has all of them."""


def trajectory_tables(found: Sequence[Result]) -> list[Table]:
    """Tables of one pool's results; none where it holds no trajectories."""
    here = [one for one in found if one.trajectories is not None]
    if not here or here[0].trajectories is None:
        return []
    pool, told = here[0].trajectories, besides(here)
    sides = [(one, right_sides(pool, one.asked[0])) for one in here]
    tables = []
    if any(found["all"].value is not None for _, found in sides):
        header = ["judge", *sides[0][1], "single calls"]
        rows = [
            [one.judge, *(_text(value) for value in found.values()), _text(calls_right(pool, one.calls))]
            for one, found in sides
        ]
        tables.append(Table(f"{pool.name}: scores on their label's side, by number of calls", header, rows))
    if told:
        groups = [*told[0].by_calls]
        header = ["calls by", "whole by", "calls right", "whole right", "calls − whole", *groups, "left out"]
        rows = [
            [
                one.local,
                one.whole,
                *(_text(value) for value in (one.local_right, one.global_right, one.difference)),
                *(_text(one.by_calls[name]) for name in groups),
                str(one.left_out),
            ]
            for one in told
        ]
        tables.append(Table(f"{pool.name}: calls one by one, and the whole", header, rows))
    return [*tables, *(_disagreements(one) for one in told if one.disagreements)]


def _disagreements(one: Beside) -> Table:
    header = ["trajectory", "goal", "cohort", "calls", "right by " + one.local, "whole by " + one.whole, "label"]
    rows = [
        [
            row.trajectory,
            row.goal[:60],
            row.cohort or DASH,
            str(row.calls),
            f"{row.right:.2f}",
            f"{row.score:.2f}",
            DASH if row.label is None else f"{row.label:g}",
        ]
        for row in one.disagreements[:SHOWN]
    ]
    count = len(one.disagreements)
    some = f"{SHOWN} of {count}" if count > SHOWN else str(count)
    return Table(f"{one.pool}: {some} trajectories about which {one.local} and {one.whole} disagree", header, rows)


def besides(found: Sequence[Result]) -> list[Beside]:
    """Every judge of calls beside every judge that scores the whole by itself, pool by pool."""
    told = []
    for local in found:
        for whole in found:
            pool = local.trajectories
            scored = not whole.calls and whole.recipe["question"]["kind"] in WHOLE
            if pool is not None and whole.pool == local.pool and local.calls and scored:
                told.append(beside(pool, local.judge, local.calls, whole.judge, whole.asked[0]))
    return told


WHOLE = ("score", "rubric", "trajectory")
"""Questions whose score means something without another answer."""


def trajectories_told(found: Sequence[Result]) -> dict[str, Any]:
    """For the JSON; nothing where no pool holds trajectories."""
    here = [one for one in found if one.trajectories is not None]
    sides = [
        {
            "judge": one.judge,
            "pool": one.pool,
            "right_side": {name: asdict(value) for name, value in right_sides(one.trajectories, one.asked[0]).items()},
            "calls_right": asdict(calls_right(one.trajectories, one.calls)),
        }
        for one in here
        if one.trajectories is not None
    ]
    return {"trajectories": {"judges": sides, "beside": [asdict(one) for one in besides(here)]}} if here else {}


def _text(found: Estimate) -> str:
    return DASH if found.value is None else f"{number_text(found.value, found.low, found.high)} n {found.n}"
