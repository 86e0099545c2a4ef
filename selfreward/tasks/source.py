"""Where a run's prompts come from: the sandbox's own world, the English one, or the user's files. All is pure."""

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from selfreward.errors import DataError, RecipeError
from selfreward.recipe import FileSource as FileRecipe
from selfreward.recipe import Recipe, asked_per_round
from selfreward.recipe import SandboxSource as SandboxRecipe
from selfreward.recipe.doors import is_foreign
from selfreward.records import Labelled, Message, Pool, Prompt, Response, seed_for, stable_id
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.english.requests import draw_requests
from selfreward.tasks.overlap import RUN
from selfreward.tasks.prompts_file import draw_pools, draw_training
from selfreward.tasks.responses_file import Answered, of_round, read_responses
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials, demonstrate
from selfreward.tasks.sandbox.pools import judge_pool, prompt_pool
from selfreward.tasks.sandbox.tasks import Task, parse_task

EXAMPLES = 200
"""Prompts that may be shown where new ones are written."""
EVALUATION_POOLS: tuple[Pool, ...] = ("gate", "selection", "report")


class Source(Protocol):
    @property
    def overlap_words(self) -> int | None:
        """How many words in a row make two prompts overlap; None where only equal texts do."""
        ...

    def training(self, round: int, count: int) -> list[Prompt]:
        """`count` fresh prompts for `round` (from 1); the same for equal seeds, disjoint between rounds.

        A larger `count` than a round's goes on with the next rounds' prompts: from round 1 it gives those of all.
        """
        ...

    def pools(self) -> list[Prompt]:
        """The prompts of the three evaluation pools."""
        ...

    def frozen(self) -> list[Labelled]:
        """Answers with known scores that every round's judge rescores; empty where there are none."""
        ...

    def examples(self) -> list[str]:
        """Prompt texts that may be shown to the model when it writes new prompts."""
        ...

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        """Seed demonstrations for the control `train.method=sft`."""
        ...

    def preferences(self, round: int, count: int) -> list[Prompt]:
        """Prompts on whose answers a reward model is trained after `round`; the policy may be trained on them too."""
        ...

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """The given answers by prompt id, where there are any (SPIN's chosen side)."""
        ...


def open_source(recipe: Recipe) -> Source:
    """The source that the recipe names. Raises RecipeError or DataError before anything expensive starts."""
    if recipe.generate.source is not None:
        return AnsweredSource(_source(recipe), recipe, read_responses(recipe.generate.source))
    return _source(recipe)


def _source(recipe: Recipe) -> Source:
    prompts, measured = recipe.prompts.source, recipe.measure.source
    if recipe.generate.source is not None or not asked_per_round(recipe):
        if not isinstance(prompts, SandboxRecipe):
            raise RecipeError(
                "key 'prompts.source' is not read: all that is trained on is given, and no prompt of its is asked; "
                "remove it"
            )
        prompts = measured  # which nothing is trained on: no prompt of a source of their own is asked for
    if prompts.kind == "sandbox" and measured.kind == "sandbox":
        if recipe.measure.verifier not in ("sandbox", "none") and not is_foreign(recipe.measure.verifier):
            raise RecipeError(
                f"key 'measure.verifier' is {recipe.measure.verifier!r}, but the sandbox's prompts have no gold "
                "answers on a row; expected sandbox or none"
            )
        return SandboxSource(recipe)
    if prompts.kind != measured.kind:
        raise RecipeError(
            f"keys 'prompts.source' and 'measure.source': one is {prompts.kind!r} and the other {measured.kind!r}; "
            "expected both alike"
        )
    if recipe.measure.verifier == "sandbox":
        raise RecipeError(
            "key 'measure.verifier' is 'sandbox', but the prompts come from a file; set it to none, or to "
            "a verifier that reads the rows' answers"
        )
    if prompts.kind == "english":
        if recipe.measure.verifier not in ("ifeval", "none") and not is_foreign(recipe.measure.verifier):
            raise RecipeError(
                f"key 'measure.verifier' is {recipe.measure.verifier!r}, but the English prompts bring IFEval's "
                "instructions; expected ifeval or none"
            )
        return EnglishSource(recipe)
    assert isinstance(prompts, FileRecipe) and isinstance(measured, FileRecipe)  # one kind, and no other is left
    return FileSource(recipe, prompts, measured)


def prompt_id(messages: tuple[Message, ...]) -> str:
    return stable_id("prompt", [(message.role, message.content) for message in messages])


@dataclass(frozen=True)
class SandboxSource:
    """Tasks of the synthetic world. They are so alike that only equality tells two apart."""

    recipe: Recipe
    overlap_words: int | None = None

    @staticmethod
    def _prompt(task: Task, pool: Pool) -> Prompt:
        messages = (Message("user", task.text),)
        return Prompt(prompt_id(messages), messages, pool, source="sandbox", cohort=task.family)

    def training(self, round: int, count: int) -> list[Prompt]:
        first = (round - 1) * self.recipe.prompts.per_round
        tasks = prompt_pool("train", max(round * self.recipe.prompts.per_round, first + count), seed=self.recipe.seed)
        return [self._prompt(task, "train") for task in tasks[first : first + count]]

    def pools(self) -> list[Prompt]:
        measure = self.recipe.measure
        tasks = {
            "gate": prompt_pool("gate", measure.gate),
            "selection": prompt_pool("selection", measure.selection),
            "report": prompt_pool("report", measure.report),
        }
        return [self._prompt(task, pool) for pool in EVALUATION_POOLS for task in tasks[pool]]

    def frozen(self) -> list[Labelled]:
        if self.recipe.measure.anchors:
            return read_anchors(self.recipe.measure.anchors)
        rows = []
        for number, (task, reply, score) in enumerate(judge_pool(self.recipe.measure.frozen)):
            prompt = self._prompt(task, "frozen")
            response = Response(
                id=stable_id("frozen", prompt.id, number),
                prompt_id=prompt.id,
                sample=number,
                policy="demonstrator",
                text=reply,
                reasoning="",
                token_ids=(),
                finish_reason="stop",
                seed=0,
                template="frozen",
            )
            rows.append(Labelled(prompt, response, float(score)))
        return rows

    def examples(self) -> list[str]:
        return [task.text for task in prompt_pool("train", 200, seed=seed_for("examples", self.recipe.seed))]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        rng = random.Random(seed_for("demonstrations", self.recipe.seed, round))
        tasks = prompt_pool("train", count, seed=seed_for("demonstrated", self.recipe.seed, round))
        return [(self._prompt(task, "train"), demonstrate(task, rng, DemonstratorDials())) for task in tasks]

    def preferences(self, round: int, count: int) -> list[Prompt]:
        tasks = prompt_pool("train", count, seed=seed_for("preferences", self.recipe.seed, round))
        return [self._prompt(task, "train") for task in tasks]

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """What the demonstrator, who is right about half the time, answers. Prompts that are no task have none."""
        answers = {}
        for prompt in prompts:
            task = parse_task(prompt.text)
            if task is not None:
                rng = random.Random(seed_for("gold", self.recipe.seed, prompt.id))
                answers[prompt.id] = demonstrate(task, rng, DemonstratorDials())
        return answers


@dataclass(frozen=True)
class EnglishSource:
    """Drawn requests. They share requests and wordings by design, and topics never: only equality tells two apart."""

    recipe: Recipe
    overlap_words: int | None = None

    def training(self, round: int, count: int) -> list[Prompt]:
        per_round = self.recipe.prompts.per_round
        first = (round - 1) * per_round
        return draw_requests("train", round * per_round, "train", self.recipe.seed)[first : first + count]

    def pools(self) -> list[Prompt]:
        measure = self.recipe.measure
        sizes: dict[Pool, int] = {"gate": measure.gate, "selection": measure.selection, "report": measure.report}
        pool_of = [pool for pool in EVALUATION_POOLS for _ in range(sizes[pool])]
        drawn = draw_requests("held_out", len(pool_of), "report")
        return [dataclasses.replace(prompt, pool=pool) for prompt, pool in zip(drawn, pool_of, strict=True)]

    def frozen(self) -> list[Labelled]:
        return read_anchors(self.recipe.measure.anchors) if self.recipe.measure.anchors else []

    def examples(self) -> list[str]:
        return [prompt.text for prompt in draw_requests("train", 200, "train", self.recipe.seed)]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        raise RecipeError("train.method=sft needs demonstrations, which the English prompts do not have")

    def preferences(self, round: int, count: int) -> list[Prompt]:
        return draw_requests("train", count, "train", seed_for("preferences", self.recipe.seed, round))

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class FileSource:
    """Training prompts from `prompts.source`, evaluation pools by hash from `measure.source`."""

    recipe: Recipe
    trained: FileRecipe
    measured: FileRecipe
    overlap_words: int | None = RUN

    @cached_property
    def _training(self) -> list[Prompt]:
        need = self.recipe.rounds * self.recipe.prompts.per_round
        prompts, there = draw_training(self.trained, self.recipe.seed, max(need, EXAMPLES))
        if there < need:
            raise DataError(
                f"{self.trained.path}: {there} prompts; expected at least rounds x prompts.per_round = {need}, so that "
                "every round has fresh ones; lower prompts.per_round or rounds, or add prompts"
            )
        return prompts

    def training(self, round: int, count: int) -> list[Prompt]:
        if not count:
            return []
        first = (round - 1) * self.recipe.prompts.per_round
        return self._training[first : first + count]

    @cached_property
    def _pools(self) -> list[Prompt]:
        measure = self.recipe.measure
        sizes: dict[Pool, int] = {"gate": measure.gate, "selection": measure.selection, "report": measure.report}
        pools = draw_pools(self.measured, sizes)
        return [prompt for pool in EVALUATION_POOLS for prompt in pools[pool]]

    def pools(self) -> list[Prompt]:
        return list(self._pools)

    def frozen(self) -> list[Labelled]:
        return read_anchors(self.recipe.measure.anchors) if self.recipe.measure.anchors else []

    def examples(self) -> list[str]:
        return [prompt.text for prompt in self._training[:EXAMPLES]]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        raise RecipeError("train.method=sft needs demonstrations, which a prompt file does not have")

    def preferences(self, round: int, count: int) -> list[Prompt]:
        if count > len(self._training):
            raise DataError(
                f"{self.trained.path}: {len(self._training)} prompts; reward_model.prompts is {count}; lower it, or "
                "add prompts"
            )
        return random.Random(seed_for("preferences", self.recipe.seed, round)).sample(self._training, count)

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {prompt.id: prompt.answer for prompt in prompts if prompt.answer is not None}


@dataclass(frozen=True)
class AnsweredSource:
    """Training prompts from a file that has their responses (`generate.source`), all else as `measured` has it."""

    measured: Source
    recipe: Recipe
    rows: Sequence[Answered]

    @property
    def overlap_words(self) -> int | None:
        return self.measured.overlap_words

    def training(self, round: int, count: int) -> list[Prompt]:
        per_round = self.recipe.prompts.per_round
        need = self.recipe.rounds * per_round
        if len(self.rows) < need:
            raise DataError(
                f"{self.recipe.generate.source}: {len(self.rows)} prompts with responses; expected at least rounds x "
                f"prompts.per_round = {need}, so that every round has fresh ones; lower prompts.per_round or rounds"
            )
        return [row.prompt for row in of_round(self.rows, self.recipe.seed, round, count, per_round)]

    def pools(self) -> list[Prompt]:
        return self.measured.pools()

    def frozen(self) -> list[Labelled]:
        return self.measured.frozen()

    def examples(self) -> list[str]:
        return []

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        return self.measured.demonstrations(round, count)

    def preferences(self, round: int, count: int) -> list[Prompt]:
        return self.measured.preferences(round, count)

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {prompt.id: prompt.answer for prompt in prompts if prompt.answer is not None}


def by_pool(prompts: Sequence[Prompt]) -> dict[str, list[Prompt]]:
    """Prompts grouped by the pool they belong to."""
    pools: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        pools.setdefault(prompt.pool, []).append(prompt)
    return pools
