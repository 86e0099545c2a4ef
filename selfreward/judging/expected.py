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
from selfreward.judging.asking import ask, ask_next, judge_request, judgment_row
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.expected import SCORE_WORDS, expected_value
from selfreward.recipe import JudgeRecipe, as_dict
from selfreward.records import Judgment, Prompt, Response, seed_for, stable_id
from selfreward.roles.cast import Player
from selfreward.roles.chunks import chunks_for, longest
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

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        engine = player.hold()
        seed = seed_for(player.seed, artifact, round, index, 0)
        shown = {one.id: wording.ask(prompts[one.prompt_id], one.text) for one in chunk}
        replies = [[NOTHING] for _ in chunk]
        if recipe.protocol == "hybrid":
            names = {one.id: stable_id(artifact, round, one.id, "rationale") for one in chunk}
            requests = [
                judge_request(names[one.id], shown[one.id], recipe, recipe.samples, seed_for(seed, names[one.id]))
                for one in chunk
            ]
            replies = ask(engine, requests, seed)
        asked = [
            (stable_id(artifact, round, one.id, sample), one, sample, reply)
            for one, drawn in zip(chunk, replies, strict=True)
            for sample, reply in enumerate(drawn)
        ]
        starts = [ReplyStart(name, shown[one.id], wording.opening(reply.text)) for name, one, _, reply in asked]
        found = ask_next(token_reader(engine), starts, SCORE_WORDS)
        for (name, one, sample, reply), logprobs in zip(asked, found, strict=True):
            value, mass = expected_value(logprobs, _POINTS, recipe.min_mass)
            cut = unfinished(reply)
            verdict = cut if cut is not None else value if isinstance(value, Unreadable) else round_score(value)
            who, template = player.policy.digest, f"{wording.version}+{recipe.protocol}"
            yield judgment_row(name, one, sample, reply, verdict, judge=who, template=template, seed=seed, mass=mass)

    read = longest(prompts[one.prompt_id].text + one.text for one in responses)
    written = recipe.sampling.max_tokens if recipe.protocol == "hybrid" else 0
    return Work(
        round=round,
        artifact=artifact,
        record=Judgment,
        made_from={
            "version": VERSION,
            "round": round,
            "inputs": dict(made_from),
            "judge": {
                "protocol": recipe.protocol,
                "samples": recipe.samples,
                "min_mass": recipe.min_mass,
                "sampling": as_dict(recipe.sampling),
            },
            "template": wording.version,
            **player.determines(),
        },
        chunks=chunks_for(player, responses, recipe.samples, read + written),
        compute=compute,
    )
