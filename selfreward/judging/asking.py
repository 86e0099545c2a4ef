"""One question to the judge as a request, and its reply as a row: what all pointwise stages share."""

from collections.abc import Sequence

from selfreward.engines.protocol import TOO_LONG, Asker, Completion, ReplyStart, Request, TokenReader
from selfreward.errors import EngineError
from selfreward.recipe import JudgeRecipe
from selfreward.records import Judgment, Message, Response
from selfreward.roles.unreadable import Unreadable


def ask(engine: Asker, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
    """The replies, with TOO_LONG to every question that does not fit into the engine's context."""
    too_long: set[str] = set()
    while True:
        fitting = [request for request in requests if request.id not in too_long]
        try:
            replies = iter(engine.generate(fitting, seed) if fitting else [])
        except EngineError as problem:
            if not problem.too_long:
                raise
            too_long |= problem.too_long
            continue
        return [[TOO_LONG] * one.n if one.id in too_long else next(replies) for one in requests]


def ask_next(engine: TokenReader, starts: Sequence[ReplyStart], words: Sequence[str]) -> list[tuple[float, ...]]:
    """The words' log-probabilities, with nothing for every start that does not fit into the engine's context."""
    too_long: set[str] = set()
    while True:
        fitting = [start for start in starts if start.id not in too_long]
        try:
            found = iter(engine.next_token_logprobs(fitting, words) if fitting else [])
        except EngineError as problem:
            if not problem.too_long:
                raise
            too_long |= problem.too_long
            continue
        return [() if start.id in too_long else next(found) for start in starts]


def judge_request(name: str, messages: tuple[Message, ...], recipe: JudgeRecipe, n: int, seed: int) -> Request:
    """`n` replies, sampled as the recipe's judge samples. No judgment keeps its log-probability."""
    sampling = recipe.sampling
    return Request(name, messages, n, sampling.temperature, sampling.top_p, sampling.max_tokens, seed, False)


def judgment_row(
    name: str,
    response: Response,
    sample: int,
    completion: Completion,
    verdict: float | Unreadable,
    *,
    judge: str,
    template: str,
    seed: int,
    mass: float | None = None,
) -> Judgment:
    """The reply and its verdict, or why there is none."""
    return Judgment(
        id=name,
        response_id=response.id,
        prompt_id=response.prompt_id,
        sample=sample,
        judge=judge,
        text=completion.text,
        token_ids=completion.token_ids,
        finish_reason=completion.finish_reason,
        seed=seed,
        template=template,
        score=None if isinstance(verdict, Unreadable) else verdict,
        unreadable=verdict.reason if isinstance(verdict, Unreadable) else None,
        mass=mass,
    )
