"""One question to the judge as a request, and its reply as a row: what all pointwise stages share."""

from selfreward.engines.protocol import Completion, Request
from selfreward.recipe import JudgeRecipe
from selfreward.records import Judgment, Message, Response
from selfreward.roles.unreadable import Unreadable


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
