"""Stage: scores from the probabilities of the score words, after nothing (expected) or after a rationale (hybrid).

A rationale is sampled as a judgment is, `judge.aggregate.samples` times, and cut before its own verdict. One that was
cut by its token limit is unreadable: a scratchpad without its end says nothing about the score that would have come.

Where the scale goes up to 10 and a tokenizer splits digits, as Qwen's and SmolLM2's do, 10 is read in two steps: the
first digit, then whether a 0 follows the 1. Llama 3 has a token for 10.

Scores are kept to 0.01 points. After a scratchpad the probabilities are nearly 0 and 1, and without rounding their last
digits would order answers that the judge holds for equal: no tie would ever be dropped (sandbox: rank correlation .90
instead of .97 on the same verdicts).
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfreward.engines.protocol import Asker, Completion, ReplyStart, TokenReader
from selfreward.errors import EngineError, NotOneTokenError
from selfreward.judging.asking import ask, ask_next
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.expected import SCALES, Scale, expected_value, ten_in_two
from selfreward.judging.stage import Stage
from selfreward.recipe import JudgeRecipe, as_dict
from selfreward.records import Judgment, Message, Prompt, Response, seed_for
from selfreward.roles.chunks import longest
from selfreward.roles.player import Player
from selfreward.roles.unreadable import Unreadable, unfinished
from selfreward.store.run import Work

VERSION = 1
NOTHING = Completion("", "", (), "stop")
"""The rationale of a judge that gives none."""

_DECIMALS = 2
_DIGITS = tuple("0123456789")


def token_reader(engine: Asker) -> TokenReader:
    """The engine as one that gives probabilities. Raises EngineError for one that does not."""
    if not isinstance(engine, TokenReader):
        raise EngineError(
            f"engine.kind={engine.kind} does not give the probabilities of the next token, which this judge needs; "
            "set engine.kind=transformers or vllm, or judge.reading=verdict"
        )
    return engine


def read_scale(engine: TokenReader, starts: Sequence[ReplyStart], scale: Scale) -> list[tuple[float, ...]]:
    """The log-probabilities of the scale's words; nothing for every start that does not fit."""
    *digits, last = scale.words
    try:
        return ask_next(engine, starts, scale.words)
    except NotOneTokenError:
        if last != "10":
            raise
    first = ask_next(engine, starts, digits)
    begun = [dataclasses.replace(one, reply=f"{one.reply} 1".strip(), joined=True) for one in starts]
    second = ask_next(engine, begun, _DIGITS)
    return [ten_in_two(one, other) for one, other in zip(first, second, strict=True)]


def round_score(value: float) -> float:
    """To 0.01 points, see above."""
    return round(value, _DECIMALS)


def _told(recipe: JudgeRecipe) -> dict[str, Any]:
    """What of the recipe a row was made from."""
    told = {
        "protocol": recipe.protocol,
        "samples": recipe.samples,
        "min_mass": recipe.min_mass,
        "sampling": as_dict(recipe.sampling),
    }
    # Runs from before there was another scale go on.
    return told | ({"scale": recipe.scale} if recipe.scale != "0-5" else {})


def judge_expected(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    recipe: JudgeRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str = "judgments",
) -> Work[Response, Judgment]:
    """Work that yields one Judgment per response and rationale, its score the expected one and its `mass` recorded."""
    wording, scale = judge_prompt(recipe), SCALES[recipe.scale]
    stage = Stage(player, recipe.sampling, round, artifact, f"{wording.version}+{recipe.protocol}")
    rationale = recipe.protocol == "hybrid"

    def rationales(
        chunk: Sequence[Response], shown: Mapping[str, tuple[Message, ...]], seed: int
    ) -> list[list[Completion]]:
        if not rationale:
            return [[NOTHING] for _ in chunk]
        names = {one.id: stage.name(one.id, "rationale") for one in chunk}
        requests = [
            stage.request(names[one.id], shown[one.id], recipe.samples, seed_for(seed, names[one.id])) for one in chunk
        ]
        return ask(player.hold(), requests, seed)

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        engine = player.hold()
        seed = stage.seed(index, 0)
        shown = {one.id: wording.ask(prompts[one.prompt_id], one.text) for one in chunk}
        asked = [
            (stage.name(one.id, sample), one, sample, reply)
            for one, drawn in zip(chunk, rationales(chunk, shown, seed), strict=True)
            for sample, reply in enumerate(drawn)
        ]
        starts = [ReplyStart(name, shown[one.id], wording.opening(reply.text)) for name, one, _, reply in asked]
        found = read_scale(token_reader(engine), starts, scale)
        for (name, one, sample, reply), logprobs in zip(asked, found, strict=True):
            value, mass = expected_value(logprobs, scale.points, recipe.min_mass)
            cut = unfinished(reply)
            verdict = cut if cut is not None else value if isinstance(value, Unreadable) else round_score(value)
            yield stage.judgment(name, one, sample, reply, verdict, seed, mass)

    read = longest(prompts[one.prompt_id].text + one.text for one in responses)
    return stage.work(
        Judgment,
        responses,
        compute,
        {"inputs": dict(made_from), "judge": _told(recipe), "template": wording.version},
        version=VERSION,
        replies=recipe.samples,
        tokens=read + (recipe.sampling.max_tokens if rationale else 0),
    )
