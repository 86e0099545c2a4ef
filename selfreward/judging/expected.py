"""Stage: scores from the probabilities of the score words, after nothing (expected) or after a rationale (hybrid).

A rationale is sampled as a judgment is, `judge.aggregate.samples` times, and cut before its own verdict. One that was
cut by its token limit is unreadable: a scratchpad without its end says nothing about the score that would have come.

Scores are kept to 0.01 points. After a scratchpad the probabilities are nearly 0 and 1, and without rounding their last
digits would order answers that the judge holds for equal: no tie would ever be dropped (sandbox: rank correlation .90
instead of .97 on the same verdicts).
"""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import Asker, Completion, ReplyStart, TokenReader
from selfreward.errors import EngineError
from selfreward.judging.asking import ask, ask_next
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.expected import SCORE_WORDS, expected_value
from selfreward.judging.stage import Stage
from selfreward.recipe import JudgeRecipe, as_dict
from selfreward.records import Judgment, Message, Prompt, Response, seed_for
from selfreward.roles.cast import Player
from selfreward.roles.chunks import longest
from selfreward.roles.unreadable import Unreadable, unfinished
from selfreward.store.run import Work

VERSION = 1
NOTHING = Completion("", "", (), "stop")
"""The rationale of a judge that gives none."""

_DECIMALS = 2
_POINTS = tuple(float(word) for word in SCORE_WORDS)


def token_reader(engine: Asker) -> TokenReader:
    """The engine as one that gives probabilities. Raises EngineError for one that does not."""
    if not isinstance(engine, TokenReader):
        raise EngineError(
            f"engine.kind={engine.kind} does not give the probabilities of the next token, which this judge needs; "
            "set engine.kind=transformers or vllm, or judge.reading=verdict"
        )
    return engine


def round_score(value: float) -> float:
    """To 0.01 points, see above."""
    return round(value, _DECIMALS)


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
    wording = judge_prompt(recipe)
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
        found = ask_next(token_reader(engine), starts, SCORE_WORDS)
        for (name, one, sample, reply), logprobs in zip(asked, found, strict=True):
            value, mass = expected_value(logprobs, _POINTS, recipe.min_mass)
            cut = unfinished(reply)
            verdict = cut if cut is not None else value if isinstance(value, Unreadable) else round_score(value)
            yield stage.judgment(name, one, sample, reply, verdict, seed, mass)

    told = {
        "protocol": recipe.protocol,
        "samples": recipe.samples,
        "min_mass": recipe.min_mass,
        "sampling": as_dict(recipe.sampling),
    }
    read = longest(prompts[one.prompt_id].text + one.text for one in responses)
    return stage.work(
        Judgment,
        responses,
        compute,
        {"inputs": dict(made_from), "judge": told, "template": wording.version},
        version=VERSION,
        replies=recipe.samples,
        tokens=read + (recipe.sampling.max_tokens if rationale else 0),
    )
