"""How much work a kill costs: chunks follow from the input list and the recipe, in replies and in tokens."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from evidence_factory import response

from selfreward.errors import RecipeError
from selfreward.judging.expected import judge_expected
from selfreward.judging.pointwise import judge_pointwise
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe
from selfreward.records import Message, Prompt, Rows
from selfreward.roles.cast import Cast
from selfreward.roles.player import Player, Policy
from selfreward.roles.respond import answering


def recipe(*changes: str) -> Recipe:
    return build_recipe([], list(changes))


def player(recipe: Recipe) -> Player:
    return Cast(recipe, lambda policy, report: None).player(Policy(0, "digest", Path("nowhere")))


def prompts(count: int) -> Rows[Prompt]:
    return Rows([Prompt(f"p{n}", (Message("user", "say it"),), "train", "file") for n in range(count)], "digest")


def sizes(work: Any) -> list[int]:
    return [len(chunk) for chunk in work.chunks]


def test_a_real_models_chunk_is_full_batches_of_about_two_minutes() -> None:
    """6 replies of at most 80 tokens: 49,152 tokens are those of 102 prompts, at 400 a second two minutes."""
    chosen = recipe("generate.samples=6", "generate.sampling.max_tokens=80")
    assert sizes(answering(player(chosen), prompts(120), chosen.generate, round=1)) == [102, 18]
    longer = recipe("generate.samples=6", "generate.sampling.max_tokens=4096")
    assert set(sizes(answering(player(longer), prompts(9), longer.generate, round=1))) == {1, 2}


def test_the_key_bounds_the_tokens_and_reaches_the_fingerprint() -> None:
    chosen = recipe("engine.chunk_tokens=4000", "generate.samples=5", "generate.sampling.max_tokens=40")
    work = answering(player(chosen), prompts(50), chosen.generate, round=1)
    assert sizes(work) == [20, 20, 10]
    assert work.made_from["engine"]["chunk_tokens"] == 4000
    whole = recipe("engine.chunk_tokens=1", "generate.samples=5")
    assert sizes(answering(player(whole), prompts(3), whole.generate, round=1)) == [1, 1, 1]
    with pytest.raises(RecipeError, match="chunk_tokens"):
        recipe("engine.chunk_tokens=0")


def test_the_sandbox_and_other_engines_have_the_chunks_that_they_had() -> None:
    for chosen in (recipe(), recipe("engine.kind=vllm", "generate.sampling.max_tokens=1024", "engine.chunk=4096")):
        work = answering(player(chosen), prompts(3000), chosen.generate, round=1)
        assert sizes(work)[0] == chosen.engine.chunk // chosen.generate.samples


def test_a_judge_that_only_reads_is_cut_by_what_it_reads() -> None:
    asked = prompts(200)
    short = [response(prompt, 0, "fine") for prompt in asked]
    long = [*short[:-1], dataclasses.replace(short[-1], text="x" * 4000)]
    by_id = {prompt.id: prompt for prompt in asked}
    chosen = recipe("judge.reading=probability")

    def work(responses: list[Any]) -> Any:
        return judge_expected(player(chosen), by_id, responses, chosen.judge, made_from={}, round=1)

    assert sizes(work(short)) == [200]
    assert sizes(work(long)) == [49, 49, 49, 49, 4]  # 49,152 over the longest, 1,002
    spoken = recipe("judge.aggregate.samples=4", "judge.reading.sampling.max_tokens=256")
    assert sizes(judge_pointwise(player(spoken), by_id, short, spoken.judge, made_from={}, round=1)) == [
        48,
        48,
        48,
        48,
        8,
    ]
