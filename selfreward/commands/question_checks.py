"""Is everything that will be asked whole and short enough? Asked of the tokenizers alone, before a run begins.

Prompts must leave room for their answers. A judge's question holds a prompt and an answer whose length nobody knows
yet: where not even an empty answer fits, the run is refused; where the longest possible one does not, a line says so,
and such answers get the unreadable verdict "question too long" (judging/asking.py).
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.engines.template_checks import require_whole
from selfreward.errors import DataError, RecipeError
from selfreward.judging.prompts import listwise as judge_listwise
from selfreward.judging.prompts import pairwise as judge_pairwise
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.recipe import JudgeRecipe, Recipe, Revising, Steps, asked_per_round, constitution_of, held_out_judge
from selfreward.records import Message, Prompt
from selfreward.roles import generator

ALLOWED = re.compile(r"\bat most (\d+) words")
LONGEST = 8
"""How many of the longest prompts are put into a judge's question: what is around them is the same for all."""

_POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


def check_prompts(recipe: Recipe, renderer: ChatRenderer, directory: Path, prompts: Sequence[Prompt]) -> list[int]:
    """The tokens of every prompt. Raises DataError for a template that loses text and for prompts without room.

    Here and not when the model is first asked: by then the run has a sealed copy, which must not be corrected by hand.
    """
    questions = [generator.ask(recipe.generate.template, prompt) for prompt in prompts]
    require_whole(renderer, ([message.role for message in question] for question in questions))
    context = context_length(directory, recipe.engine.max_length)
    lengths = [len(tokens) for tokens in renderer.prompt_token_ids(questions)]
    for prompt, length in zip(prompts, lengths, strict=True):
        key, answer = answer_tokens(recipe, prompt)
        if length > context - answer:
            raise DataError(
                f"prompt {prompt.id} ({prompt.text[:40]!r}...) has {length} tokens; expected at most "
                f"{context - answer}, which is the context of {context} less {key} ({answer}); shorten the prompt or "
                "lower max_tokens"
            )
    return lengths


def answer_tokens(recipe: Recipe, prompt: Prompt) -> tuple[str, int]:
    """The key that bounds the answer to this prompt, and its value: training's, or that of what is measured."""
    trained = prompt.pool == "train"
    sampling = recipe.generate.sampling if trained else recipe.measure.sampling
    return f"{'generate' if trained else 'measure'}.sampling.max_tokens", sampling.max_tokens


def require_room(recipe: Recipe, directory: Path) -> None:
    """Raise RecipeError where what a local role may write is as long as the whole context of the start policy."""
    writer, context = recipe.prompts.writer, context_length(directory, recipe.engine.max_length)
    asked = {
        "generate": recipe.generate.sampling if asked_per_round(recipe) else None,
        "measure": recipe.measure.sampling,
        "judge.reading": recipe.judge.sampling if recipe.judge.model.of_run else None,
        "meta": recipe.meta.sampling if recipe.meta.enabled and recipe.meta.model.of_run else None,
        "prompts.writer": writer.sampling if writer.share and writer.model.of_run else None,
    }
    if isinstance(recipe.pairs, Revising) and recipe.pairs.revise.model.of_run:
        asked["pairs.revise"] = recipe.pairs.revise.sampling
    for section, sampling in asked.items():
        if sampling is not None and sampling.max_tokens >= context:
            raise RecipeError(
                f"key '{section}.sampling.max_tokens' is {sampling.max_tokens}; expected at most {context - 1}: the "
                f"context of {directory.name} is {context} tokens, question and reply together"
            )


def require_short(recipe: Recipe, lengths: Sequence[int]) -> None:
    """Raise RecipeError where train.max_length leaves no room for an answer to any of the training prompts."""
    shortest, limit = min(lengths, default=0), recipe.train.max_length
    if isinstance(recipe.train, Steps) and shortest >= limit:
        raise RecipeError(
            f"key 'train.max_length' is {limit}, but the shortest training prompt has {shortest} tokens, so every pair "
            "would be left out; raise it"
        )


def check_judges(
    recipe: Recipe,
    prompts: Sequence[Prompt],
    directory_of: Callable[[str], Path],
    say: Callable[[str], None] | None,
) -> None:
    """Every judge whose weights are here is asked about the longest prompts. `prompts`: the longest first."""
    for judge in judges(recipe):
        if prompts and say is not None and (cut := cut_off(judge, prompts[0])):
            say(cut)
        if judge.model.server is not None or not prompts:
            continue
        directory = directory_of(recipe.model.path if judge.model.of_run else judge.model)
        renderer = load_renderer(directory, recipe.model)
        asked = [question(judge, prompt, "") for prompt in prompts[:LONGEST]]
        require_whole(renderer, ([message.role for message in question] for question in asked))
        limit = context_length(directory, recipe.engine.max_length) - _decoded(judge)
        longest = max(recipe.generate.sampling.max_tokens, recipe.measure.sampling.max_tokens)
        answers = longest * _shown(recipe, judge) + speeches(judge)
        lengths = [len(tokens) for tokens in renderer.prompt_token_ids(asked)]
        for prompt, length in zip(prompts, lengths, strict=False):
            if length > limit:
                raise DataError(
                    f"the judge's question about prompt {prompt.id} ({prompt.text[:40]!r}...) has {length} tokens "
                    f"before there is any answer; expected at most {limit}, which is the context of {directory} less "
                    "what the judge may write; shorten the prompt, take a shorter judge.question.template, or lower "
                    "judge.reading.sampling.max_tokens"
                )
        if max(lengths) + answers > limit and say is not None:
            say(
                f"the judge's longest question has {max(lengths)} tokens without an answer, and the context leaves "
                f"room for {limit - max(lengths)} of the {answers} that answers may have; a longer one gets the "
                'unreadable verdict "question too long". To avoid it, lower sampling.max_tokens of generate and measure'
            )


def cut_off(judge: JudgeRecipe, prompt: Prompt) -> str:
    """A warning where the question allows more words than the judge may write tokens, so that no verdict is reached."""
    if judge.reading.kind == "probability":
        return ""
    asked = " ".join(message.content for message in question(judge, prompt, "")).replace(prompt.text, "")
    allowed = max(map(int, ALLOWED.findall(asked)), default=0)
    limit = judge.sampling.max_tokens
    if limit >= allowed:
        return ""
    return (
        f"warning: the judge's question allows {allowed} words before the verdict, and "
        f"judge.reading.sampling.max_tokens is {limit}: a reply that uses them is cut off and unreadable; set it to "
        f"{2 * allowed} or so"
    )


def speeches(judge: JudgeRecipe) -> int:
    """Tokens of a whole debate at most, which the judge's question shows."""
    debate = judge.debating
    return debate.rounds * debate.speech * (1 if debate.sides == "one" else 2) if debate else 0


def _shown(recipe: Recipe, judge: JudgeRecipe) -> int:
    """How many answers one question holds, at most."""
    return recipe.generate.samples if judge.listing else 2 if judge.comparing else 1


def judges(recipe: Recipe) -> Iterator[JudgeRecipe]:
    """The recipe of every judge that is asked, members of an ensemble one by one."""
    members = recipe.judge.members
    asked = [recipe.judge.member(name) for name in members] if members else [recipe.judge]
    if recipe.measure.held_out is not None:
        asked.append(held_out_judge(recipe, recipe.measure.held_out))
    if recipe.reward_model is not None and recipe.reward_model.labels.source == "model":
        asked.append(recipe.reward_model.labels)
    # A reward model reads a prompt and its answer as they stand, which the policy has room for.
    yield from (judge for judge in asked if judge.reading.kind != "scalar")


def question(judge: JudgeRecipe, prompt: Prompt, answer: str) -> tuple[Message, ...]:
    """What the judge is asked; of a constitution's principles, the longest."""
    comparing = judge.comparing
    if judge.listing is not None:
        return judge_listwise.ask(judge.listing.template, prompt, (answer, answer))
    if comparing is None:
        return judge_prompt(judge).ask(prompt, answer)
    constitution = constitution_of(comparing)
    principles = judge_pairwise.load_constitution(constitution)[1] if constitution else (None,)
    asked = [judge_pairwise.ask(comparing.template, prompt, answer, answer, one) for one in principles]
    return max(asked, key=lambda question: sum(len(message.content) for message in question))


def _decoded(judge: JudgeRecipe) -> int:
    """Tokens that the judge may write after its question, the opening of a verdict included."""
    return 1 if judge.reading.kind == "probability" else judge.sampling.max_tokens


def context_length(directory: Path, wanted: int | None) -> int:
    """Tokens that fit: the model's positions, or `engine.max_length` where that is smaller."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    positions = next((int(text[name]) for name in _POSITIONS if text.get(name)), sys.maxsize)
    return min(positions, wanted or sys.maxsize)
