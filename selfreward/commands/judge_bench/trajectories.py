"""Trajectories on the bench: their pools, and what judges of single calls and judges of the whole make of them.

    right_side     trajectories whose score is on their label's side of the middle, a score in the middle half; all, and
                   by number of calls in thirds, since judges of long transcripts fall off (2604.08178)
    calls_right    labelled calls that the judge of calls puts on their side, P(right) of 1/2 half
    local_right    mean over trajectories of the share of calls that are right by the judge of calls
    global_right   share of trajectories that the judge of the whole scores above the middle
    difference     local_right - global_right, paired by goal: calls that look right and lead nowhere

Intervals are 95 % ones, clustered by goal. A trajectory that one of the two could not read is left out and counted; the
two disagree about one where every call is right and the whole is not, or the other way round. Of more calls than
judge.question.most the last verdict is about several: it is no single call's, and its label is not asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selfreward.commands.judge_bench.pools import ROOMS, TRAJECTORIES, LabelledPool
from selfreward.measuring.metrics.judge.agreement import MIDDLE
from selfreward.measuring.stats.clustered import Estimate, cluster_means, clustered_share, paired_difference
from selfreward.records import Labelled, StepVerdict
from selfreward.tasks.rooms.played import played
from selfreward.tasks.sets.sets import some
from selfreward.tasks.trajectories.rows import KnownTrajectory, read_trajectories, read_trajectory

WORLDS = 30
Verdicts = Mapping[str, tuple[float | None, ...]]
"""P(right) of every step of an answer, by its id; None where it could not be read."""


def trajectory_pools(name: str, count: int | None) -> list[LabelledPool]:
    """The pool of this name; rows without a label are one of their own. `count` goals at most."""
    if name == ROOMS:
        rows = [read_trajectory(row, f"{ROOMS}:{number}") for number, row in enumerate(played(WORLDS), start=1)]
    else:
        rows = read_trajectories(name.removeprefix(TRAJECTORIES))
    kept = {prompt.id for prompt in some(list({one.prompt.id: one.prompt for one in rows}.values()), count)}
    rows = [one for one in rows if one.prompt.id in kept]
    told = [one for one in rows if one.label is not None]
    untold = [one for one in rows if one.label is None]
    pools = [_pool(name, told), _pool(f"{name}, without a label", untold)]
    return [pool for pool in pools if pool.rows]


def _pool(name: str, rows: Sequence[KnownTrajectory]) -> LabelledPool:
    labelled = [Labelled(one.prompt, one.response, MIDDLE if one.label is None else one.label) for one in rows]
    graded = any(not one.plain for one in rows)
    return LabelledPool(name, labelled, graded, {one.response.id: one.calls for one in rows})


def verdicts_of(rows: Iterable[object]) -> Verdicts:
    """What a reading said of each step."""
    found: dict[str, list[StepVerdict]] = {}
    for row in rows:
        if isinstance(row, StepVerdict):
            found.setdefault(row.response_id, []).append(row)
    ordered = {name: sorted(steps, key=lambda row: row.step) for name, steps in found.items()}
    return {name: tuple(row.right for row in steps) for name, steps in ordered.items()}


def sides(pool: LabelledPool, scores: Mapping[str, float]) -> dict[str, tuple[float, str]]:
    """(1 where the score is on the label's side, the goal) of each scored row with a label."""
    known = [row for row in pool.rows if row.id in scores and row.label != MIDDLE]
    return {row.id: (_side(scores[row.id], row.label > MIDDLE, MIDDLE), row.prompt.id) for row in known}


def _side(value: float, right: bool, middle: float) -> float:
    return 0.5 if value == middle else float((value > middle) == right)


def thirds(pool: LabelledPool) -> dict[str, list[Labelled]]:
    """The rows by their number of calls, in thirds as equal as equal numbers allow; a name says which numbers."""
    calls = pool.calls or {}
    lengths = sorted(len(calls[row.id]) for row in pool.rows)
    edges = [lengths[(part * len(lengths) - 1) // 3] for part in (1, 2, 3)] if lengths else []
    found: dict[str, list[Labelled]] = {}
    below = -1
    for edge in dict.fromkeys(edges):
        inside = [row for row in pool.rows if below < len(calls[row.id]) <= edge]
        least = min(len(calls[row.id]) for row in inside)
        found[f"{least} calls" if least == edge else f"{least}–{edge} calls"] = inside
        below = edge
    return found


def right_sides(pool: LabelledPool, scores: Mapping[str, float]) -> dict[str, Estimate]:
    """All of the pool, then each third of it."""
    found = sides(pool, scores)
    groups = {"all": list(pool.rows), **thirds(pool)}
    return {name: _share([found[row.id] for row in rows if row.id in found]) for name, rows in groups.items()}


def calls_right(pool: LabelledPool, verdicts: Verdicts) -> Estimate:
    """Of the calls that somebody labelled and the judge read."""
    known: list[tuple[float, str]] = []
    for row in pool.rows:
        labels, said = (pool.calls or {})[row.id], verdicts.get(row.id, ())
        single = said if len(said) == len(labels) else said[:-1]
        known += [
            (_side(value, label, 0.5), row.prompt.id)
            for value, label in zip(single, labels, strict=False)
            if value is not None and label is not None
        ]
    return _share(known)


def _share(known: Sequence[tuple[float, str]]) -> Estimate:
    return clustered_share([value for value, _ in known], [cluster for _, cluster in known])


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One trajectory about which the two disagree; `right` is the share of its calls that are right."""

    trajectory: str
    goal: str
    cohort: str
    calls: int
    right: float
    score: float
    label: float | None


@dataclass(frozen=True, slots=True)
class Beside:
    """A judge of calls beside a judge of the whole, on one pool."""

    pool: str
    local: str
    whole: str
    local_right: Estimate
    global_right: Estimate
    difference: Estimate
    by_calls: Mapping[str, Estimate]
    left_out: int
    disagreements: Sequence[Disagreement]


def beside(pool: LabelledPool, local: str, verdicts: Verdicts, whole: str, scores: Mapping[str, float]) -> Beside:
    read = {row.id: _read(verdicts.get(row.id)) for row in pool.rows if row.id in scores}
    known = {name: said for name, said in read.items() if said is not None}
    shares = {name: sum(value > 0.5 for value in said) / len(said) for name, said in known.items()}
    wholes = {name: float(scores[name] > MIDDLE) for name in known}
    rows = [row for row in pool.rows if row.id in known]
    goals = [row.prompt.id for row in rows]

    def gap(members: Sequence[Labelled]) -> Estimate:
        inside = [row for row in members if row.id in known]
        of = [row.prompt.id for row in inside]
        local, total = (cluster_means([side[row.id] for row in inside], of) for side in (shares, wholes))
        return paired_difference(local, total)

    return Beside(
        pool=pool.name,
        local=local,
        whole=whole,
        local_right=clustered_share([shares[row.id] for row in rows], goals),
        global_right=clustered_share([wholes[row.id] for row in rows], goals),
        difference=gap(rows),
        by_calls={name: gap(members) for name, members in thirds(pool).items()},
        left_out=len(pool.rows) - len(rows),
        disagreements=[
            _told(row, known[row.id], shares[row.id], scores[row.id])
            for row in rows
            if (shares[row.id] == 1.0) != bool(wholes[row.id])
        ],
    )


def _read(said: tuple[float | None, ...] | None) -> tuple[float, ...] | None:
    """The verdicts where all were read."""
    read = tuple(value for value in said or () if value is not None)
    return read if said and len(read) == len(said) else None


def _told(row: Labelled, said: Sequence[float], right: float, score: float) -> Disagreement:
    label = None if row.label == MIDDLE else row.label
    return Disagreement(row.id, row.prompt.text, row.prompt.cohort, len(said), right, score, label)
