"""What a changed judge changes: one frozen pool, judged by two versions of the judge, side by side.

The pool is the run's own labelled one, the weights are those that judged it after the given round. The first version is
the run's (its sealed rows), or any other; the second is the same recipe with keys of `judge` changed. Beside the two
stands the first version asked *again* with other seeds: what two such readings differ by is noise, not the change.

    agreement, kappa   over whole points; kappa with quadratic weights (i - j)², bootstrapped over prompts
    mean change        second minus first, paired, clustered by prompt
    order flips        pairs of answers to one prompt that both versions order, and order differently
    with the labels    rank correlation of each version with the pool's labels: a change is not yet an improvement
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from selfreward.errors import DataError, RecipeError
from selfreward.judging.judge import Judging
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.score import Score
from selfreward.measuring.metrics.judge.agreement import kappa, raw_agreement
from selfreward.measuring.pools import apart, pool_judging
from selfreward.measuring.stats.clustered import NOTHING, Estimate, clustered_mean, clustered_share
from selfreward.measuring.stats.resampling import clustered_bootstrap, clustered_spearman
from selfreward.recipe import JudgeRecipe, Recipe, as_dict
from selfreward.recipe.read import build_recipe
from selfreward.records import Judgment, Labelled, Rows, stable_id
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.store.run import Work
from selfreward.store.view import RunView

LARGEST = 10
POINTS = 6


@dataclass(frozen=True, slots=True)
class Version:
    """One reading of the pool. `templates` are the versions on its rows."""

    name: str
    templates: tuple[str, ...]
    scores: Mapping[str, float]
    unread: int
    with_labels: Estimate


@dataclass(frozen=True, slots=True)
class Difference:
    """The second reading against the first. `flipped`, `tied` and `untied` count pairs of one prompt, of `pairs`."""

    answers: int
    agreement: Estimate
    kappa: Estimate
    mean_change: Estimate
    changed: int
    pairs: int
    flipped: int
    tied: int
    untied: int
    flip_share: Estimate


@dataclass(frozen=True, slots=True)
class Changed:
    prompt: str
    answer: str
    label: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class JudgeDiff:
    run: str
    round: int
    first: Version
    second: Version
    difference: Difference
    noise: Difference | None
    largest: tuple[Changed, ...]

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False)


def changed_recipe(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """The recipe with keys of its judge changed. Raises RecipeError for a key that is not the judge's."""
    for change in changes:
        if change.startswith("judge."):
            raise RecipeError(f"{change!r}: the keys here are the judge's own; leave out 'judge.'")
    return build_recipe([as_dict(recipe)], [f"judge.{change}" for change in changes], where="judge-diff")


def judge_diff(
    view: RunView, number: int, changes: Sequence[str], against: Sequence[str] = (), *, again: bool = True
) -> JudgeDiff:
    """Judge the frozen pool of a run under two versions. `against` changes the first one; empty, it is the run's.

    Raises DataError where the run has no frozen pool, RecipeError where both versions are the same.
    """
    recipe = view.recipe()
    first, second = changed_recipe(recipe, against), changed_recipe(recipe, changes)
    if first.judge == second.judge:
        raise RecipeError("both versions of the judge are the same; change a key, such as question.template=additive")
    # Choosing a judge by the locked labels would be steering by them.
    frozen = apart(view.read(0, "frozen", Labelled))[0]
    if not frozen:
        raise DataError(f"run {view.name!r}: its frozen pool is empty (measure.frozen=0); nothing can be judged again")
    readings: list[tuple[JudgeRecipe, list[Judgment]]] = []
    for name, wanted in (("first", first), ("second", second)):
        sealed = wanted is first and not against
        rows = (
            view.read(number, "frozen_judgments", Judgment) if sealed else _judged(view, wanted, number, frozen, name)
        )
        readings.append((pool_judging(wanted), rows))
    one, other = (_version(judge, rows, frozen) for judge, rows in readings)
    noise = None
    if again:
        repeated = _version(readings[0][0], _judged(view, first, number, frozen, "again"), frozen)
        noise = difference(one.scores, repeated.scores, frozen)
    found = difference(one.scores, other.scores, frozen)
    return JudgeDiff(view.name, number, one, other, found, noise, _largest(one.scores, other.scores, frozen))


def _judged(view: RunView, recipe: Recipe, number: int, frozen: Sequence[Labelled], name: str) -> list[Judgment]:
    """The judgments of the pool by the policies of the run; nothing is written."""

    def compute(work: Work[Any, Any]) -> Rows[Any]:
        rows = [row for index, chunk in enumerate(work.chunks) for row in work.compute(chunk, index)]
        return Rows(rows, stable_id(work.artifact, len(rows)))

    cast = Cast(recipe, lambda policy, report: None)
    for earlier in range(number + 1):
        seal = view.seal(earlier, "checkpoint")
        digest = "" if seal is None else str(seal.facts["digest"])
        cast.policies.append(Policy(earlier, digest, view.directory(earlier) / "checkpoint"))
    try:
        # Another artifact name gives other seeds: the same version asked again is a fresh reading.
        judging = Judging(pool_judging(recipe), cast, compute, number, number + 1)
        prompts = {row.prompt.id: row.prompt for row in frozen}
        return judging.judge(prompts, [row.response for row in frozen], {}, f"judge_diff_{name}")
    finally:
        cast.close()


def _version(recipe: JudgeRecipe, rows: Sequence[Judgment], frozen: Sequence[Labelled]) -> Version:
    scores: Mapping[str, Score] = score_answers(rows, recipe)[0]
    known = [row for row in frozen if row.id in scores]
    values = [scores[row.id].value for row in known]
    rho = clustered_spearman(values, [row.label for row in known], [row.prompt.id for row in known])
    templates = tuple(sorted({row.template for row in rows}))
    name = ", ".join(template.partition("@")[0] for template in templates) + f" ({recipe.protocol})"
    return Version(name, templates, {row.id: scores[row.id].value for row in known}, len(frozen) - len(known), rho)


def difference(before: Mapping[str, float], after: Mapping[str, float], frozen: Sequence[Labelled]) -> Difference:
    """Two readings of the same answers, joined by id; what either could not read is left out."""
    both = [row for row in frozen if row.id in before and row.id in after]
    prompts = [row.prompt.id for row in both]
    changes = [after[row.id] - before[row.id] for row in both]
    cells = np.asarray([_point(before[row.id]) * POINTS + _point(after[row.id]) for row in both], dtype=np.intp)
    members: defaultdict[str, list[Labelled]] = defaultdict(list)
    for row in both:
        members[row.prompt.id].append(row)
    kinds: list[tuple[str, str]] = []
    for prompt_id, rows in members.items():
        for one, other in combinations(rows, 2):
            was, now = _order(before, one.id, other.id), _order(after, one.id, other.id)
            kind = "same" if was == now else "flipped" if was * now < 0 else "tied" if now == 0 else "untied"
            kinds.append((prompt_id, kind))
    flips = [float(kind == "flipped") for _, kind in kinds]
    counts = {kind: sum(each == kind for _, each in kinds) for kind in ("flipped", "tied", "untied")}
    return Difference(
        answers=len(both),
        agreement=clustered_bootstrap(raw_agreement, cells, prompts) if both else NOTHING,
        kappa=clustered_bootstrap(lambda tables: kappa(tables, 2), cells, prompts) if both else NOTHING,
        mean_change=clustered_mean(changes, prompts),
        changed=sum(math.fabs(change) > 1e-9 for change in changes),
        pairs=len(kinds),
        flipped=counts["flipped"],
        tied=counts["tied"],
        untied=counts["untied"],
        flip_share=clustered_share(flips, [prompt_id for prompt_id, _ in kinds]),
    )


def _order(scores: Mapping[str, float], one: str, other: str) -> int:
    return (scores[one] > scores[other]) - (scores[one] < scores[other])


def _point(value: float) -> int:
    return min(POINTS - 1, max(0, math.floor(value + 0.5)))


def _largest(
    before: Mapping[str, float], after: Mapping[str, float], frozen: Sequence[Labelled]
) -> tuple[Changed, ...]:
    both = [row for row in frozen if row.id in before and row.id in after and before[row.id] != after[row.id]]
    both.sort(key=lambda row: (-abs(after[row.id] - before[row.id]), row.id))
    return tuple(
        Changed(row.prompt.text, row.response.text, row.label, before[row.id], after[row.id]) for row in both[:LARGEST]
    )
