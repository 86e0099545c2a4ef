"""From the annotators' sheets to one label per row: agreed, or adjudicated, or open.

Rows that two annotators label differently have no label until a third sheet decides them. Until then they are left out
and counted, which makes agreement with the judge look better than it is: the hard rows are missing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from selfreward.commands.anchors.key import Key
from selfreward.commands.anchors.sheet import Sheet
from selfreward.errors import DataError


@dataclass(frozen=True, slots=True)
class Settled:
    """`labels` by row id. `doubles` are (row id, one annotator's, another's) for every pair of annotators of a row.

    `waiting` rows are disputed and not adjudicated, `unlabelled` ones nobody filled in.
    """

    labels: dict[str, int]
    doubles: list[tuple[str, int, int]]
    waiting: tuple[str, ...]
    adjudicated: int
    unlabelled: int


def settle(key: Key, sheets: Sequence[Sheet], adjudicated: Sheet | None = None) -> Settled:
    """One label per row. Raises DataError where nothing is labelled, or an agreed row is adjudicated."""
    given: defaultdict[str, list[int]] = defaultdict(list)
    for sheet in sheets:
        for name, label in sheet.labels.items():
            given[name].append(label)
    if not given:
        raise DataError(
            f"{', '.join(sheet.name for sheet in sheets)}: no row has a label ({sum(s.empty for s in sheets)} are "
            "empty); fill in the column 'label'"
        )
    disputed = sorted(name for name, labels in given.items() if len(set(labels)) > 1)
    decided = adjudicated.labels if adjudicated else {}
    for name in decided:
        if name not in disputed and adjudicated:
            raise DataError(
                f"{adjudicated.name} ({name}): adjudicates a row about which the annotators do not disagree; expected "
                f"only the {len(disputed)} disputed rows; was a sheet left out?"
            )
    labels = {name: values[0] for name, values in given.items() if len(set(values)) == 1}
    return Settled(
        labels={**labels, **decided},
        doubles=[(name, *pair) for name, values in sorted(given.items()) for pair in combinations(values, 2)],
        waiting=tuple(name for name in disputed if name not in decided),
        adjudicated=len(decided),
        unlabelled=len(key.rows) - len(given),
    )
