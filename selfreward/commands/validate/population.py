"""A policy and a judge whose truth is known, made of the rows of one real run: draw from it as often as wanted.

The policy of a round is the empirical distribution of its stored answers to each prompt, and its judge that of the
stored scores of each answer. Answers are drawn with putting back, so that two rounds drawn from one policy differ by
chance alone, and nothing else of them (what a prompt is like, how answers and scores hang together) is made up. Equal
texts of a prompt are judged once, as in a run.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from selfreward.measuring.evidence import PoolRows
from selfreward.records import Judgment, Labelled, Likelihood, Pool, Prompt, Response
from selfreward.store.view import RunView

SAMPLES, SCORES = 6, 3
"""Answers to a prompt and scores of an answer in a drawn round, as recipes have them."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer and the scores it may get; `ratio` is log p_now - log p_initial of its tokens, empty where unknown."""

    prompt: Prompt
    text: str
    token_ids: tuple[int, ...]
    finish: str
    scores: tuple[float | None, ...]
    ratio: tuple[float, ...] = ()


@dataclass(frozen=True)
class Population:
    """`answers` by round and prompt id; `frozen_scores` of the frozen answers by round and their id."""

    prompts: Sequence[Prompt]
    answers: Sequence[Mapping[str, Sequence[Said]]]
    frozen: Sequence[Labelled]
    frozen_scores: Sequence[Mapping[str, Sequence[float | None]]]

    @cached_property
    def by_task(self) -> Mapping[str, list[Labelled]]:
        found: dict[str, list[Labelled]] = defaultdict(list)
        for row in self.frozen:
            found[row.prompt.id].append(row)
        return found

    def some_prompts(self, count: int, generator: random.Random, pool: Pool = "report") -> list[Prompt]:
        return [replace(prompt, pool=pool) for prompt in generator.sample(list(self.prompts), count)]

    def some_frozen(self, prompts: int, generator: random.Random) -> list[Labelled]:
        """All labelled answers of some prompts."""
        names = generator.sample(sorted(self.by_task), min(prompts, len(self.by_task)))
        return [row for name in names for row in self.by_task[name]]

    def draw(
        self, round: int, prompts: Sequence[Prompt], generator: random.Random, samples: int = SAMPLES
    ) -> list[Said]:
        """Answers of this round's policy, by prompt."""
        known = self.answers[round]
        return [
            replace(said, prompt=prompt)
            for prompt in prompts
            for said in generator.choices(known[prompt.id], k=samples)
        ]


def read_population(run: Path) -> Population:
    """The report pool of a run's rounds, with what each round's judge said of it and of the frozen answers."""
    view = RunView(run)
    prompts = [prompt for prompt in view.read(0, "pools", Prompt) if prompt.pool == "report"]
    answers, frozen_scores = [], []
    for number in view.rounds():
        answers.append(_answers(view, number, {prompt.id: prompt for prompt in prompts}))
        scored: dict[str, list[float | None]] = defaultdict(list)
        for judgment in view.read(number, "frozen_judgments", Judgment):
            scored[judgment.response_id].append(judgment.score)
        frozen_scores.append(scored)
    return Population(prompts, answers, view.read(0, "frozen", Labelled), frozen_scores)


def _answers(view: RunView, number: int, prompts: Mapping[str, Prompt]) -> dict[str, list[Said]]:
    responses = [row for row in view.read(number, "eval_responses", Response) if row.prompt_id in prompts]
    text_of = {row.id: row.text for row in responses}
    scored: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for judgment in view.read(number, "eval_judgments", Judgment):
        if judgment.response_id in text_of:
            scored[judgment.prompt_id, text_of[judgment.response_id]].append(judgment.score)
    sides = [
        {row.response_id: row.logprobs for row in view.read(number, f"likelihoods_{name}", Likelihood)}
        if number
        else {}
        for name in ("policy", "initial")
    ]
    found: dict[str, list[Said]] = defaultdict(list)
    for row in responses:
        both = [side.get(row.id, ()) for side in sides]
        found[row.prompt_id].append(
            Said(
                prompt=prompts[row.prompt_id],
                text=row.text,
                token_ids=row.token_ids,
                finish=row.finish_reason,
                scores=tuple(scored[row.prompt_id, row.text]),
                ratio=tuple(now - then for now, then in zip(*both, strict=True)),
            )
        )
    return found


def pool_rows(said: Sequence[Said], generator: random.Random, name: str, scores: int = SCORES) -> PoolRows:
    """Answers as a round's rows: samples numbered within a prompt, every distinct text scored `scores` times."""
    numbers: dict[str, int] = defaultdict(int)
    responses, judgments, judged = [], [], set()
    for one in said:
        sample = numbers[one.prompt.id]
        numbers[one.prompt.id] += 1
        response = response_of(one, sample, name)
        responses.append(response)
        if (one.prompt.id, one.text) not in judged and one.scores:
            judged.add((one.prompt.id, one.text))
            judgments += judgments_of(response, generator.choices(one.scores, k=scores))
    prompts = {one.prompt.id: one.prompt for one in said}
    return PoolRows(list(prompts.values()), responses, judgments)


def response_of(said: Said, sample: int, name: str) -> Response:
    return Response(
        id=f"{name}/{said.prompt.id}/{sample}",
        prompt_id=said.prompt.id,
        sample=sample,
        policy=name,
        text=said.text,
        reasoning="",
        token_ids=said.token_ids,
        finish_reason="length" if said.finish == "length" else "stop",
        seed=0,
        template="plain",
    )


def judgments_of(response: Response, scores: Sequence[float | None], about: str = "") -> list[Judgment]:
    """One judgment for each score; None is an unreadable one."""
    return [
        Judgment(
            id=f"{response.id}{about}/judgment-{number}",
            response_id=response.id,
            prompt_id=response.prompt_id,
            sample=number,
            judge="judge",
            text="" if score is None else f"; Score: {score:.0f}",
            token_ids=(1,),
            finish_reason="stop",
            seed=0,
            template="sandbox",
            score=score,
            unreadable="no verdict" if score is None else None,
        )
        for number, score in enumerate(scores)
    ]
