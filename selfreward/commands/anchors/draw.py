"""Which candidates go on the sheet: evenly over the judge's scores and the cohorts, with a locked share.

Rare scores are drawn as often as common ones, as far as there are any: a random draw of a saturated judge's answers
would say nothing about its low scores. The draw takes turns over the scores and, inside a score, over the cohorts; the
order inside is that of a hash. What this does to the means is undone by `chances`.

Locked prompts come first in the order of a hash of their id alone, so that a prompt is locked on every sheet of a run
or on none, and no answer to it is ever steered on.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from selfreward.commands.anchors.candidates import Candidate
from selfreward.records import stable_id

Stratum = tuple[str, int]


def draw(candidates: Sequence[Candidate], wanted: int, locked_share: float) -> tuple[list[Candidate], set[str]]:
    """`wanted` candidates (all, where there are not as many), and the prompts that are locked."""
    open_ones = [one for one in candidates if one.certain is None]
    prompts = sorted({one.prompt_id for one in candidates}, key=lambda name: stable_id("locked", name))
    locked = set(prompts[: math.ceil(locked_share * len(prompts))])
    behind = [one for one in open_ones if one.prompt_id in locked]
    before = [one for one in open_ones if one.prompt_id not in locked]
    reserved = min(len(behind), round(locked_share * min(wanted, len(open_ones))))
    return [*spread(behind, reserved), *spread(before, wanted - reserved)], locked


def spread(candidates: Iterable[Candidate], wanted: int) -> list[Candidate]:
    """The first `wanted` when scores, and cohorts inside a score, take turns."""
    members: defaultdict[int, defaultdict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for one in sorted(candidates, key=lambda one: stable_id("anchor", one.id)):
        members[one.point][one.cohort].append(one)
    points = [_in_turns([cohorts[name] for name in sorted(cohorts)]) for _, cohorts in sorted(members.items())]
    return _in_turns(points)[:wanted]


def _in_turns(groups: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]


def chances(candidates: Sequence[Candidate], labelled: Collection[str]) -> dict[str, float]:
    """Each candidate's chance of a label: the labelled share of those of its cohort and score.

    A cohort and score without any label is counted with the nearest that has one: of the same cohort, then of the
    nearest score. What needs nobody has the chance 1. Empty where nothing is labelled.
    """
    open_ones = [one for one in candidates if one.certain is None]
    strata = {(one.cohort, one.point) for one in open_ones}
    with_labels = {(one.cohort, one.point) for one in open_ones if one.id in labelled}
    if not with_labels:
        return {}
    host: dict[Stratum, Stratum] = {
        own: min(with_labels, key=lambda other: (own != other, own[0] != other[0], abs(own[1] - other[1]), other))
        for own in strata
    }
    sizes: defaultdict[Stratum, list[int]] = defaultdict(lambda: [0, 0])
    for one in open_ones:
        count = sizes[host[one.cohort, one.point]]
        count[0] += one.id in labelled
        count[1] += 1
    share = {stratum: known / size for stratum, (known, size) in sizes.items()}
    return {one.id: 1.0 if one.certain is not None else share[host[one.cohort, one.point]] for one in candidates}
