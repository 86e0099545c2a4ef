"""What is said of a number where it is measured: words, family, scale, what it is where nothing happens, its alarms.

Every file of `policy/` and `judge/` holds `ABOUT` and `measure`. Report, docs, `validate` and the checks of a recipe
collect from there, so that a new metric is one file and its test.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from selfreward.measuring.metrics.worries import Worry
from selfreward.recipe.train import Learns

SHARE, POINTS, CORRELATION, COUNT = (0.0, 1.0), (0.0, 5.0), (-1.0, 1.0), (0.0, float("inf"))
"""Scales: the least and the greatest value."""


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that answer one question about a run; `metrics` maps each to what it is called for people, in order."""

    name: str
    question: str
    metrics: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Planted:
    """A dial of `selfreward validate` that moves the metric `way` (1 up, -1 down).

    `where` tells rows of one name apart: the pool, unless it is that of every metric, and the cohort.
    """

    dial: str
    way: int
    where: str = ""


def up(dial: str, where: str = "") -> Planted:
    return Planted(dial, 1, where)


def down(dial: str, where: str = "") -> Planted:
    return Planted(dial, -1, where)


Truth = Literal["", "oracle", "labels", "verifier"]
"""An oracle's, so that no gate may read it; that of the labels, which is an oracle's unless people gave them and the
row is about the frozen pool; that of a verifier which a user has; or nobody's."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a round. Without a family it is shown among the others, under its own name.

    `still` is its value where policy and judge are what they were (a change's is 0), `guessed` where scores, verdicts
    and pairs are drawn by lot; None where it has none. A p-value says so. No interval leaves its `scale`.
    `truth` says whose knowledge its rows are, `needs` which key of the recipe has to be set for there to be any, and
    `pools` which of those that a gate may name they are about (`report` is none of these). `learns` names what a method
    of training has to learn from (`LEARNS` of its section) for there to be any, and `by_cohort` whether rows are about
    one cohort, principle or reason beside all together, or only so.
    """

    name: str
    words: str = ""
    family: Family | None = None
    _: KW_ONLY
    still: float | None = None
    guessed: float | None = None
    p_value: bool = False
    truth: Truth = ""
    needs: str = ""
    pools: tuple[str, ...] = ()
    learns: tuple[Learns, ...] = ()
    by_cohort: Literal["never", "also", "only"] = "never"
    scale: tuple[float, float] | None = None
    planted: tuple[Planted, ...] = ()
    worries: tuple[Worry, ...] = ()
    plotted: bool = True

    @property
    def null(self) -> float | None:
        """`still`, of a change or a trend too."""
        return 0.0 if self.name.endswith(("_change", "_trend")) else self.still


@dataclass(frozen=True, slots=True)
class About:
    """A file of metrics: the name that measurements are known by, and its numbers in the order of the report.

    Raise `version` when numbers change for equal rows: measurements are known by the names and versions of their
    metrics, and not by where the files lie. `after` is the metric of another file that they stand behind in their
    family, whose end it is otherwise. `needs` and `pools` are those of all its numbers which name none.
    """

    name: str
    metrics: tuple[Metric, ...]
    version: int = 1
    after: str = ""
    needs: str = ""
    pools: tuple[str, ...] = ("gate",)
