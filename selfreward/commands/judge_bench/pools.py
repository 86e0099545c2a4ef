"""What the judges are held against: pools of answers whose worth is known.

    sandbox            the sandbox's frozen pool, scored by its oracle
    RUN@ROUND          the policy's own answers of that round on the gate pool, graded by the run's verifier
    sampled:SET        answers that the model gives now to a set with a verifier (own:arithmetic, gsm8k:PATH, ...)
    anchors:PATH       answers that people scored from 0 to 5; the locked ones are left out
    rooms              trajectories of scripted agents in a small world with tools, scored by its oracle
    trajectories:PATH  finished trajectories of agents with tools (tasks/trajectories/rows.py)
    [KIND:]PATH        rows that people labelled (judge_calibration, truth_judge); each source is a pool of its own

The report and selection pools are never read: a judge is chosen by what this says.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.commands.probe.material import JUDGED, label_sets
from selfreward.commands.probe.models import Subject
from selfreward.errors import DataError
from selfreward.measuring.pools import apart
from selfreward.records import Labelled, Prompt, Response, Rows, distinct
from selfreward.roles.player import Player
from selfreward.roles.respond import answering
from selfreward.store.view import RunView
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.sandbox.source import SandboxSource
from selfreward.tasks.sets.sets import read_set, some
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier


@dataclass(frozen=True)
class LabelledPool:
    """`graded`: the labels are scores from 0 to 5, so that they can be compared over prompts.

    `calls`, of trajectories alone, are the labels of each one's calls, None where a call has none.
    """

    name: str
    rows: Sequence[Labelled]
    graded: bool = True
    calls: Mapping[str, tuple[bool | None, ...]] | None = None

    @property
    def prompts(self) -> list[Prompt]:
        return list({row.prompt.id: row.prompt for row in self.rows}.values())


ROOMS, TRAJECTORIES = "rooms", "trajectories:"
Complete = Callable[..., Rows[Any]]


def read_pools(
    names: Sequence[str], model: Subject, existing: Callable[[str], RunView], count: int | None
) -> list["LabelledPool | Sampled"]:
    """Every pool that the names mean; `count` prompts of each at most. Raises DataError where one is no pool."""
    found: list[LabelledPool | Sampled] = []
    for name in names:
        found += [_sampled(name, count)] if name.startswith("sampled:") else _stored(name, model, existing, count)
    for pool in found:
        if not pool.prompts:
            raise DataError(f"pool {pool.name!r} has no labelled answer; nothing can be judged")
    return found


def _stored(name: str, model: Subject, existing: Callable[[str], RunView], count: int | None) -> list[LabelledPool]:
    if name == "sandbox":
        measure = dataclasses.replace(model.recipe.measure, anchors=None, frozen=max(model.recipe.measure.frozen, 2))
        rows = SandboxSource(dataclasses.replace(model.recipe, measure=measure)).frozen()
        return [_cut("sandbox", rows, count)]
    if name == ROOMS or name.startswith(TRAJECTORIES):
        from selfreward.commands.judge_bench.trajectories import trajectory_pools

        return trajectory_pools(name, count)
    if name.startswith("anchors:"):
        return [_cut(name, apart(read_anchors(name.removeprefix("anchors:")))[0], count)]
    run, _, number = name.rpartition("@")
    if run and not Path(name).exists():
        return [_cut(name, of_round(existing(run), number), count)]
    found = read_set(name)
    if found.kind not in JUDGED:
        raise DataError(
            f"pool {name!r} is of the kind {found.kind!r}, which labels no answers; expected sandbox, RUN@ROUND, "
            f"sampled:SET, anchors:PATH, rooms, trajectories:PATH or a file of {' or '.join(JUDGED)}"
        )
    return [LabelledPool(one.name, one.rows, graded=False) for one in label_sets(found, count)]


def _cut(name: str, rows: Sequence[Labelled], count: int | None) -> LabelledPool:
    prompts = list({row.prompt.id: row.prompt for row in rows}.values())
    kept = {prompt.id for prompt in some(prompts, count)}
    return LabelledPool(name, [row for row in rows if row.prompt.id in kept])


def of_round(view: RunView, number: str) -> list[Labelled]:
    """The answers on the gate pool that the run's verifier decides, equal ones of a prompt once."""
    if not number.isdecimal():
        raise DataError(f"pool {view.name}@{number}: expected RUN@ROUND with the number of a round")
    measure = view.recipe().measure
    named = measure.verifier
    if named == "none":
        raise DataError(f"pool {view.name}@{number}: the run has no verifier (measure.verifier=none), so no truth")
    prompts = {row.id: row for row in view.read(0, "pools", Prompt) if row.pool == "gate"}
    responses = [row for row in view.read(int(number), "eval_responses", Response) if row.prompt_id in prompts]
    return verified(list(prompts.values()), responses, load_verifier(named, measure.code))


def verified(prompts: Sequence[Prompt], responses: Sequence[Response], verifier: Verifier) -> list[Labelled]:
    asked = {prompt.id: prompt for prompt in prompts}
    checked = [(row, verifier.check(asked[row.prompt_id], row.text)) for row in distinct(responses)]
    return [Labelled(asked[row.prompt_id], row, truth.quality) for row, truth in checked if not truth.open]


@dataclass(frozen=True)
class Sampled:
    """Prompts whose answers are still to be sampled."""

    name: str
    prompts: Sequence[Prompt]
    verifier: str

    def pool(self, player: Player, model: Subject, complete: Complete) -> LabelledPool:
        asked = Rows(self.prompts, self.name)
        responses = complete(answering(player, asked, model.recipe.generate, round=0, artifact=f"answers {self.name}"))
        return LabelledPool(self.name, verified(self.prompts, responses, load_verifier(self.verifier)))


def _sampled(name: str, count: int | None) -> Sampled:
    found = read_set(name.removeprefix("sampled:"))
    if found.verifier == "none":
        raise DataError(f"pool {name!r}: no verifier reads answers to a set of the kind {found.kind!r}")
    verifier, prompts = load_verifier(found.verifier), some(found.prompts, count)
    for prompt in prompts:
        verifier.require(prompt)
    return Sampled(name, prompts, found.verifier)
