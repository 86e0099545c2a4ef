"""Stage: further judgments, of the answers only that may still become chosen or rejected (scoring/adaptive.py).

The first pass is an ordinary judging stage with `first` samples. Here a chunk holds whole prompts, each of them a
dialogue: what it is asked depends on its own verdicts alone. Engines that can go on with one prompt while others are
still being judged do so; others are asked in waves (engines/dialogues.py). Seeds count a prompt's own questions, so
that neither way nor the order of completion shows in the judgments.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from selfreward.engines.dialogues import hold
from selfreward.engines.protocol import Dialogue
from selfreward.judging.prompts.prompt import JudgePrompt, judge_prompt
from selfreward.judging.scoring.adaptive import Constants, estimate, next_questions
from selfreward.judging.stage import Stage
from selfreward.recipe import AdaptiveRecipe, JudgeRecipe, as_dict
from selfreward.records import Judgment, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles.player import Player
from selfreward.store.run import Work

T = TypeVar("T")

VERSION = 1


def first_pass(recipe: JudgeRecipe) -> JudgeRecipe:
    """The recipe of the judgments that everybody gets."""
    return recipe.drawing(recipe.samples)


@dataclass(frozen=True, slots=True)
class Race:
    """What decides who of a prompt is asked next: the recipe, the noise that was estimated, and the first judgments."""

    stage: Stage
    wording: JudgePrompt
    adaptive: AdaptiveRecipe
    constants: Constants
    first: Mapping[str, Sequence[Judgment]]

    def run(
        self, prompt: Prompt, members: Sequence[Response], wave_seed: Callable[[int], int], rows: list[Judgment]
    ) -> Dialogue:
        """One prompt's questions until it is settled; its judgments are added to `rows`."""
        stage, answers = self.stage, {answer.id: answer for answer in members}
        first = {name: self.first.get(name, ()) for name in answers}
        asked = {name: len(found) for name, found in first.items()}
        scores = {name: [row.score for row in found if row.score is not None] for name, found in first.items()}
        for wave in itertools.count():
            wanted = next_questions(scores, asked, self.constants, self.adaptive)
            if not wanted:
                return
            seed = wave_seed(wave)
            ids = {name: stage.name(name, asked[name]) for name in wanted}
            replies = yield [
                stage.request(ids[name], self.wording.ask(prompt, answers[name].text), 1, seed_for(seed, ids[name]))
                for name in wanted
            ]
            for name, (reply,) in zip(wanted, replies, strict=True):
                verdict, template = self.wording.read(prompt, reply), self.wording.asked_with(prompt)
                row = stage.judgment(ids[name], answers[name], asked[name], reply, verdict, seed, template=template)
                rows.append(row)
                asked[name] += 1
                if row.score is not None:
                    scores[name].append(row.score)


def judge_further(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    first: Rows[Judgment],
    recipe: JudgeRecipe,
    *,
    round: int,
    artifact: str,
) -> Work[Sequence[Response], Judgment]:
    """Work that yields the judgments after `first`; the noise that was estimated stands in its seal."""
    adaptive = recipe.adaptive
    assert adaptive is not None
    wording = judge_prompt(recipe)
    stage = Stage(player, recipe.sampling, round, artifact, wording.version)
    constants = estimate(first)
    race = Race(stage, wording, adaptive, constants, _by(first, lambda row: row.response_id))
    # A question that did not fit in the first pass does not fit later.
    too_long = {row.response_id for row in first if row.unreadable == "question too long"}
    waiting = _by([one for one in responses if one.id not in too_long], lambda one: one.prompt_id)
    units = [waiting[name] for name in sorted(waiting)]

    def compute(chunk: Sequence[Sequence[Response]], index: int) -> list[Judgment]:
        def wave_seed(wave: int) -> int:
            return stage.seed(index, wave)

        rows: list[list[Judgment]] = [[] for _ in chunk]
        races = [
            race.run(prompts[members[0].prompt_id], members, wave_seed, mine)
            for members, mine in zip(chunk, rows, strict=True)
        ]
        hold(player.hold(), races, wave_seed)
        return [row for mine in rows for row in mine]

    largest = max((len(unit) for unit in units), default=1)
    told = {
        "first": first.digest,
        "answers": stable_id([[one.id for one in unit] for unit in units]),
        "judge": {"adaptive": as_dict(adaptive), "sampling": as_dict(recipe.sampling)},
        "constants": {"noise": constants.noise, "prior": constants.prior, "sigma": constants.sigma},
    }
    # Two answers a side are asked in a wave, so this is about a chunk of replies at a time.
    replies, tokens = min(4, largest), recipe.sampling.max_tokens
    return stage.work(Judgment, units, compute, told, version=VERSION, replies=replies, tokens=tokens)


def _by(rows: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    grouped: defaultdict[str, list[T]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return dict(grouped)
