"""Prompts of the sandbox's own world."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.recipe import Recipe
from selfreward.recipe import SandboxSource as SandboxPrompts
from selfreward.records import Labelled, Message, Pool, Prompt, Response, seed_for, stable_id
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials, demonstrate
from selfreward.tasks.sandbox.pools import judge_pool, prompt_pool
from selfreward.tasks.sandbox.questions import checklist
from selfreward.tasks.sandbox.tasks import Task, parse_task
from selfreward.tasks.source import EVALUATION_POOLS, prompt_id


@dataclass(frozen=True)
class SandboxSource:
    """Tasks of the synthetic world. They are so alike that only equality tells two apart."""

    recipe: Recipe
    overlap_words: int | None = None

    def _prompt(self, task: Task, pool: Pool) -> Prompt:
        messages, source, meta = (Message("user", task.text),), self.recipe.prompts.source, {}
        if isinstance(source, SandboxPrompts) and source.checklists:
            meta = {"rubric": [{"name": one.name, "text": one.text} for one in checklist(task)]}
        return Prompt(prompt_id(messages), messages, pool, source="sandbox", cohort=task.family, meta=meta)

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
